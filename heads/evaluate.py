"""Scores of predictions, with 95 % intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from heads.errors import DataError
from heads.intervals import (
    CONFIDENCE,
    cluster_variance,
    effective_size,
    mean_size,
    quantile,
    recall_variance,
    wilson,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

METRICS: Mapping[str, bool] = MappingProxyType(
    {"accuracy": True, "balanced_accuracy": True, "macro_f1": True, "log_loss": False}
)
"""Every metric's name, and whether higher is better."""

SMALLEST_PROBABILITY = float(np.finfo(np.float64).eps)
"""Where the log-loss clips, like scikit-learn's: one certain mistake costs 36 nats and not infinitely many."""

_DRAWS_AT_ONCE = 4_000_000  # drawn unit numbers held in memory at a time, 32 MB
_MOST_KEPT = 32_000_000  # draws kept from one candidate to the next, 128 MB
_FEW_COLUMNS = 128  # of parts; so many are multiplied faster as a dense matrix


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
    values = metrics_of_sums(np.asarray(parts.sum(axis=0)).reshape(1, -1), n_classes)
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

    The first three have Wilson intervals at an effective number of images n: p (1-p) / variance, at most the images
    there are (for the means over C classes C² / Σ (1 / n_c)), and where nothing varies, as with all images right, that
    most itself. The variance of accuracy is the binomial's, or a ratio estimator's over groups; that of balanced
    accuracy is the sum of its recalls'; macro-F1's is the bootstrap's, and over groups both means' are. The log-loss
    has the bootstrap's percentiles. Groups are taken as wholes: where nothing varies they count as n² / Σ size² images,
    and the normal quantile becomes Student's with n_groups - 1. A single group leaves all that is possible.

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
    Kish, "Survey sampling", 1965 (effective sample size); Korn & Graubard, "Confidence intervals for proportions with
    small expected number of positive counts estimated from survey data", Survey Methodology 24, 1998 (an interval for
    independent images at that size, with Student's quantile); Cochran, "Sampling techniques", 3rd ed., 1977 (ratio
    estimators).
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
        ends = _intervals(values, per_unit @ _parts(true, probability, pred, n_classes), n_classes, seed, n_resamples)
    return {name: None if value is None else _widened(value, *ends[name]) for name, value in values.items()}


def _widened(value: float, low: float, high: float) -> Score:
    """Hold the value inside: rounding, and the percentiles of a small set, can leave it just outside."""
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


def metrics_of_sums(sums: Doubles, n_classes: int) -> dict[str, Doubles]:
    """Return every metric (n_sets,) of sets of images, each a row of summed parts (n_sets, 3 n_classes + 1).

    The columns are: images that are right, by class; true, by class; predicted, by class; log-loss.
    """
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


def _intervals(
    values: dict[str, float | None], per_unit: Any, n_classes: int, seed: int, n_resamples: int
) -> dict[str, tuple[float, float]]:
    """Return the interval of every metric; `per_unit` is sparse (n_units, 3 n_classes + 1), `values` the metrics'."""
    # Sums of resamples are only looked at for their spread: float32 is enough, and twice as fast.
    parts = per_unit.toarray().astype(np.float32) if per_unit.shape[1] <= _FEW_COLUMNS else None
    blocks = [
        metrics_of_sums((per_unit.T @ counts.T).T if parts is None else (counts @ parts).astype(np.float64), n_classes)
        for counts in draw_resamples(per_unit.shape[0], seed, n_resamples)
    ]
    drawn = {name: np.concatenate([block[name] for block in blocks]) for name in METRICS}
    right, true = (per_unit[:, :n_classes], per_unit[:, n_classes : 2 * n_classes])
    n_units, n_images = per_unit.shape[0], float(true.sum())
    grouped = n_units < n_images
    reach = quantile(n_units if grouped else None)
    sizes = np.asarray(true.sum(axis=1), dtype=np.float64)
    most, where_none = mean_size(true)
    # Resamples of G groups vary (G-1) / G as much as new sets of G groups do.
    variances = {name: float(drawn[name].var()) * n_units / max(1, n_units - 1) for name in METRICS}
    if not grouped:
        variances["balanced_accuracy"] = recall_variance(*(np.asarray(part.sum(axis=0)) for part in (right, true)))
    accuracy = float(values["accuracy"] or 0.0)
    spread = cluster_variance(np.asarray(right.sum(axis=1)), sizes) if grouped else accuracy * (1 - accuracy) / n_images
    effective = {"accuracy": effective_size(accuracy, spread, n_images, n_images**2 / float((sizes**2).sum()))}
    for name in ("balanced_accuracy", "macro_f1"):
        effective[name] = effective_size(float(values[name] or 0.0), variances[name], most, where_none)
    tails = np.percentile(drawn["log_loss"], [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    ends = {name: wilson(float(values[name] or 0.0), size, reach) for name, size in effective.items()}
    return {**ends, "log_loss": (float(tails[0]), float(tails[1]))}


def draw_resamples(n_units: int, seed: int, n_resamples: int) -> Iterable[NDArray[np.float32]]:
    """Return blocks (n_block, n_units): how often each resample holds each unit.

    The draws of a small set are kept, for the next candidate is scored on the same ones: drawing takes longer than all
    the rest of scoring.
    """
    return (_kept_draws if n_units * n_resamples <= _MOST_KEPT else _draw)(n_units, seed, n_resamples)


@lru_cache(maxsize=1)
def _kept_draws(n_units: int, seed: int, n_resamples: int) -> list[NDArray[np.float32]]:
    return list(_draw(n_units, seed, n_resamples))


def _draw(n_units: int, seed: int, n_resamples: int) -> Iterator[NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    n_block = max(1, _DRAWS_AT_ONCE // n_units)
    for start in range(0, n_resamples, n_block):
        counts = np.empty((min(n_block, n_resamples - start), n_units), dtype=np.float32)
        for row in counts:  # one at a time stays in the processor's cache: five times as fast as all at once
            row[:] = np.bincount(generator.integers(n_units, size=n_units, dtype=np.uint32), minlength=n_units)
        yield counts
