"""Share of wrong answers against the share of images that are answered, the surest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_MOST_POINTS = 200  # of a curve that is drawn


@dataclass(frozen=True)
class RiskCoverage:
    """Curve of the wrong among the answered, as ever more images are answered.

    Attributes
    ----------
    answered, risk : list of float
        Share of the images, and share of wrong answers among these; the last is that of all images.
    area : float
        Mean risk over all shares: the lower, the better the head knows what it does not know.
    best_area : float
        That of a head which is as often wrong and answers these images last.
    """

    answered: list[float]
    risk: list[float]
    area: float
    best_area: float


def risk_coverage(confidence: ArrayLike, right: ArrayLike) -> RiskCoverage:
    """Return the curve of images that are answered in the order of `confidence` (n_images,), given which are right.

    Images of one confidence are answered together, and each counts with their mean.

    Raises
    ------
    DataError
        There is no image, or not one confidence for each.

    References
    ----------
    El-Yaniv & Wiener, "On the foundations of noise-free selective classification", JMLR 11, 2010. Geifman, Uziel &
    El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019 (the area).
    """
    sure, wrong = np.asarray(confidence, dtype=np.float64), 1.0 - np.asarray(right, dtype=np.float64)
    if sure.ndim != 1 or sure.shape != wrong.shape or not len(sure):
        raise DataError(f"{sure.shape} confidences for {wrong.shape} answers; give one for each of at least one image")
    _, number, counts = np.unique(-sure, return_inverse=True, return_counts=True)
    errors = np.repeat(np.bincount(number, wrong) / counts, counts)
    answered = np.arange(1, len(sure) + 1)
    risk = np.cumsum(errors) / answered
    best = np.cumsum(np.sort(wrong)) / answered
    shown = np.unique(np.linspace(0, len(sure) - 1, min(len(sure), _MOST_POINTS)).astype(int))
    return RiskCoverage(
        (answered[shown] / len(sure)).tolist(), risk[shown].tolist(), float(risk.mean()), float(best.mean())
    )
