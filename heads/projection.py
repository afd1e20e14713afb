"""Embeddings onto a plane, for the report's map."""

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from heads.errors import DataError

PCA_SIZE = 50
PERPLEXITY = 30
FEWEST_FOR_TSNE = 10  # below, there are no neighbourhoods to keep


def project(embedding: NDArray[np.floating], seed: int = 0) -> NDArray[np.float64]:
    """Project images onto a plane so that neighbours stay neighbours: PCA to 50 dimensions, then t-SNE.

    Fewer than ten images, and embeddings of at most two features, are shown by PCA alone (see `uses_tsne`). The same
    embedding and seed give the same points on any number of cores.

    Parameters
    ----------
    embedding : (n_images, n_features) float
        Two thousand images take a few seconds.
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
        perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
        points: NDArray[np.float64] = TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(reduced)
        return points.astype(np.float64)


def uses_tsne(embedding: NDArray[np.floating]) -> bool:
    """Say whether `project` goes on to t-SNE after PCA, for an (n_images, n_features) embedding."""
    n_images, n_features = embedding.shape
    return bool(n_images >= FEWEST_FOR_TSNE and n_features > 2)
