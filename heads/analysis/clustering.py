"""Images without labels in groups of like ones: k-means for several k, and HDBSCAN, on embeddings reduced by PCA."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans, MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from sklearn.preprocessing import normalize

from headstart.heads.errors import DataError
from headstart.heads.features import feature_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Numbers = NDArray[np.intp]

KS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50)
"""Numbers of clusters that k-means tries by default."""

PCA_SIZE = 50
NOISE = -1
"""The number of images that HDBSCAN finds in no cluster."""

_MOST_FOR_HDBSCAN = 20_000  # its time grows with the square of the images: a minute
_MOST_FOR_KMEANS = 100_000  # above, mini-batches find nearly the same in a tenth of the time
_MOST_FOR_SILHOUETTE = 5000  # it compares every pair


@dataclass(frozen=True, kw_only=True)
class Clustering:
    """One way to group the images.

    Parameters
    ----------
    method : {"kmeans", "hdbscan"}
    params : dict
        What it was run with.
    clusters : int ndarray of shape (n_images,)
        Number of each image's cluster, the largest cluster first; `NOISE` for none.
    silhouette : float or None
        Mean over images in clusters, between -1 and 1: how much nearer the own cluster is than the next one. None where
        there are not two clusters.
    """

    method: str
    params: dict[str, int]
    clusters: Numbers = field(repr=False)
    silhouette: float | None

    @property
    def n_clusters(self) -> int:
        """Clusters, without the noise."""
        return int(self.clusters.max()) + 1

    @property
    def n_noise(self) -> int:
        """Images in no cluster."""
        return int((self.clusters == NOISE).sum())


def reduce_features(features: object, n_images: int, *, size: int = PCA_SIZE, seed: int = 0) -> Floats:
    """Return embeddings at unit length, reduced to `size` dimensions by PCA, float32 (n_images, size at most).

    Parameters
    ----------
    features : array-like of shape (n_images, n_features)
    n_images, size, seed : int

    Raises
    ------
    DataError
        Features cannot be used (see `feature_matrix`), or there are fewer than three images.
    """
    X = feature_matrix(features, n_images)
    if n_images < 3:
        raise DataError(f"{n_images} images cannot be put into clusters; give three or more")
    with np.errstate(invalid="ignore"):  # of equal images: their share of no variance, which nobody asks for
        reduced = PCA(min(size, *X.shape), random_state=seed).fit_transform(normalize(X))
    return np.ascontiguousarray(reduced, dtype=np.float32)


def cluster_by_kmeans(reduced: Floats, ks: Sequence[int] = KS, seed: int = 0) -> list[Clustering]:
    """Group images by k-means for every k that leaves two images a cluster, best silhouette first.

    Parameters
    ----------
    reduced : float32 ndarray of shape (n_images, n_dimensions)
    ks : sequence of int
    seed : int

    Raises
    ------
    DataError
        No k is between 2 and half of the images.

    References
    ----------
    Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", Journal of
    Computational and Applied Mathematics 20, 1987.
    """
    possible = [k for k in dict.fromkeys(ks) if 2 <= k <= len(reduced) // 2]
    if not possible:
        raise DataError(f"k is {', '.join(map(str, ks))}, expected one between 2 and {len(reduced) // 2}")
    kind = KMeans if len(reduced) <= _MOST_FOR_KMEANS else MiniBatchKMeans
    found = [
        _described("kmeans", {"k": k}, kind(k, n_init=4, random_state=seed).fit_predict(reduced), reduced, seed)
        for k in possible
    ]
    return sorted(found, key=lambda one: -np.inf if one.silhouette is None else one.silhouette, reverse=True)


def cluster_by_density(reduced: Floats, min_cluster_size: int | None = None, seed: int = 0) -> Clustering | None:
    """Group images by HDBSCAN, which finds the number of clusters and leaves outliers alone; None for too many images.

    Parameters
    ----------
    reduced : float32 ndarray of shape (n_images, n_dimensions)
    min_cluster_size : int, optional
        Fewest images of a cluster, at least 2; by default a hundredth of all, and 5 at least.
    seed : int
        Of the sample that the silhouette is computed on.

    Raises
    ------
    DataError
        `min_cluster_size` is not between 2 and the number of images.

    References
    ----------
    Campello, Moulavi & Sander, "Density-based clustering based on hierarchical density estimates", PAKDD 2013.
    """
    if len(reduced) > _MOST_FOR_HDBSCAN:
        return None
    size = min(len(reduced), max(5, len(reduced) // 100)) if min_cluster_size is None else min_cluster_size
    if not 2 <= size <= len(reduced):
        raise DataError(f"min_cluster_size is {size}, expected between 2 and {len(reduced)}")
    found = HDBSCAN(min_cluster_size=size, copy=True).fit_predict(reduced.astype(np.float64))
    return _described("hdbscan", {"min_cluster_size": size}, found, reduced, seed)


def agreement(clusters: Numbers, labels: Numbers) -> tuple[float, float]:
    """Return the adjusted Rand index and the normalised mutual information of clusters and labels, (n_images,) each.

    The first is 1 where both group alike, about 0 by chance. The second is between 0 and 1, and many small clusters
    flatter it. Noise counts as one cluster.

    References
    ----------
    Hubert & Arabie, "Comparing partitions", Journal of Classification 2, 1985.
    Strehl & Ghosh, "Cluster ensembles", JMLR 3, 2002.
    """
    return float(adjusted_rand_score(labels, clusters)), float(normalized_mutual_info_score(labels, clusters))


def project_on_plane(reduced: Floats, method: str = "auto", seed: int = 0) -> tuple[NDArray[np.float64], str]:
    """Return a place on a plane for each image, (n_images, 2), and the method: the first two of PCA, or UMAP.

    Parameters
    ----------
    reduced : float32 ndarray of shape (n_images, n_dimensions)
        Of `reduce_features`.
    method : {"auto", "pca", "umap"}
        "auto" takes UMAP where it is installed.
    seed : int

    Raises
    ------
    DataError
        UMAP is asked for and not installed, or the method is unknown.

    References
    ----------
    McInnes, Healy & Melville, "UMAP: uniform manifold approximation and projection for dimension reduction", 2018.
    """
    if method not in ("auto", "pca", "umap"):
        raise DataError(f"no map is called {method!r}; expected auto, pca or umap")
    installed = find_spec("umap") is not None
    if method == "umap" and not installed:
        raise DataError("UMAP is not installed; run 'pip install headstart[umap]', or take the map of PCA")
    if method == "pca" or not installed:
        return np.pad(reduced, ((0, 0), (0, 1)))[:, :2].astype(np.float64), "pca"
    from umap import UMAP  # type: ignore[import-not-found, unused-ignore]  # noqa: PLC0415 - optional, and slow to import

    n_neighbors = min(15, len(reduced) - 1)
    points = UMAP(n_neighbors=n_neighbors, random_state=seed, n_jobs=1).fit_transform(reduced)
    return np.asarray(points, dtype=np.float64), "umap"


def _described(method: str, params: dict[str, int], found: Numbers, reduced: Floats, seed: int) -> Clustering:
    """Give clusters numbers by their size, and measure how well they stand apart."""
    clusters = np.full(len(found), NOISE, dtype=np.intp)
    numbers, sizes = np.unique(found[found != NOISE], return_counts=True)
    for place, number in enumerate(numbers[np.argsort(-sizes, kind="stable")]):
        clusters[found == number] = place
    inside = np.flatnonzero(clusters != NOISE)
    if len(inside) > _MOST_FOR_SILHOUETTE:
        inside = np.random.default_rng(seed).choice(inside, _MOST_FOR_SILHOUETTE, replace=False)
    there = len(np.unique(clusters[inside]))
    apart = 2 <= there < len(inside)
    value = float(silhouette_score(reduced[inside], clusters[inside])) if apart else None
    return Clustering(method=method, params=params, clusters=clusters, silhouette=value)
