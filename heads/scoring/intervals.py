"""95 % intervals of shares: Wilson's, at the number of independent images that would vary as much."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm, t

from headstart.heads.scoring.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from headstart.heads.scoring.metrics import Metric

    Doubles = NDArray[np.float64]


CONFIDENCE = 0.95


@cache
def quantile(n_groups: int | None = None) -> float:
    """Return how many standard errors an interval reaches: Student's with n_groups - 1, or the normal's for images."""
    tail = 0.5 + CONFIDENCE / 2
    return float(norm.ppf(tail) if n_groups is None else t.ppf(tail, n_groups - 1))


def wilson(value: float, n_images: float, reach: float) -> tuple[float, float]:
    """Return Wilson's interval of a share `value` of `n_images`, which need not be whole; `reach` is `quantile`'s.

    (p + z²/2n ± z √(p (1-p) / n + z²/4n²)) / (1 + z²/n)
    """
    z2 = reach * reach
    centre = value + z2 / (2 * n_images)
    half = reach * math.sqrt(value * (1 - value) / n_images + z2 / (4 * n_images**2))
    widened = 1 + z2 / n_images
    return max(0.0, (centre - half) / widened), min(1.0, (centre + half) / widened)


def effective_size(value: float, variance: float, most: float, where_none: float) -> float:
    """Return n with p (1-p) / n = `variance`, at least 1 and at most `most`; `where_none` if nothing varies.

    That nothing varies in a small set (all right, or each group alike) is a matter of luck: the estimated variance of
    0 says nothing, and the number of images is all there is to go by.
    """
    if variance <= 0.0 or not 0.0 < value < 1.0:
        return max(1.0, where_none)
    return max(1.0, min(most, value * (1 - value) / variance))


def cluster_variance(right: Doubles, sizes: Doubles) -> float:
    """Return the variance of Σ right / Σ sizes over groups (n_groups,) each, of at least two groups.

    That of a ratio estimator: G / (G-1) Σ (k_g - p s_g)² / n².
    """
    n_groups, n_images = len(sizes), sizes.sum()
    residual = right - right.sum() / n_images * sizes
    return float(n_groups / (n_groups - 1) * (residual**2).sum() / n_images**2)


def recall_variance(right: Doubles, counts: Doubles) -> float:
    """Return the variance of the mean recall of classes (n_classes,) each, images being independent.

    Σ q_c (1-q_c) / (n_c-1) / C², over the C classes that have images.
    """
    n = counts[counts > 0]
    recall = right[counts > 0] / n
    return float((recall * (1 - recall) / np.maximum(n - 1, 1)).sum() / len(n) ** 2)


def mean_size(per_unit: Any) -> tuple[float, float]:
    """Return how many independent images a mean over classes is worth: counting images, and counting groups at least.

    A mean over C classes of shares of n_c images each, all of one p, varies as one share of C² / Σ (1 / n_c) images. In
    groups that are right or wrong as a whole, n_c images are worth n_c² / Σ s² of them, s being the groups' parts.

    Parameters
    ----------
    per_unit : sparse array of shape (n_units, n_classes)
        Images of each class in each group.
    """
    counts = np.asarray(per_unit.sum(axis=0), dtype=np.float64)
    squares = np.asarray((per_unit * per_unit).sum(axis=0), dtype=np.float64)[counts > 0]
    counts = counts[counts > 0]
    return len(counts) ** 2 / float((1 / counts).sum()), len(counts) ** 2 / float((squares / counts**2).sum())


class MetricIntervals:
    """Common basis of the intervals of all candidates; `heads.scoring.score_predictions` says how they are made.

    Parameters
    ----------
    true : sparse array of shape (n_units, n_classes)
        Images of each class in each unit, an image or a group, that is drawn as one.
    """

    def __init__(self, true: Any) -> None:
        self._sizes = np.asarray(true.sum(axis=1), dtype=np.float64)
        self._counts = np.asarray(true.sum(axis=0), dtype=np.float64)
        self._n_units, self._n_images = len(self._sizes), float(self._sizes.sum())
        self._grouped = self._n_units < self._n_images
        self._reach = quantile(self._n_units if self._grouped else None)
        self._sizes_of_share = self._n_images, self._n_images**2 / float((self._sizes**2).sum())
        self._sizes_of_means = mean_size(true)

    def ends(
        self, values: Mapping[str, float | None], right: Any, drawn: Mapping[str, Doubles]
    ) -> dict[str, tuple[float, float]]:
        """Return the interval of every metric.

        Parameters
        ----------
        values : mapping of str to float or None
            Every metric over all images.
        right : sparse array of shape (n_units, n_classes)
            Images of each class that are right.
        drawn : mapping of str to float64 ndarray of shape (n_resamples,)
            Every metric over resamples of the units.
        """
        return {
            name: self._end(METRICS[name], values[name], right, of_resamples) for name, of_resamples in drawn.items()
        }

    def end_of_added(self, metric: Metric, added: Doubles, units: NDArray[np.intp]) -> tuple[float, float]:
        """Return the interval of a share from what each image (n_images,) adds to it; `units` numbers the units."""
        parts = np.bincount(units, added - added.mean())
        variance = float(parts @ parts) * (self._n_units / max(1, self._n_units - 1) if self._grouped else 1.0)
        # Pairs of images, of which a metric of ranks tells, are more than the images: it may vary less than a share.
        sizes = self._sizes_of_share if metric.spread == "right" else (math.inf, self._sizes_of_means[1])
        share = float(np.clip(added.sum(), 0.0, 1.0))
        return wilson(share, effective_size(share, variance, *sizes), self._reach)

    def _end(self, metric: Metric, value: float | None, right: Any, drawn: Doubles) -> tuple[float, float]:
        if metric.unit != "share":
            low, high = np.percentile(drawn, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
            return float(low), float(high)
        share = float(value or 0.0)
        if metric.spread == "right":
            if self._grouped:
                variance = cluster_variance(np.asarray(right.sum(axis=1)), self._sizes)
            else:
                variance = share * (1 - share) / self._n_images
            size = effective_size(share, variance, *self._sizes_of_share)
        else:
            if metric.spread == "recalls" and not self._grouped:
                variance = recall_variance(np.asarray(right.sum(axis=0)), self._counts)
            else:  # resamples of G groups vary (G-1) / G as much as new sets of G groups do
                variance = float(drawn.var()) * self._n_units / max(1, self._n_units - 1)
            size = effective_size(share, variance, *self._sizes_of_means)
        return wilson(share, size, self._reach)
