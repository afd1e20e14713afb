"""Options of advice."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

from headstart.extractors.spec import Option
from headstart.flows.options import Progress


@dataclass(frozen=True, kw_only=True)
class AdviceOptions:
    """Options of advice, beside the cache.

    Parameters
    ----------
    source : path-like, optional
        Cache of images that the backbone learned from, or of a sample of these, embedded by the same network.
    labels, target, backbone, test_size, seed
        See `flows.options.FitOptions`: the test images of such a fit are not looked at.
    enough : int
        Labelled images of a class from which on it is lots of data.
    as_cached : bool
        Open no image: controls that the cache lacks are not embedded.
    images : int
        Most images that are looked at, drawn by class.
    out : path-like, optional
        Folder for the table and the page; by default ``NAME.advice`` in the current folder.
    progress : bool
        Show bars on standard error.
    """

    source: Annotated[str | Path | None, Option("Cache of what the backbone learned from, to compare with.")] = None
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column.", unset="the only one, or 'label'")] = None
    backbone: Annotated[str | Sequence[str] | None, Option("Only these backbones of the cache.", unset="all")] = None
    enough: Annotated[int, Option("Labelled images of a class that are lots of data.", least=1)] = 100
    as_cached: Annotated[bool, Option("Open no image: embed no control that the cache lacks.")] = False
    images: Annotated[int, Option("Most images that are looked at, drawn by class.", least=10)] = 10_000
    test_size: Annotated[float, Option("Share left out where the images have no splits.", above=0, below=1)] = 0.2
    seed: Annotated[int, Option("Of splits and draws.", least=0, below=2**32)] = 0
    out: Annotated[str | Path | None, Option("Folder for the table and the page.", unset="NAME.advice")] = None
    progress: Progress = False


class AdviceKeywords(TypedDict, total=False):
    """`AdviceOptions`, as the keywords of a function."""

    source: str | Path | None
    labels: str | Path | None
    target: str | None
    backbone: str | Sequence[str] | None
    enough: int
    as_cached: bool
    images: int
    test_size: float
    seed: int
    out: str | Path | None
    progress: bool
