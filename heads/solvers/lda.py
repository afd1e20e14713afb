"""The discriminant head for a whole grid of shrinkages on one fold, from one eigendecomposition."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from headstart.heads.estimators import ShrunkDiscriminantClassifier, common_weight
from headstart.heads.solvers.sums import ROWS_AT_ONCE, decompose_gram, standardise

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]


class Spectrum(NamedTuple):
    """Decomposition that all shrinkages share, for the covariance S = ZᵀZ of features Z less their classes' means M.

    Parameters
    ----------
    lengths : ndarray of shape (n_directions,)
        Eigenvalues of S, but for zeros.
    directions : ndarray of shape (n_features, n_directions)
        V of S = V diag(lengths) Vᵀ, or ZᵀU of ZZᵀ = U diag(lengths) Uᵀ.
    moments : ndarray of shape (n_directions, n_classes)
        VᵀMᵀ or UᵀZMᵀ.
    is_whole : bool
        Whether it is V, all of it: otherwise the inverse of bI + aS is (I - directions a / (b + a lengths) directionsᵀ)
        / b, by Woodbury.
    """

    lengths: Doubles
    directions: Doubles
    moments: Doubles
    is_whole: bool


def solve_lda(
    features: Singles,
    codes: NDArray[np.intp],
    scored: Singles,
    grid: Sequence[Mapping[str, Any]],
    seed: int,  # noqa: ARG001 - every path takes a seed; this one draws nothing
) -> list[Doubles]:
    """Return the probabilities that the lda head, fitted with each choice of hyper-parameters, gives to other images.

    They are those of `make_lda`. With S = V diag(λ) Vᵀ the shrunk covariance is V diag((1 - s) λ + s m) Vᵀ
    for every shrinkage s.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
        Not standardised: that is done here, by these images.
    codes : int ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1, each of them present.
    scored : float32 ndarray of shape (n_scored, n_features)
    grid : sequence of mapping of str to object
        Hyper-parameters of `ShrunkDiscriminantClassifier`.
    seed : int

    Returns
    -------
    list of float64 ndarray of shape (n_scored, n_classes)
        One for each entry of `grid`, in its order.

    Raises
    ------
    ValueError
        A shrinkage is out of its range.
    """
    heads = [ShrunkDiscriminantClassifier(**params) for params in grid]
    for head in heads:
        head.check_shrinkage()
    known, asked = standardise(features, scored)
    counts = np.bincount(codes)
    means = np.stack([known[codes == code].mean(axis=0, dtype=np.float64) for code in range(len(counts))])
    weighing = ShrunkDiscriminantClassifier(class_weight=common_weight(grid))
    weighing.classes_ = np.arange(len(counts))
    relative = weighing.relative_weights(counts)
    spectrum = decompose_within(known, codes, means, None if weighing.class_weight is None else np.sqrt(relative))
    asked = asked.astype(np.float64)
    probabilities = []
    for head in heads:
        weights = _solve(spectrum, means.T, head.shrinkage)
        intercept = np.log(relative * counts / len(codes)) - 0.5 * np.einsum("ij,ji->i", means, weights)
        probabilities.append(softmax(asked @ weights + intercept, axis=1))
    return probabilities


def decompose_within(
    features: Singles, codes: NDArray[np.intp], means: Doubles, factors: Doubles | None = None
) -> Spectrum:
    """Return the spectrum of features (n_images, n_features) less their classes' means (n_classes, n_features).

    The rows of each class are multiplied by its factor, (n_classes,).
    The smaller of the two Gram matrices is decomposed, in float64.
    """
    n_images, n_features = features.shape
    if n_features <= n_images:
        parts = [slice(at, at + ROWS_AT_ONCE) for at in range(0, n_images, ROWS_AT_ONCE)]
        within = (features[rows] - means[codes[rows]] for rows in parts)
        if factors is not None:
            within = (factors[codes[rows], None] * one for rows, one in zip(parts, within, strict=True))
        lengths, directions = decompose_gram(within, n_features)
        return Spectrum(lengths / n_images, directions, directions.T @ means.T, is_whole=True)
    centred = (features - means[codes]) / np.sqrt(n_images)
    if factors is not None:
        centred *= factors[codes, None]
    lengths, units = np.linalg.eigh(centred @ centred.T)
    return Spectrum(np.maximum(lengths, 0.0), centred.T @ units, units.T @ (centred @ means.T), is_whole=False)


def _solve(spectrum: Spectrum, means: Doubles, shrinkage: float) -> Doubles:
    """Return W (n_features, n_classes) of ((1 - s) S + s m I) W = means, as the head does for a single s."""
    # With one image a class, or copies alone, nothing varies within: any ridge gives the direction of the means.
    ridge = shrinkage * float(spectrum.lengths.sum()) / len(means) or 1.0
    inverse = 1.0 / ((1.0 - shrinkage) * spectrum.lengths + ridge)
    solved = spectrum.directions @ (inverse[:, None] * spectrum.moments)
    return solved if spectrum.is_whole else (means - (1.0 - shrinkage) * solved) / ridge
