"""Scores of predictions, with 95 % intervals."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.stats import binomtest

from heads.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

METRICS: Mapping[str, bool] = MappingProxyType(
    {"accuracy": True, "balanced_accuracy": True, "macro_f1": True, "log_loss": False}
)
"""Every metric's name, and whether higher is better."""

CONFIDENCE = 0.95
SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Where the log-loss clips, like scikit-learn's: one certain mistake costs 36 nats and not infinitely many."""

_DRAWS_AT_ONCE = 4_000_000  # drawn unit numbers held in memory at a time, 32 MB


@dataclass(frozen=True)
class Score:
    """A metric's value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def measure(
    y_true: ArrayLike, probability: ArrayLike | None, y_pred: ArrayLike, n_classes: int
) -> dict[str, float | None]:
    """Return every metric of `METRICS`, without intervals; parameters as for `score_predictions`."""
    parts = _parts(np.asarray(y_true), probability, np.asarray(y_pred), n_classes)
    values = _metrics(np.asarray(parts.sum(axis=0)).reshape(1, -1), n_classes)
    return {name: None if name == "log_loss" and probability is None else float(values[name][0]) for name in METRICS}


def score_predictions(
    y_true: ArrayLike,
    probability: ArrayLike | None,
    y_pred: ArrayLike,
    n_classes: int,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
) -> dict[str, Score | None]:
    """Return every metric of `METRICS` with its 95 % interval.

    Accuracy, balanced accuracy (mean recall of the classes in `y_true`), macro-F1 (mean F1 of the classes in `y_true`
    or `y_pred`) and log-loss (mean negative log probability of the true class, in nats) are scikit-learn's.
    Independent images give accuracy a Wilson interval; all others are percentile bootstraps over images, or over whole
    groups. With a single group nothing can be resampled, and the interval is all that is possible.

    Parameters
    ----------
    y_true, y_pred : int array of shape (n_images,)
        Classes, 0 … n_classes - 1.
    probability : array of shape (n_images, n_classes), or None
        Rows sum to 1. Without it the log-loss is None.
    groups : int array of shape (n_images,) or None
        Images with the same number are drawn together.
    seed, n_resamples : int
        Of the bootstrap.

    Raises
    ------
    DataError
        There is no image, or the shapes do not agree.

    References
    ----------
    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13 (percentiles); Davison & Hinkley,
    "Bootstrap methods and their application", 1997, section 3.8 (whole groups).
    """
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    values = measure(true, probability, pred, n_classes)
    units = np.arange(len(true)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(units) != len(true):
        raise DataError(f"{len(units)} groups were given for {len(true)} images, expected one for each")
    n_units = int(units.max()) + 1
    if n_units == 1 and len(true) > 1:
        ends = {name: (0.0, 1.0 if higher else -np.log(SMALLEST_PROBABILITY)) for name, higher in METRICS.items()}
    else:
        per_unit = sparse.csr_array((np.ones(len(true)), (units, np.arange(len(true)))), shape=(n_units, len(true)))
        ends = _bootstrap(per_unit @ _parts(true, probability, pred, n_classes), n_classes, seed, n_resamples)
    if n_units == len(true):
        wilson = binomtest(int((true == pred).sum()), len(true)).proportion_ci(CONFIDENCE, method="wilson")
        ends["accuracy"] = (float(wilson.low), float(wilson.high))
    return {name: None if value is None else _widened(value, *ends[name]) for name, value in values.items()}


def _widened(value: float, low: float, high: float) -> Score:
    """Hold the value inside: resamples can lose a class, which shifts the percentiles of a small set past the value."""
    return Score(value, min(low, value), max(high, value))


def _parts(true: NDArray[Any], probability: ArrayLike | None, pred: NDArray[Any], n_classes: int) -> Any:
    """Return what each image adds to the metrics, sparse (n_images, 3 n_classes + 1).

    The columns are: right, by class; true, by class; predicted, by class; log-loss. Every metric is a function of their
    sums, so a resample is one row of a matrix product.
    """
    n_images = len(true)
    if n_images == 0 or true.shape != (n_images,) or pred.shape != (n_images,):
        raise DataError(
            f"labels have shape {true.shape}, predictions {pred.shape}; expected (n_images,) of at least one"
        )
    loss = np.zeros(n_images)
    if probability is not None:
        columns = np.asarray(probability, dtype=np.float64)
        if columns.shape != (n_images, n_classes):
            raise DataError(f"probabilities have shape {columns.shape}, expected {(n_images, n_classes)}")
        of_true = columns[np.arange(n_images), true]
        loss = -np.log(np.clip(of_true, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY))
    images = np.arange(n_images)
    columns_at = np.concatenate([true, n_classes + true, 2 * n_classes + pred, np.full(n_images, 3 * n_classes)])
    content = np.concatenate([(true == pred).astype(np.float64), np.ones(2 * n_images), loss])
    return sparse.csr_array((content, (np.tile(images, 4), columns_at)), shape=(n_images, 3 * n_classes + 1))


def _metrics(sums: Doubles, n_classes: int) -> dict[str, Doubles]:
    """Return every metric (n_resamples,) of summed parts (n_resamples, 3 n_classes + 1)."""
    right, true, pred, loss = np.split(sums, [n_classes, 2 * n_classes, 3 * n_classes], axis=1)
    n_images = true.sum(axis=1)
    return {
        "accuracy": right.sum(axis=1) / n_images,
        "balanced_accuracy": _mean_where(right, true),
        "macro_f1": _mean_where(2 * right, true + pred),
        "log_loss": loss[:, 0] / n_images,
    }


def _mean_where(numerator: Doubles, denominator: Doubles) -> Doubles:
    """Return the mean over classes of the quotient, leaving out classes whose denominator is 0."""
    present = denominator > 0
    quotient = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=present)
    return np.asarray(quotient.sum(axis=1) / present.sum(axis=1))


def _bootstrap(per_unit: Any, n_classes: int, seed: int, n_resamples: int) -> dict[str, tuple[float, float]]:
    """Return the percentile interval of every metric; `per_unit` is sparse (n_units, 3 n_classes + 1)."""
    blocks = [_metrics((per_unit.T @ counts.T).T, n_classes) for counts in _drawn(per_unit.shape[0], seed, n_resamples)]
    tails = [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)]
    ends = {name: np.percentile(np.concatenate([block[name] for block in blocks]), tails) for name in METRICS}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def _drawn(n_units: int, seed: int, n_resamples: int) -> Iterator[Doubles]:
    """Yield blocks (n_block, n_units): how often each resample holds each unit."""
    generator = np.random.default_rng(seed)
    n_block = max(1, _DRAWS_AT_ONCE // n_units)
    for start in range(0, n_resamples, n_block):
        n_rows = min(n_block, n_resamples - start)
        units = generator.integers(n_units, size=(n_rows, n_units)) + n_units * np.arange(n_rows)[:, None]
        yield np.bincount(units.ravel(), minlength=n_rows * n_units).reshape(n_rows, n_units).astype(np.float64)
