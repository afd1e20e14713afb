"""Options of zero-shot learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from headstart.extractors.spec import Option
from headstart.flows.options import Progress

Among = Literal["all", "unseen"]


@dataclass(frozen=True, kw_only=True)
class ZeroShotOptions:
    """Options of zero-shot learning, beside the cache.

    Parameters
    ----------
    classes : path-like, mapping or sequence of str
        What describes each class, see `flows.transfer.zero_shot.class_file.read_classes`. With `prompt`, names are
        enough.
    unseen : str or sequence of str, optional
        Classes that are not fitted on though they have labels, which then score the model; by default those of
        `classes` that no image is labelled with, and with ``clip`` all, for it is fitted on none.
    method : str or sequence of {"eszsl", "ridge", "clip"}, optional
        Tried and compared on held-out classes. ``clip`` takes vectors of text in the space of the features.
    prompt : str or sequence of str, optional
        Templates such as ``a photo of a {}``: the text tower of the cache's CLIP makes the vectors, averaged over them.
        Then `method` is ``clip`` where it is not given.
    text_tower, text_weights : str, optional
        That tower, as ``open_clip/NAME``, and its weights; by default those of the cache's embeddings.
    among : {"all", "unseen"}
        Whether images are told among all classes, or among the unseen alone.
    labels, target, backbone, keys, test_size, seed
        See `flows.options.FitOptions`: the test images of such a fit show how well seen classes are told.
    tap : str, optional
        Only this layer.
    out : path-like, optional
        Folder for the model, the predictions and the page; by default ``NAME.zeroshot`` in the current folder.
    progress : bool
        Show a bar on standard error.
    """

    classes: Annotated[
        str | Path | Mapping[str, Sequence[float]] | Sequence[str] | None,
        Option("Vectors of classes: .csv, .npz or .safetensors.", command=False),
    ] = None
    unseen: Annotated[
        str | Sequence[str] | None, Option("Classes to be told unseen.", unset="those without a label")
    ] = None
    method: Annotated[
        str | Sequence[str] | None,
        Option("What is tried: eszsl, ridge, clip.", unset="what the vectors allow"),
    ] = None
    prompt: Annotated[str | Sequence[str] | None, Option("Texts for a CLIP, with {} for the class.")] = None
    text_tower: Annotated[str | None, Option("Whose text tower.", unset="that of the embeddings")] = None
    text_weights: Annotated[str | None, Option("Its weights.", unset="those of the embeddings")] = None
    among: Annotated[Among, Option("What images are told among.")] = "all"
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column.", unset="the only one, or 'label'")] = None
    backbone: Annotated[str | Sequence[str] | None, Option("Only these backbones of the cache.", unset="all")] = None
    keys: Annotated[Sequence[str] | None, Option("Only the embeddings of these keys.", command=False)] = None
    tap: Annotated[str | None, Option("Only this layer.", unset="all")] = None
    test_size: Annotated[float, Option("Share left out where the images have no splits.", above=0, below=1)] = 0.2
    seed: Annotated[int, Option("Of splits and draws.", least=0, below=2**32)] = 0
    out: Annotated[str | Path | None, Option("Folder for model, predictions and page.", unset="NAME.zeroshot")] = None
    progress: Progress = False


class ZeroShotKeywords(TypedDict, total=False):
    """`ZeroShotOptions`, as the keywords of a function."""

    classes: str | Path | Mapping[str, Sequence[float]] | Sequence[str] | None
    unseen: str | Sequence[str] | None
    method: str | Sequence[str] | None
    prompt: str | Sequence[str] | None
    text_tower: str | None
    text_weights: str | None
    among: Among
    labels: str | Path | None
    target: str | None
    backbone: str | Sequence[str] | None
    keys: Sequence[str] | None
    tap: str | None
    test_size: float
    seed: int
    out: str | Path | None
    progress: bool
