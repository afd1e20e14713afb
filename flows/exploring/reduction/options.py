"""Options of a reduction."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypedDict

from headstart.extractors.spec import Device, Option, Workers
from headstart.flows.options import Progress


@dataclass(frozen=True, kw_only=True)
class ReduceOptions:
    """Options of a reduction, beside the cache and the images.

    Parameters
    ----------
    by : path-like, optional
        Folder of an earlier reduction: nothing is fitted, and all go through its transform.
    size : int
        Dimensions at most.
    whiten : bool
        Give every dimension a spread of 1.
    target : str, optional
        Label column to look at neighbours by; by default the only one, or ``label``.
    most : int
        Most images that it is fitted on, drawn; none of them is a test image.
    backbone, key, tap : str, optional
        Which embeddings; needed where the cache has several. Of a ``MODULE:CALLABLE`` backbone, which is code,
        `backbone` says that it may run, to embed files that the cache does not know.
    weights : str, optional
        Where the backbone's weights are, if they are no longer where they were.
    seed : int
    device, workers
        See `extractors.spec.settings.Settings`.
    out : path-like, optional
        Folder for transform, features and page; by default ``NAME.reduced`` in the current folder.
    progress : bool
        Show on standard error what is being done.
    """

    by: Annotated[str | Path | None, Option("Earlier reduction that all go through.", unset="fitted anew")] = None
    size: Annotated[int, Option("Dimensions at most.", least=1)] = 50
    whiten: Annotated[bool, Option("Give every dimension a spread of 1.")] = False
    target: Annotated[str | None, Option("Label column to look at neighbours by.")] = None
    most: Annotated[int, Option("Images that it is fitted on, at most.", least=3)] = 20_000
    backbone: Annotated[str | None, Option("Which backbone's embeddings.")] = None
    key: Annotated[str | None, Option("Id of the key, where a backbone has several.")] = None
    tap: Annotated[str | None, Option("Which tap, where there are several.")] = None
    weights: Annotated[str | None, Option("Where the backbone's weights are now, if they were moved.")] = None
    seed: Annotated[int, Option("Of draws.", least=0, below=2**32)] = 0
    device: Device = "auto"
    workers: Workers = None
    out: Annotated[str | Path | None, Option("Folder for transform, features and page.", unset="NAME.reduced")] = None
    progress: Progress = False


class ReduceKeywords(TypedDict, total=False):
    """`ReduceOptions`, as the keywords of a function."""

    by: str | Path | None
    size: int
    whiten: bool
    target: str | None
    most: int
    backbone: str | None
    key: str | None
    tap: str | None
    weights: str | None
    seed: int
    device: str
    workers: int | None
    out: str | Path | None
    progress: bool
