"""Distance of an image to those of the fit, by its features scaled to unit length: Mahalanobis', or to the nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from headstart.heads.errors import DataError
from headstart.heads.features import feature_matrix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

OUTLIER_METHODS = ("mahalanobis", "knn")
N_NEIGHBORS = 10
MOST_NUMBERS = 2**24
"""Of the images that others are compared with, 64 MB in the saved model: 8192 of 2048 features."""
_LEAST_SHRINKAGE = 1e-3
_SHORTEST = 1e-12  # a row of zeros has no direction
_BLOCK = 2048  # images whose distances are computed at once


@dataclass(frozen=True)
class OutlierScore:
    """Distances to the images of a fit; the larger, the less an image is like them.

    Parameters
    ----------
    method : {"mahalanobis", "knn"}
    arrays : mapping of str to float32 ndarray
        Of ``mahalanobis``: class means ``means`` (n_means, n_features), and ``spread`` (n_rows, n_features), rows that
        whiten. Of ``knn``: ``images`` (n_images, n_features) of unit length.
    plain : float
        Of ``mahalanobis``: weight of the plain squared distance, from which the rows of `spread` subtract; 0 where
        they span all features, and add up.
    """

    method: str
    arrays: Mapping[str, NDArray[np.float32]]
    plain: float = 0.0

    @property
    def n_features(self) -> int:
        """Length of the rows that are asked about."""
        return int(next(iter(self.arrays.values())).shape[1])

    def distance(self, features: ArrayLike) -> Doubles:
        """Return the distance of each image, (n_images,), by features (n_images, n_features).

        Raises
        ------
        DataError
            The features are no such matrix.
        """
        X = feature_matrix(features, len(np.asarray(features)))
        if X.shape[1] != self.n_features:
            raise DataError(
                f"features have {X.shape[1]} columns, expected {self.n_features}, as the images of the fit have; embed "
                "the images as these were"
            )
        ask = _mahalanobis if self.method == "mahalanobis" else _to_nearest
        parts = [ask(self, _units(X[start : start + _BLOCK])) for start in range(0, len(X), _BLOCK)]
        return np.concatenate([np.empty(0), *parts])


def fit_outliers(features: ArrayLike, y: ArrayLike, *, method: str = "mahalanobis", seed: int = 0) -> OutlierScore:
    """Return a measure of how far images are from these.

    ``mahalanobis``: the distance to the nearest class mean, in units of the spread inside the classes, whose covariance
    is shrunk as Ledoit and Wolf advise. ``knn``: the distance to the tenth nearest image.

    Parameters
    ----------
    features : array-like of shape (n_images, n_features)
    y : int array of shape (n_images,)
        Classes.
    method : {"mahalanobis", "knn"}
    seed : int
        Draws the images that are kept, where there are so many that their features are more than `MOST_NUMBERS`.

    Raises
    ------
    DataError
        There is no such method, or features are no matrix of finite numbers with an image at least.

    References
    ----------
    Lee, Lee, Lee & Shin, "A simple unified framework for detecting out-of-distribution samples and adversarial
    attacks", NeurIPS 2018. Müller & Hein, "Mahalanobis++: improving OOD detection via feature normalization", ICML 2025
    (unit length). Sun, Ming, Zhu & Li, "Out-of-distribution detection with deep nearest neighbors", ICML 2022. Ledoit &
    Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", JMVA 88, 2004.
    """
    labels = np.asarray(y)
    X = feature_matrix(features, len(labels))
    if method not in OUTLIER_METHODS or not len(X):
        raise DataError(
            f"{len(X)} images and the method {method!r}; give some, and one of {', '.join(OUTLIER_METHODS)}"
        )
    kept = np.arange(len(X))
    if X.size > MOST_NUMBERS:
        most = max(N_NEIGHBORS, MOST_NUMBERS // X.shape[1])
        kept = np.sort(np.random.default_rng(seed).permutation(len(X))[:most])
    units = _units(X[kept])
    if method == "knn":
        return OutlierScore(method, {"images": units.astype(np.float32)})
    _, codes = np.unique(labels[kept], return_inverse=True)
    means = np.stack([units[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    spread, plain = _whitening(units - means[codes])
    return OutlierScore(method, {"means": means.astype(np.float32), "spread": spread.astype(np.float32)}, plain)


def _whitening(centred: Doubles) -> tuple[Doubles, float]:
    """Return rows R and a weight w: the squared distance of d is |R d|² where w is 0, and w |d|² - |R d|² elsewhere.

    Of fewer images than features the covariance is never formed: (b + a Zᵀ Z)⁻¹ = (1 - Zᵀ (b/a + Z Zᵀ)⁻¹ Z) / b.
    """
    n_images, n_features = centred.shape
    few = n_images < n_features
    gram = (centred @ centred.T if few else centred.T @ centred) / n_images
    shrinkage, mean = _ledoit_wolf(centred, gram)
    ridge, weight = max(shrinkage * mean, _SHORTEST), 1 - shrinkage
    gram *= weight
    gram[np.diag_indices_from(gram)] += ridge
    root = cholesky(gram, lower=True, overwrite_a=True)
    if not few:
        return solve_triangular(root, np.eye(n_features), lower=True, overwrite_b=True), 0.0
    rows = solve_triangular(root, centred * np.sqrt(weight / n_images / ridge), lower=True, overwrite_b=True)
    return rows, 1 / ridge


def _ledoit_wolf(centred: Doubles, gram: Doubles) -> tuple[float, float]:
    """Return the shrinkage, and the mean variance to shrink to.

    The Gram matrix of images has the trace and the norm of the covariance of features, which are all that is needed.
    """
    n_images, n_features = centred.shape
    trace, norm = float(np.trace(gram)), float((gram**2).sum())
    mean = trace / n_features
    fourth = float((np.einsum("ij,ij->i", centred, centred) ** 2).sum())
    spread = norm - trace * mean
    shrinkage = (fourth / n_images - norm) / n_images / spread if spread > 0 else 1.0
    return min(1.0 - _LEAST_SHRINKAGE, max(_LEAST_SHRINKAGE, shrinkage)), mean


def _mahalanobis(score: OutlierScore, units: Doubles) -> Doubles:
    means, spread = (score.arrays[name].astype(np.float64) for name in ("means", "spread"))
    whitened = _squared(units @ spread.T, means @ spread.T)
    squared = score.plain * _squared(units, means) - whitened if score.plain else whitened
    return np.asarray(np.sqrt(np.maximum(0.0, squared.min(axis=1))))


def _to_nearest(score: OutlierScore, units: Doubles) -> Doubles:
    images = score.arrays["images"].astype(np.float64)
    number = min(N_NEIGHBORS, len(images)) - 1
    squared = np.partition(_squared(units, images), number, axis=1)[:, number]
    return np.asarray(np.sqrt(np.maximum(0.0, squared)))


def _squared(left: Doubles, right: Doubles) -> Doubles:
    """Return squared distances of all pairs of rows."""
    lengths = [np.einsum("ij,ij->i", rows, rows) for rows in (left, right)]
    return np.asarray(lengths[0][:, None] + lengths[1] - 2 * left @ right.T)


def _units(X: NDArray[np.float32]) -> Doubles:
    rows = X.astype(np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), _SHORTEST))
