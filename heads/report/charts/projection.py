"""Embeddings onto a plane, for the report's map."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from headstart.heads.errors import DataError

PCA_SIZE = 50
PERPLEXITY = 30
MOST_TSNE = 1000  # images that t-SNE places, in less than a second of a processor; 2500 take three times as long
# A third of scikit-learn's steps and coarser far forces keep the same neighbours in a quarter of its time
# (benchmarks/bench_map.py).
STEPS, ANGLE = 320, 1.0
NEIGHBOURS = 5  # of these, which place each further image
FEWEST_FOR_TSNE = 10  # below, there are no neighbourhoods to keep


def project(embedding: NDArray[np.floating], seed: int = 0) -> NDArray[np.float64]:
    """Project images onto a plane so that neighbours stay neighbours: PCA to 50 dimensions, then t-SNE.

    Fewer than ten images, and embeddings of at most two features, are shown by PCA alone (see `uses_tsne`). Of more
    than 1000 images, as many are drawn at random for t-SNE, and every other one stands at the median of its five
    nearest. The same embedding and seed give the same points on any number of cores.

    Parameters
    ----------
    embedding : (n_images, n_features) float
        A thousand images take less than a second, ten thousand hardly longer.
    seed : int

    Returns
    -------
    (n_images, 2) float64
        Without a unit: only who is near whom means something.

    Raises
    ------
    DataError
        The embedding is not a matrix, is empty or is not finite.

    References
    ----------
    L. van der Maaten, G. Hinton, "Visualizing Data using t-SNE", JMLR 9 (2008). The start from PCA keeps the coarse
    layout: D. Kobak, P. Berens, "The art of using t-SNE for single-cell transcriptomics", Nat. Commun. 10 (2019).
    """
    features = np.asarray(embedding, dtype=np.float64)
    if features.ndim != 2 or 0 in features.shape:
        raise DataError(
            f"embedding for the map has shape {features.shape}, expected (n_images, n_features) with one or more "
            "of each; pass one row of features per image"
        )
    if not np.isfinite(features).all():
        rows = np.flatnonzero(~np.isfinite(features).all(axis=1))
        raise DataError(
            f"embedding for the map: {len(rows)} of {len(features)} rows hold NaN or infinity, first row {rows[0]}; "
            "leave these images out or embed them again"
        )
    if not np.ptp(features, axis=0).any():
        return np.zeros((len(features), 2))  # one and the same image: PCA would divide by its spread
    # One thread sums in one order, and t-SNE magnifies a last bit into another picture.
    with threadpool_limits(limits=1):
        size = min(PCA_SIZE, *features.shape)
        reduced = PCA(size, random_state=seed).fit_transform(features)
        if not uses_tsne(features):
            return np.pad(reduced, ((0, 0), (0, 2)))[:, :2]
        placed = np.arange(len(features))
        if len(features) > MOST_TSNE:
            placed = np.sort(np.random.default_rng(seed).choice(len(features), MOST_TSNE, replace=False))
        perplexity = min(PERPLEXITY, (len(placed) - 1) / 3)
        tsne = TSNE(init="pca", perplexity=perplexity, max_iter=STEPS, angle=ANGLE, random_state=seed)
        points: NDArray[np.float64] = tsne.fit_transform(reduced[placed]).astype(np.float64)
        return points if len(placed) == len(features) else _between_neighbours(reduced, placed, points)


def _between_neighbours(
    reduced: NDArray[np.float64], placed: NDArray[np.intp], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Place the images that have no point yet: a median stays inside a cluster where a mean would fall between two."""
    everywhere = np.empty((len(reduced), 2))
    everywhere[placed] = points
    others = np.setdiff1d(np.arange(len(reduced)), placed)
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(reduced[placed]).kneighbors(reduced[others])[1]
    everywhere[others] = np.median(points[nearest], axis=1)
    return everywhere


def uses_tsne(embedding: NDArray[np.floating]) -> bool:
    """Say whether `project` goes on to t-SNE after PCA, for an (n_images, n_features) embedding."""
    n_images, n_features = embedding.shape
    return bool(n_images >= FEWEST_FOR_TSNE and n_features > 2)
