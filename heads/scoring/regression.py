"""Scores of predicted numbers, with 95 % intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import norm

from headstart.heads.errors import DataError
from headstart.heads.scoring.functions import NumberErrors, NumberSums, OfNumbers
from headstart.heads.scoring.intervals import quantile
from headstart.heads.scoring.metrics import REGRESSION_METRICS, Score, find_metric
from headstart.heads.scoring.resampling import draw_resamples, number_units

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

_NO_SPREAD = 1e-12  # of the whole set's squares: below it, rounding is all that is left of a resample's


def measure_numbers(y_true: ArrayLike, y_pred: ArrayLike) -> dict[str, float | None]:
    """Return every metric of `REGRESSION_METRICS`, without intervals; parameters as for `score_numbers`."""
    parts = _parts(np.asarray(y_true), np.asarray(y_pred))
    return {name: _known(values[0]) for name, values in _metrics_of_sums(parts.sum(axis=0)[None], parts).items()}


def score_numbers(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
) -> dict[str, Score | None]:
    """Return every metric of `REGRESSION_METRICS` with its 95 % interval by bootstrap over images, or over groups.

    R² (1 less the share of the numbers' variance that the errors have), MAE (mean absolute error) and RMSE (root of the
    mean squared error) are scikit-learn's; R² is None where the numbers do not vary. The interval has the bootstrap's
    percentiles, taken further out for few images or groups, as Student's quantiles are. A single group says nothing of
    how groups differ: its intervals leave all that is possible, with infinite ends.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_images,)
        Numbers, in the target's unit.
    groups : int array of shape (n_images,) or None
        Images with the same number are drawn together.
    seed, n_resamples : int
        Of the bootstrap.

    Raises
    ------
    DataError
        There is no image, a number is not finite, or the shapes do not agree.

    References
    ----------
    Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13 (percentiles); Davison & Hinkley,
    "Bootstrap methods and their application", 1997, section 3.8 (whole groups); Hesterberg, "What teachers should know
    about the bootstrap", The American Statistician 69, 2015 (expanded percentiles).
    """
    parts = _parts(np.asarray(y_true), np.asarray(y_pred))
    values = measure_numbers(y_true, y_pred)
    units = number_units(groups, len(parts))
    n_units = int(units.max()) + 1
    if n_units == 1:
        ends = {name: metric.ends for name, metric in REGRESSION_METRICS.items()}
    else:
        per_unit: Doubles = np.column_stack([np.bincount(units, column, n_units) for column in parts.T]).astype(
            np.float64
        )
        ends = _percentiles(per_unit, parts, seed, n_resamples)
    return {
        name: None if value is None else Score(value, min(ends[name][0], value), max(ends[name][1], value))
        for name, value in values.items()
    }


def _parts(true: NDArray[Any], pred: NDArray[Any]) -> Doubles:
    """Return each image's terms of the metrics, (n_images, 5): 1, its number less the mean, squared; |error|, error².

    Every metric is a function of their sums, so a resample is one row of a matrix product.
    """
    if true.ndim != 1 or true.shape != pred.shape or not len(true):
        raise DataError(
            f"numbers have shape {true.shape}, predictions {pred.shape}; expected (n_images,) of at least one"
        )
    if not (np.isfinite(true).all() and np.isfinite(pred).all()):
        raise DataError(
            f"{(~np.isfinite(pred)).sum()} predictions and {(~np.isfinite(true)).sum()} numbers of {len(pred)} images "
            "are not finite; try other hyper-parameters, or mend the labels"
        )
    away, error = true - true.mean(dtype=np.float64), pred.astype(np.float64) - true
    return np.column_stack([np.ones(len(true)), away, away**2, np.abs(error), error**2])


@dataclass(frozen=True)
class ScoredNumbers:
    """A candidate's numbers beside the true ones; `parts` are what each image adds, (n_images, 5)."""

    parts: Doubles

    @classmethod
    def of(cls, true: ArrayLike, predicted: ArrayLike) -> ScoredNumbers:
        """Put predicted numbers (n_images,) beside the true ones."""
        return cls(_parts(np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)))

    def value(self, metric: str) -> float:
        """Return the metric over all images.

        Raises
        ------
        DataError
            It does not exist, because the numbers do not vary.
        """
        value = float(self._at(metric).values[0])
        if not math.isfinite(value):
            raise DataError(f"{metric} does not exist where all {len(self.parts)} numbers are equal; compare by mae")
        return value

    def own_parts(self, metric: str) -> Doubles:
        """Return each image's contribution (n_images,) to a metric near its value."""
        return self._at(metric).parts(self.errors)

    def less(self, other: ScoredNumbers, metric: str) -> Doubles:
        """Return each image's contribution to a difference that orders candidates as the metric does."""
        kind = self._at(metric).errors
        mine, theirs = (getattr(side.errors, kind) for side in (self, other))
        return np.asarray(mine - theirs)

    @property
    def errors(self) -> NumberErrors:
        """Those of each image."""
        return NumberErrors(*np.ascontiguousarray(self.parts.T[2:]))

    def _at(self, metric: str) -> OfNumbers:
        sums = _sums_of(self.parts.sum(axis=0)[None], self.parts)
        found: OfNumbers = find_metric(metric, "regress").of(sums)
        return found


def _metrics_of_sums(sums: Doubles, parts: Doubles) -> dict[str, Doubles]:
    """Return every metric (n_sets,) of sets of images, each a row of summed parts; NaN where it does not exist."""
    each = _sums_of(sums, parts)
    return {name: np.asarray(metric.of(each).values) for name, metric in REGRESSION_METRICS.items()}


def _sums_of(sums: Doubles, parts: Doubles) -> NumberSums:
    n_images, away, squares, absolute, squared = sums.T
    spread = squares - away**2 / n_images
    varies = spread > _NO_SPREAD * max(float(parts[:, 2].sum()), np.finfo(np.float64).tiny)
    return NumberSums(n_images, np.where(varies, spread, np.nan), absolute, squared)


def _percentiles(per_unit: Doubles, parts: Doubles, seed: int, n_resamples: int) -> dict[str, tuple[float, float]]:
    n_units = len(per_unit)
    blocks = [_metrics_of_sums(counts @ per_unit, parts) for counts in draw_resamples(n_units, seed, n_resamples)]
    # Resamples of n units vary (n-1) / n as much as new sets of n units do, and Student's tails are further out.
    tail = float(norm.cdf(-math.sqrt(n_units / (n_units - 1)) * quantile(n_units)))
    ends: dict[str, tuple[float, float]] = {}
    for name in REGRESSION_METRICS:
        drawn = np.concatenate([block[name] for block in blocks])
        drawn = drawn[np.isfinite(drawn)]  # a resample of equal numbers has no R²
        low, high = np.quantile(drawn, [tail, 1 - tail]) if len(drawn) else (-math.inf, math.inf)
        ends[name] = float(low), float(high)
    return ends


def _known(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
