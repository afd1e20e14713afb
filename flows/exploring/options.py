"""Options of a clustering."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from headstart.extractors.spec import Option
from headstart.flows.options import Progress


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """Options of a clustering, beside the cache.

    Parameters
    ----------
    k : sequence of int, optional
        Numbers of clusters for k-means to try; by default from 2 to 50.
    min_cluster_size : int, optional
        Fewest images of a cluster of HDBSCAN; by default a hundredth of all.
    target : str, optional
        Label column to compare with; by default the only one, or ``label``.
    backbone, key, tap : str, optional
        Which embeddings; needed where the cache has several.
    map : {"auto", "pca", "umap"}
        ``auto`` takes UMAP where it is installed.
    seed : int
    out : path-like, optional
        Folder for the table and the page; by default ``NAME.clusters`` in the current folder.
    progress : bool
        Show on standard error what is being done.
    """

    k: Annotated[Sequence[int], Option("Numbers of clusters to try.", unset="2 to 50")] = ()
    min_cluster_size: Annotated[
        int | None, Option("Fewest images of a cluster of HDBSCAN.", unset="a hundredth", least=2)
    ] = None
    target: Annotated[str | None, Option("Label column to compare with.")] = None
    backbone: Annotated[str | None, Option("Which backbone's embeddings.")] = None
    key: Annotated[str | None, Option("Id of the key, where a backbone has several.")] = None
    tap: Annotated[str | None, Option("Which tap, where there are several.")] = None
    map: Annotated[Literal["auto", "pca", "umap"], Option("auto takes UMAP where it is installed.")] = "auto"
    seed: Annotated[int, Option("", least=0, below=2**32)] = 0
    out: Annotated[str | Path | None, Option("Folder for the table and the page.", unset="NAME.clusters")] = None
    progress: Progress = False


class ClusterKeywords(TypedDict, total=False):
    """`ClusterOptions`, as the keywords of a function."""

    k: Sequence[int]
    min_cluster_size: int | None
    target: str | None
    backbone: str | None
    key: str | None
    tap: str | None
    map: Literal["auto", "pca", "umap"]
    seed: int
    out: str | Path | None
    progress: bool
