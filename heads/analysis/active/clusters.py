"""Orders that need no label: an image of every cluster, the clusters without a label and the largest ones first."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from headstart.heads.analysis.active.images import PartlyLabelled

    Floats = NDArray[np.float32]
    Rows = NDArray[np.intp]

_NEIGHBOURS = 20
_MOST_CLUSTERS = 500
_MOST_FOR_KMEANS = 20_000  # above, mini-batches
_MOST_COMPARED = 5000  # images of a cluster that say how typical one of them is


def by_typicality(
    images: PartlyLabelled, rows: Rows, count: int, generator: np.random.Generator
) -> Iterator[tuple[int, float, int]]:
    """Yield the most typical image of every cluster, then the next: the one that has its neighbours nearest.

    References
    ----------
    Hacohen, Dekel & Weinshall, "Active learning on a budget: opposite strategies suit high and low budgets", ICML 2022
    (TypiClust: as many clusters as images with a label and to label, typicality by 20 neighbours).
    """
    return _by_cluster(images, rows, count, generator, _typicality)


def by_centroid(
    images: PartlyLabelled, rows: Rows, count: int, generator: np.random.Generator
) -> Iterator[tuple[int, float, int]]:
    """Yield the image nearest to the centroid of every cluster, then the next."""
    return _by_cluster(images, rows, count, generator, _nearness)


def _by_cluster(
    images: PartlyLabelled,
    rows: Rows,
    count: int,
    generator: np.random.Generator,
    measure: Callable[[Floats, np.random.Generator], NDArray[np.float64]],
) -> Iterator[tuple[int, float, int]]:
    """Yield row, measure and cluster. An image with a label takes the first place of its cluster."""
    everyone = np.concatenate([images.known, rows])
    points = images.reduced[everyone]
    clusters = _clusters(points, min(count + len(images.known), _MOST_CLUSTERS), images.seed)
    sizes = np.bincount(clusters)
    found = []
    for cluster in np.flatnonzero(sizes).tolist():
        members = np.flatnonzero(clusters == cluster)
        values = measure(points[members], generator)
        open_ = members >= len(images.known)
        taken = len(members) - int(open_.sum())
        best = np.argsort(-values[open_], kind="stable")
        ranked = zip(everyone[members[open_]][best].tolist(), values[open_][best].tolist(), strict=True)
        found += [(taken + place, -int(sizes[cluster]), cluster, *one) for place, one in enumerate(ranked)]
    for _, _, cluster, row, value in sorted(found):
        yield row, value, cluster


def _clusters(points: Floats, k: int, seed: int) -> Rows:
    kind = KMeans if len(points) <= _MOST_FOR_KMEANS else MiniBatchKMeans
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of equal images there are fewer clusters than asked for
        return np.asarray(kind(min(k, len(points)), n_init=1, random_state=seed).fit_predict(points), dtype=np.intp)


def _typicality(points: Floats, generator: np.random.Generator) -> NDArray[np.float64]:
    """Return how near each image of a cluster has its neighbours: 1 / (1 + mean distance)."""
    some = points
    if len(points) > _MOST_COMPARED:
        some = points[generator.choice(len(points), _MOST_COMPARED, replace=False)]
    neighbours = min(_NEIGHBOURS + 1, len(some))  # with itself
    apart = NearestNeighbors(n_neighbors=neighbours).fit(some).kneighbors(points)[0]
    return np.asarray(1 / (1 + apart.mean(axis=1, dtype=np.float64)))


def _nearness(points: Floats, _: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(-np.linalg.norm(points - points.mean(axis=0), axis=1), dtype=np.float64)
