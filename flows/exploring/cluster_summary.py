"""What `cluster` found, as its page, its command and its callers read it."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ClusterSummary:
    """What was found.

    Attributes
    ----------
    cache, backbone, tap : str
        What was clustered.
    images : int
    methods : list of dict
        ``method, params, clusters, noise, silhouette, ari, nmi``: of k-means the k with the best silhouette, then
        HDBSCAN. ``ari`` and ``nmi`` are None without labels.
    tried : list of dict
        The same of every k, best silhouette first.
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
    methods: list[dict[str, Any]]
    tried: list[dict[str, Any]]
    target: str | None
    map: str
    table: str
    page: str
    notes: list[str]
    seconds: float
