"""The ridge head for a whole grid of penalties on one fold, from one eigendecomposition."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from heads.gram import ROWS_AT_ONCE, decompose_gram
from heads.ridge import RidgeSoftmaxClassifier, class_targets, left_out_scores
from heads.softmax import Floats, fit_temperatures
from heads.standardisation import standardise

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]

COLUMNS_AT_ONCE = 256  # scores of so many penalties × classes are held at a time; fewer make slow matrix products


class Spectrum(NamedTuple):
    """What every penalty a has in common: weights are directions (moments / (lengths + a)), for centred features X.

    Parameters
    ----------
    lengths : ndarray of shape (n_directions,)
        Eigenvalues of the Gram matrix.
    directions : ndarray of shape (n_features, n_directions)
        V of XᵀX = V diag(lengths) Vᵀ, or XᵀU of XXᵀ = U diag(lengths) Uᵀ.
    moments : ndarray of shape (n_directions, n_classes)
        VᵀXᵀT or UᵀT of the targets T.
    squares : ndarray of shape (n_images, n_directions)
        An image's leverage is the sum of its row over lengths + a.
    """

    lengths: Doubles
    directions: Doubles
    moments: Doubles
    squares: Floats


def solve_ridge(
    features: Singles,
    codes: NDArray[np.intp],
    scored: Singles,
    grid: Sequence[Mapping[str, Any]],
    seed: int,  # noqa: ARG001 - every path takes a seed; this one draws nothing
) -> list[Doubles]:
    """Return the probabilities that the ridge head, fitted with each choice of hyper-parameters, gives to other images.

    They are those of `heads.ridge.make_ridge` but for the rounding of float32 scores.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
        Not standardised: that is done here, by these images.
    codes : int ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1, each of them present.
    scored : float32 ndarray of shape (n_scored, n_features)
    grid : sequence of mapping of str to object
        Hyper-parameters of `RidgeSoftmaxClassifier`.
    seed : int

    Returns
    -------
    list of float64 ndarray of shape (n_scored, n_classes)
        One for each entry of `grid`, in its order.

    Raises
    ------
    ValueError
        An alpha is not above 0.
    """
    alphas = _alphas(grid)
    # Where images are few, leave-one-out divides by what is left of 1 beside a leverage of nearly 1.
    dtype: Any = np.float32 if len(features) >= 2 * features.shape[1] else np.float64
    known, asked = standardise(features, scored, dtype)
    targets = class_targets(codes, int(codes.max()) + 1)
    mean = targets.mean(axis=0)
    spectrum = decompose(known, targets - mean)
    by_class, height = targets.T.astype(dtype, order="C"), mean[:, None].astype(dtype)
    probabilities: list[Doubles] = []
    at_once = max(1, COLUMNS_AT_ONCE // len(mean))
    for at in range(0, len(alphas), at_once):
        fitted, scores, leverages = _solve_some(spectrum, alphas[at : at + at_once], known, asked)
        temperatures = fit_temperatures(left_out_scores(by_class, fitted + height, leverages), codes)
        for part, temperature in zip(scores, temperatures, strict=True):
            probabilities.append(softmax((part.T + mean) / temperature, axis=1))
    return probabilities


def decompose(features: Floats, targets: Doubles) -> Spectrum:
    """Return the spectrum of centred features (n_images, n_features) and targets (n_images, n_classes).

    The smaller of the two Gram matrices is decomposed, summed up and solved in float64: small penalties need it.
    """
    n_images, n_features = features.shape
    if n_features <= n_images:
        starts = range(0, n_images, ROWS_AT_ONCE)
        lengths, directions = decompose_gram(
            (features[at : at + ROWS_AT_ONCE].astype(np.float64) for at in starts), n_features
        )
        moments = np.zeros((targets.shape[1], n_features))
        for at in starts:
            moments += targets[at : at + ROWS_AT_ONCE].T @ features[at : at + ROWS_AT_ONCE]
        squares = features @ directions.astype(features.dtype)
        np.square(squares, out=squares)
        return Spectrum(lengths, directions, directions.T @ moments.T, squares)
    lengths, units = np.linalg.eigh(features @ features.T)
    lengths = np.maximum(lengths, 0.0)
    return Spectrum(lengths, features.T @ units, units.T @ targets, np.square(units) * lengths)


def _solve_some(spectrum: Spectrum, alphas: Doubles, known: Floats, asked: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the scores of known and asked images (n_alphas, n_classes, n), less their mean, and known ones' leverages.

    Classes come before images, as `fit_temperatures` wants them.
    """
    inverse = 1.0 / (spectrum.lengths + alphas[:, None])
    solved = (spectrum.moments.T * inverse[:, None]).reshape(-1, len(spectrum.lengths))
    weights = (solved @ spectrum.directions.T).astype(known.dtype)
    shape = len(alphas), spectrum.moments.shape[1], -1
    fitted, scores = (weights @ known.T).reshape(shape), (weights @ asked.T).reshape(shape)
    return fitted, scores, inverse.astype(known.dtype) @ spectrum.squares.T


def _alphas(grid: Sequence[Mapping[str, Any]]) -> Doubles:
    heads = [RidgeSoftmaxClassifier(**params) for params in grid]
    for head in heads:
        head.check_alpha()
    return np.array([head.alpha for head in heads], dtype=np.float64)
