"""Options of a clustering, of choosing images to label next, and of a search for images that are alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypedDict

from headstart.extractors.spec import Device, Option, Workers
from headstart.flows.options import Progress, Task

StrategyName = Literal["typical", "centroids", "margin", "entropy", "gradients", "dropout", "random"]
"""Names of `heads.analysis.active.STRATEGIES`, which loads scikit-learn."""


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
    labels : path-like, optional
        CSV or Parquet with ``path`` and a label column, in place of the listing's labels: a few labels, which name the
        clusters that they tell.
    backbone, key, tap : str, optional
        Which embeddings; of several that are left, those whose clusters are the most stable.
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
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with a few labels, to name clusters by.")] = None
    backbone: Annotated[str | None, Option("Which backbone's embeddings.", unset="the most stable")] = None
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
    labels: str | Path | None
    backbone: str | None
    key: str | None
    tap: str | None
    map: Literal["auto", "pca", "umap"]
    seed: int
    out: str | Path | None
    progress: bool


@dataclass(frozen=True, kw_only=True)
class NextOptions:
    """Options of choosing images to label next, beside the cache.

    Parameters
    ----------
    count : int
        Images to choose.
    strategy : str, optional
        One of `heads.analysis.active.STRATEGIES`; by default as the labels so far need it.
    balance : bool
        As many images of each class, as the labels so far let one guess it.
    labels : path-like, optional
        CSV or Parquet with ``path`` and label columns, in place of the listing's labels; an empty cell is no label.
    target : str, optional
        Label column to fill in; by default the only one, or ``label``.
    task : {"classify", "regress"}, optional
        By default as the column looks.
    backbone, key, tap : str, optional
        Which embeddings; needed where the cache has several.
    seed : int
    out : path-like, optional
        CSV file to fill in; by default ``NAME.next.csv`` in the current folder.
    page : path-like, optional
        HTML page to label on, by default beside that file; it gives a CSV file of its own.
    progress : bool
        Show on standard error what is being done.
    """

    count: Annotated[int, Option("Images to choose.", least=1)] = 20
    strategy: Annotated[StrategyName | None, Option("How to choose.", unset="as the labels so far need it")] = None
    balance: Annotated[bool, Option("As many of each class, as it is guessed.")] = False
    labels: Annotated[str | Path | None, Option("CSV or Parquet file with 'path' and label columns.")] = None
    target: Annotated[str | None, Option("Label column to fill in.", unset="the only one, or 'label'")] = None
    task: Annotated[Task | None, Option("Classes, or a number to predict.", unset="as the column looks")] = None
    backbone: Annotated[str | None, Option("Which backbone's embeddings.")] = None
    key: Annotated[str | None, Option("Id of the key, where a backbone has several.")] = None
    tap: Annotated[str | None, Option("Which tap, where there are several.")] = None
    seed: Annotated[int, Option("", least=0, below=2**32)] = 0
    out: Annotated[str | Path | None, Option("CSV file to fill in.", unset="NAME.next.csv")] = None
    page: Annotated[str | Path | None, Option("HTML page to label on.", unset="NAME.next.html")] = None
    progress: Progress = False


class NextKeywords(TypedDict, total=False):
    """`NextOptions`, as the keywords of a function."""

    count: int
    strategy: StrategyName | None
    balance: bool
    labels: str | Path | None
    target: str | None
    task: Task | None
    backbone: str | None
    key: str | None
    tap: str | None
    seed: int
    out: str | Path | None
    page: str | Path | None
    progress: bool


@dataclass(frozen=True, kw_only=True)
class SimilarOptions:
    """Options of a search for images that are alike, beside the cache and the images.

    Parameters
    ----------
    k : int
        Neighbours of each image.
    all_pairs : float, optional
        Find in place of neighbours every pair of the cache's images whose cosine is at least this.
    most : int
        Pairs that are kept, the closest first; all are counted.
    page : path-like, optional
        Write an HTML page with pictures here.
    backbone, key, tap : str, optional
        Which embeddings; needed where the cache has several. Of a ``MODULE:CALLABLE`` backbone, which is code,
        `backbone` says that it may run, to embed files that the cache does not know.
    weights : str, optional
        Where the backbone's weights are, if they are no longer where they were.
    device, workers
        See `extractors.spec.settings.Settings`.
    progress : bool
        Show bars on standard error.
    """

    k: Annotated[int, Option("Neighbours of each image.", least=1)] = 10
    all_pairs: Annotated[
        float | None, Option("Every pair of the cache's images with this cosine at least, as .95.")
    ] = None
    most: Annotated[int, Option("Pairs that are kept; all are counted.", least=1)] = 1000
    page: Annotated[str | Path | None, Option("An .html file, to be written with pictures.", unset="not written")] = (
        None
    )
    backbone: Annotated[str | None, Option("Which backbone's embeddings.")] = None
    key: Annotated[str | None, Option("Id of the key, where a backbone has several.")] = None
    tap: Annotated[str | None, Option("Which tap, where there are several.")] = None
    weights: Annotated[str | None, Option("Where the backbone's weights are now, if they were moved.")] = None
    device: Device = "auto"
    workers: Workers = None
    progress: Progress = False


class SimilarKeywords(TypedDict, total=False):
    """`SimilarOptions`, as the keywords of a function."""

    k: int
    all_pairs: float | None
    most: int
    page: str | Path | None
    backbone: str | None
    key: str | None
    tap: str | None
    weights: str | None
    device: str
    workers: int | None
    progress: bool
