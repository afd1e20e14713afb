"""Results of `cluster`, as its page, its command and its callers read it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ClusteringRow:
    """One way in which the images were grouped.

    Attributes
    ----------
    method : {"kmeans", "hdbscan"}
    params : mapping
        What it was run with.
    clusters, noise : int
        Clusters found, and images in none.
    silhouette : float or None
        As `heads.analysis.Clustering` has it.
    ari, nmi : float or None
        Agreement with the labels; None without labels.
    """

    method: str
    params: Mapping[str, int]
    clusters: int
    noise: int
    silhouette: float | None
    ari: float | None = None
    nmi: float | None = None


@dataclass(frozen=True)
class ClusterSummary:
    """Results of a clustering.

    Attributes
    ----------
    cache, backbone, tap : str
        What was clustered.
    images : int
    methods : list of ClusteringRow
        Of k-means the k with the best silhouette, then HDBSCAN.
    tried : list of ClusteringRow
        Of every k, best silhouette first.
    target : str or None
        Label column that clusters are compared with.
    map : {"pca", "umap"}
        How the places on the map were found.
    table, page : str
        CSV with ``path``, a cluster for each method (-1 for none) and the place on the map; HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    backbone: str
    tap: str
    images: int
    methods: list[ClusteringRow]
    tried: list[ClusteringRow]
    target: str | None
    map: str
    table: str
    page: str
    notes: list[str]
    seconds: float
