"""Options of a prediction, and of taking a model away."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from headstart.extractors.spec import Device, Option, Workers
from headstart.flows.options import Progress

Pixels = Literal["uint8", "float32"]

_Backbone = Annotated[
    str | None, Option("Only for a model on code of yours: its MODULE:CALLABLE, to say that it may run.")
]
_Weights = Annotated[str | None, Option("Where the backbone's weights are now, if they were moved.")]
_Trust = Annotated[Sequence[str], Option("Only for a head of yours: its MODULE:CLASS, to say that it may run.")]


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Options of a prediction, beside the model and the images.

    Parameters
    ----------
    all_classes : bool
        Add one column ``probability_<class>`` for each class.
    abstain : bool
        Leave a label empty unless the image's set holds that class alone and it is no outlier, see
        `FitOptions.coverage`.
    backbone : str, optional
        Needed only for a model on a ``MODULE:CALLABLE`` backbone, which is code: naming it here says that it may run.
    weights : str, optional
        Where the backbone's weights are, if they are no longer where they were.
    trust : sequence of str
        Needed only for a model with a head of a user's own, which is code: ``module:Class`` says that it may run.
    page : path-like, optional
        Write an HTML page with pictures here: each with its class and probability, the least certain first, and, where
        its folder is called like a class, whether that is right.
    cache : path-like, optional
        Keep the embeddings here; by default they are thrown away. The listing of a cache is left as it is.
    device, workers
        See `extractors.spec.settings.Settings`.
    progress : bool
        Show bars on standard error.
    """

    all_classes: Annotated[bool, Option("Write every class's probability.", flag="--all")] = False
    abstain: Annotated[bool, Option("Leave labels empty that are in doubt (fit --coverage).")] = False
    backbone: _Backbone = None
    weights: _Weights = None
    trust: _Trust = ()
    page: Annotated[str | Path | None, Option("An .html file, to be written with pictures.", unset="not written")] = (
        None
    )
    cache: Annotated[str | Path | None, Option("Keep the embeddings in this cache.", unset="not kept")] = None
    device: Device = "auto"
    workers: Workers = None
    progress: Progress = False


class PredictKeywords(TypedDict, total=False):
    """`PredictOptions`, as the keywords of a function."""

    all_classes: bool
    abstain: bool
    backbone: str | None
    weights: str | None
    trust: Sequence[str]
    page: str | Path | None
    cache: str | Path | None
    device: str
    workers: int | None
    progress: bool


@dataclass(frozen=True, kw_only=True)
class GraftOptions:
    """Options of taking a model away, beside the model and the file of weights.

    Parameters
    ----------
    onnx : path-like, optional
        An ``.onnx`` file to write: from pixels to probabilities, class names inside. It needs the extra ``onnx``.
    pixels : {"uint8", "float32"}
        What that file takes: 0 to 255 as images hold them, or 0 to 1.
    backbone, weights, trust
        See `PredictOptions`.
    """

    onnx: Annotated[str | Path | None, Option("An .onnx file, from pixels to probabilities.", unset="not written")] = (
        None
    )
    pixels: Annotated[Pixels, Option("What the .onnx file takes; float32: from 0 to 1.")] = "uint8"
    backbone: _Backbone = None
    weights: _Weights = None
    trust: _Trust = ()


class GraftKeywords(TypedDict, total=False):
    """`GraftOptions`, as the keywords of a function."""

    onnx: str | Path | None
    pixels: Pixels
    backbone: str | None
    weights: str | None
    trust: Sequence[str]
