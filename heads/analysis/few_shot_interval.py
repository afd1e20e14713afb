"""The interval of a few-shot curve's point: over new draws, on new images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t

from headstart.heads.scoring import CONFIDENCE, cluster_variance, effective_size, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.heads.analysis.few_shot_fits import Fold

    Doubles = NDArray[np.float64]
    Rows = NDArray[np.intp]


def variance_of_draws(size: int | None, folds: list[Fold], right: list[Doubles], units: Rows) -> tuple[float, int]:
    """Return the variance that comes from drawing, and its degrees of freedom; 0 and 1 with a single draw."""
    draws, n_folds = len(right[0]), len(folds)
    share = float(np.mean([fold.share(size) for fold in folds]))
    if draws == 1 or share == 1.0:
        return 0.0, 1
    spread = float(np.mean([_spread(part, units[fold.score]) for fold, part in zip(folds, right, strict=True)]))
    return max(0.0, spread) * (1.0 / (draws * n_folds) + share / (1.0 - share)), n_folds * (draws - 1)


def _spread(right: Doubles, units: Rows) -> float:
    """Variance between draws (n_draws, n_scored), as it would be on infinitely many images.

    The variance on these images alone is larger by the interaction of draw and image, estimated from what the means of
    both leave over; the variance over images holds that already.
    """
    of_draw = right.mean(axis=1)
    left = right - of_draw[:, None] - right.mean(axis=0) + right.mean()
    numbers = np.unique(units, return_inverse=True)[1]
    n_units, n_draws, n_images = int(numbers.max()) + 1, *right.shape
    if n_units < 2:
        return float(of_draw.var(ddof=1))
    by_unit = np.stack([np.bincount(numbers, row) for row in left])
    between = (by_unit**2).sum() / (n_draws - 1) * n_units / (n_units - 1) / n_images**2
    return float(of_draw.var(ddof=1) - between)


def interval_of_mean(
    value: float, of_draws: float, freedom: int, shares: Doubles, units: Rows, independent: bool
) -> tuple[float, float]:
    """Return the ends for the mean `value` of each scored image's share of right draws (n_scored,)."""
    n_images = len(shares)
    numbers = np.unique(units, return_inverse=True)[1]
    right = np.bincount(numbers, shares).astype(np.float64)
    sizes = np.bincount(numbers).astype(np.float64)
    if len(sizes) < 2:
        return 0.0, 1.0
    of_images = cluster_variance(right, sizes)
    variance = of_draws + of_images
    independent_images = n_images**2 / float((sizes**2).sum())
    images_freedom = math.inf if independent else len(sizes) - 1
    # Welch and Satterthwaite: (a + b)² / (a² / f + b² / g).
    reciprocal = of_draws**2 / freedom + of_images**2 / images_freedom
    reach = t.ppf(0.5 + CONFIDENCE / 2, variance**2 / reciprocal if reciprocal > 0 else images_freedom)
    # A mean over draws can vary less than one share of n_images would, and is held at that all the same: on folds the
    # estimate is too small, for an odd image is often wrong itself and spoils what is fitted on it in other folds.
    return wilson(value, effective_size(value, variance, n_images, independent_images), float(reach))
