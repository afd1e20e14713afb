"""Options of episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

from headstart.extractors.spec import Option
from headstart.flows.options import Progress


@dataclass(frozen=True, kw_only=True)
class EpisodesOptions:
    """Options of few-shot episodes, beside the cache.

    Parameters
    ----------
    ways : int
        Classes of an episode.
    shots : sequence of int
        Labelled images of a class, each of which is tried.
    queries : int
        Images of a class that are to be told.
    count : int
        Episodes.
    source : path-like, optional
        Cache with the same key: the mean of its images is subtracted, in place of that of the classes which an episode
        leaves out.
    labels, target, backbone, keys, test_size, seed
        See `flows.options.FitOptions`: the test images of such a fit are not looked at.
    images : int
        Most images that are looked at, drawn by class.
    out : path-like, optional
        Folder for the table and the page; by default ``NAME.episodes`` in the current folder.
    progress : bool
        Show a bar on standard error.
    """

    ways: Annotated[int, Option("Classes of an episode.", least=2)] = 5
    shots: Annotated[Sequence[int], Option("Labelled images of a class, each tried.", unset="1 5")] = (1, 5)
    queries: Annotated[int, Option("Images of a class that are to be told.", least=1)] = 15
    count: Annotated[int, Option("Episodes.", least=2)] = 2000
    source: Annotated[
        str | Path | None, Option("Cache whose mean is subtracted.", unset="classes not in the episode")
    ] = None
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column.", unset="the only one, or 'label'")] = None
    backbone: Annotated[str | Sequence[str] | None, Option("Only these backbones of the cache.", unset="all")] = None
    keys: Annotated[Sequence[str] | None, Option("Only the embeddings of these keys.", command=False)] = None
    images: Annotated[int, Option("Most images that are looked at, drawn by class.", least=10)] = 10_000
    test_size: Annotated[float, Option("Share left out where the images have no splits.", above=0, below=1)] = 0.2
    seed: Annotated[int, Option("Of splits and episodes.", least=0, below=2**32)] = 0
    out: Annotated[str | Path | None, Option("Folder for the table and the page.", unset="NAME.episodes")] = None
    progress: Progress = False


class EpisodesKeywords(TypedDict, total=False):
    """`EpisodesOptions`, as the keywords of a function."""

    ways: int
    shots: Sequence[int]
    queries: int
    count: int
    source: str | Path | None
    labels: str | Path | None
    target: str | None
    backbone: str | Sequence[str] | None
    keys: Sequence[str] | None
    images: int
    test_size: float
    seed: int
    out: str | Path | None
    progress: bool
