"""Scores of predictions, classes or numbers, with 95 % intervals; here those of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.scoring.functions import ClassSums
from headstart.heads.scoring.intervals import MetricIntervals
from headstart.heads.scoring.metrics import METRICS, SMALLEST_PROBABILITY, Score
from headstart.heads.scoring.ranking import added_by_images
from headstart.heads.scoring.regression import measure_numbers, score_numbers
from headstart.heads.scoring.resampling import (
    count_true,
    draw_resamples,
    most_together,
    number_units,
    parts_of_units,
    sum_resamples,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]


class _Predicted(NamedTuple):
    """Predictions for images (n_images,): classes, log-losses, and what images add to each metric that ranks them."""

    pred: NDArray[np.intp]
    loss: Doubles | None
    added: Mapping[str, Doubles]


def measure(
    y_true: ArrayLike, probability: ArrayLike | None, y_pred: ArrayLike, n_classes: int
) -> dict[str, float | None]:
    """Return every metric of the task, without intervals; parameters as for `score_predictions`."""
    if not n_classes:
        return measure_numbers(y_true, y_pred)
    true = np.asarray(y_true).astype(np.intp)
    return _values(true, _checked(true, probability, y_pred, n_classes), n_classes)


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
    """Return every metric of the task with its 95 % interval; those of numbers are `score_numbers`'.

    Accuracy, balanced accuracy (mean recall of the classes in `y_true`), macro-F1 (mean F1 of the classes in `y_true`
    or `y_pred`), MCC and log-loss (mean negative log probability of the true class, in nats) are scikit-learn's; so are
    those of ranks: ROC AUC and average precision of each class against the rest, means of the classes that some images
    have and others have not, and top-5 accuracy, which fewer than six classes do not have.

    The first three have Wilson intervals at an effective number of images n: p (1-p) / variance, at most the images
    there are (for the means over C classes C² / Σ (1 / n_c)), and where nothing varies, as with all images right, that
    most itself. The variance of accuracy is the binomial's, or a ratio estimator's over groups; that of balanced
    accuracy is the sum of its recalls'; macro-F1's is the bootstrap's, and over groups both means' are. The metrics of
    ranks have such intervals, too, by the variance of what images add. The log-loss and MCC have the bootstrap's
    percentiles. Groups are taken as wholes: where nothing varies they count as n² / Σ size² images,
    and the normal quantile becomes Student's with n_groups - 1. A single group leaves all that is possible.

    Parameters
    ----------
    y_true, y_pred : array of shape (n_images,)
        Classes, 0 … n_classes - 1, as int; or numbers.
    n_classes : int
        0 of numbers.
    probability : array of shape (n_images, n_classes) or (n_images,), or None
        Of every class, or of the true class alone; then metrics of ranks are None. Without it the log-loss is, too.
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
    one = [(probability, y_pred)]
    return score_together(y_true, one, n_classes, groups=groups, seed=seed, n_resamples=n_resamples)[0]


def score_together(
    y_true: ArrayLike,
    candidates: Iterable[tuple[ArrayLike | None, ArrayLike]],
    n_classes: int,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
    added: Iterable[Mapping[str, Doubles]] | None = None,
) -> list[dict[str, Score | None]]:
    """Return each candidate's scores, as `score_predictions` gives them, on the same resamples of the same images.

    Parameters
    ----------
    y_true, n_classes, groups, seed, n_resamples
        As for `score_predictions`.
    candidates : iterable of (array or None, array)
        Of each candidate `probability` and `y_pred`.
    added : iterable of mapping of str to float64 ndarray of shape (n_images,), optional
        Of each candidate `ranking.added_by_images`, where its `probability` is of the true class alone.

    Raises
    ------
    DataError
        There is no image, or the shapes of any candidate do not agree.
    """
    if not n_classes:
        return [
            score_numbers(y_true, numbers, groups=groups, seed=seed, n_resamples=n_resamples)
            for _, numbers in candidates
        ]
    true = np.asarray(y_true).astype(np.intp)
    predicted = [_checked(true, probability, pred, n_classes) for probability, pred in candidates]
    if added is not None:
        predicted = [one._replace(added=own) for one, own in zip(predicted, added, strict=True)]
    values = [_values(true, one, n_classes) for one in predicted]
    units = number_units(groups, len(true))
    if len(true) > 1 and not units.any():  # a single group
        ends = [{name: metric.ends for name, metric in METRICS.items()}] * len(predicted)
    else:
        ends = list(_intervals(values, true, predicted, units, n_classes, seed, n_resamples))
    return [
        {name: None if value is None else _widened(value, *own[name]) for name, value in one.items()}
        for one, own in zip(values, ends, strict=True)
    ]


def _widened(value: float, low: float, high: float) -> Score:
    """Hold the value inside: rounding, and the percentiles of a small set, can leave it just outside."""
    return Score(value, min(low, value), max(high, value))


def _checked(true: NDArray[np.intp], probability: ArrayLike | None, y_pred: ArrayLike, n_classes: int) -> _Predicted:
    pred, n_images = np.asarray(y_pred).astype(np.intp), len(true)
    if n_images == 0 or true.shape != (n_images,) or pred.shape != (n_images,):
        raise DataError(
            f"labels have shape {true.shape}, predictions {pred.shape}; expected (n_images,) of at least one"
        )
    if probability is None:
        return _Predicted(pred, None, {})
    of_true = np.asarray(probability, dtype=np.float64)
    if of_true.shape not in ((n_images, n_classes), (n_images,)):
        raise DataError(f"probabilities have shape {of_true.shape}, expected {(n_images, n_classes)}")
    added = {}
    if of_true.ndim == 2:
        added, of_true = added_by_images(true, of_true), of_true[np.arange(n_images), true]
    return _Predicted(pred, -np.log(np.clip(of_true, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)), added)


def _values(true: NDArray[np.intp], predicted: _Predicted, n_classes: int) -> dict[str, float | None]:
    counts = [
        np.bincount(classes, minlength=n_classes) for classes in (true[predicted.pred == true], true, predicted.pred)
    ]
    loss = 0.0 if predicted.loss is None else predicted.loss.sum()
    of_sums = metrics_of_sums(np.append(np.concatenate(counts), loss)[None])
    values = {name: float(value[0]) for name, value in of_sums.items()}
    if predicted.loss is None:
        values = {name: value for name, value in values.items() if not METRICS[name].needs_probability}
    values |= {name: float(added.sum()) for name, added in predicted.added.items()}
    return {name: values.get(name) for name in METRICS}


def metrics_of_sums(sums: Doubles) -> dict[str, Doubles]:
    """Return the metrics (n_sets,) of sums for sets of images, each a row, as `ClassSums` has them side by side."""
    each = ClassSums.of(sums)
    return {name: np.asarray(one.of(each).values) for name, one in METRICS.items() if one.basis == "sums"}


def _intervals(
    values: Sequence[dict[str, float | None]],
    true: NDArray[np.intp],
    predicted: Sequence[_Predicted],
    units: NDArray[np.intp],
    n_classes: int,
    seed: int,
    n_resamples: int,
) -> Iterator[dict[str, tuple[float, float]]]:
    """Yield the interval of every metric, of one candidate after another."""
    counts = count_true(true, units, n_classes)
    intervals = MetricIntervals(counts)
    at_once = most_together(len(true), n_classes, n_resamples)
    for first in range(0, len(predicted), at_once):
        some = slice(first, first + at_once)
        parts = [parts_of_units(true, one.pred, one.loss, units, n_classes) for one in predicted[some]]
        drawn: list[list[dict[str, Doubles]]] = [[] for _ in parts]
        for number, sums in sum_resamples(counts, parts, draw_resamples(counts.shape[0], seed, n_resamples)):
            drawn[number].append(metrics_of_sums(sums))
        for own, part, blocks, one in zip(values[some], parts, drawn, predicted[some], strict=True):
            metrics = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
            ends = intervals.ends(own, part[:, :n_classes], metrics)
            yield ends | {
                name: intervals.end_of_added(METRICS[name], added, units) for name, added in one.added.items()
            }
