"""LogME: how probable the labels are under a Bayesian linear model on the features, with nothing chosen by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.transfer.spectrum import Spectrum, decompose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_MOST_STEPS = 1000
_CLOSE = 1e-10  # relative gain of a step
_TINY = np.finfo(np.float64).tiny


def log_evidence(X: NDArray[Any] | Spectrum, targets: NDArray[Any]) -> float:
    """Return the largest log evidence of a Bayesian linear model, by image and averaged over targets.

    Of each target, y ~ N(X m, 1/beta) with m ~ N(0, 1/alpha); alpha and beta are those that make y most probable. After
    You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning" (2021), with the determinant
    of all columns also where there are fewer images than columns.

    Parameters
    ----------
    X : float array of shape (n_images, n_features), or Spectrum
        The latter, of centred features, with targets that are centred, too: then there is an intercept.
    targets : float array of shape (n_images, n_targets)
        A column of 0 and 1 for each class, or numbers.
    """
    spectrum = X if isinstance(X, Spectrum) else decompose(X)
    y = np.asarray(targets, np.float64)
    along = spectrum.vectors.T @ y
    beside = np.maximum((y**2).sum(axis=0) - (along**2).sum(axis=0), 0.0)
    found = [_largest(spectrum, *one) for one in zip(along.T, beside.tolist(), strict=True)]
    return float(np.mean(found) / spectrum.n_free)


def _largest(spectrum: Spectrum, along: Doubles, beside: float) -> float:
    """Return the log evidence of one target at its largest.

    Parameters
    ----------
    along : float64 ndarray of shape (k,)
        The target in the directions of the features.
    beside : float
        Square of what lies in none of them.
    """
    squares, d, n = spectrum.squares, spectrum.n_columns, spectrum.n_free
    least = _CLOSE**2 * (beside + float((along**2).sum())) + _TINY  # of what is told exactly, the evidence has no end
    alpha, beta, best = 1.0, 1.0, -np.inf
    for _ in range(_MOST_STEPS):
        shrunk = alpha + beta * squares
        residual = beside + float(((alpha / shrunk * along) ** 2).sum())
        size = float((beta**2 * squares * along**2 / shrunk**2).sum())
        log_determinant = float(np.log(shrunk).sum()) + (d - len(squares)) * np.log(alpha)
        fit = beta * residual + alpha * size
        found = 0.5 * (d * np.log(alpha) + n * np.log(beta / (2 * np.pi)) - log_determinant - fit)
        if found - best <= _CLOSE * abs(found):
            return float(max(found, best))
        best = found
        effective = float((beta * squares / shrunk).sum())
        alpha, beta = effective / max(size, _TINY), (n - effective) / max(residual, least)
    return float(best)
