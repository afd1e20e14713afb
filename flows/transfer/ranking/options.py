"""Options of a ranking."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

from headstart.extractors.spec import Option
from headstart.flows.options import Progress, Task


@dataclass(frozen=True, kw_only=True)
class RankOptions:
    """Options of a ranking, beside the cache.

    Parameters
    ----------
    labels, target, task, backbone, keys, test_size, seed
        See `flows.options.FitOptions`: the test images of such a fit are not looked at.
    images : int
        Most images that are looked at, drawn by class.
    out : path-like, optional
        Folder for the table and the page; by default ``NAME.ranking`` in the current folder.
    progress : bool
        Show a bar on standard error.
    """

    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column.", unset="the only one, or 'label'")] = None
    task: Annotated[Task | None, Option("Classes, or a number to predict.", unset="as the column looks")] = None
    backbone: Annotated[str | Sequence[str] | None, Option("Only these backbones of the cache.", unset="all")] = None
    keys: Annotated[Sequence[str] | None, Option("Only the embeddings of these keys.", command=False)] = None
    images: Annotated[int, Option("Most images that are looked at, drawn by class.", least=10)] = 10_000
    test_size: Annotated[float, Option("Share left out where the images have no splits.", above=0, below=1)] = 0.2
    seed: Annotated[int, Option("Of splits and draws.", least=0, below=2**32)] = 0
    out: Annotated[str | Path | None, Option("Folder for the table and the page.", unset="NAME.ranking")] = None
    progress: Progress = False


class RankKeywords(TypedDict, total=False):
    """`RankOptions`, as the keywords of a function."""

    labels: str | Path | None
    target: str | None
    task: Task | None
    backbone: str | Sequence[str] | None
    keys: Sequence[str] | None
    images: int
    test_size: float
    seed: int
    out: str | Path | None
    progress: bool
