"""Contributions of images to a metric: metrics are functions of sums over images, and nearly linear in them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from headstart.heads.errors import DataError
from headstart.heads.scoring.functions import ClassSums, OfClasses
from headstart.heads.scoring.intervals import effective_size, mean_size, quantile, wilson
from headstart.heads.scoring.metrics import METRICS, SMALLEST_PROBABILITY, Metric, Score, find_metric
from headstart.heads.scoring.ranking import added_by_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions of a candidate for every image.

    Parameters
    ----------
    classes : ndarray of shape (n_images,)
        Classes as int; or the numbers, of a regressor.
    probability : ndarray of shape (n_images, n_classes) or (n_images,), or None
        Of every class, or of the true class alone, which is all that a log-loss needs.
    added : mapping of str to ndarray of shape (n_images,)
        `ranking.added_by_images`, which metrics of ranks need in place of the probability of every class.
    """

    classes: NDArray[Any] = field(repr=False)
    probability: NDArray[Any] | None = field(default=None, repr=False)
    added: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class ScoredImages:
    """A candidate's predictions beside the true classes.

    Parameters
    ----------
    y, classes : int ndarray of shape (n_images,)
        The true classes and the predicted ones.
    right, loss : float64 ndarray of shape (n_images,)
        1 where the class is right; minus the log probability of the true class, in nats, for the log-loss only.
    sums : float64 ndarray of shape (3 n_classes + 1,)
        As `heads.scoring.functions.ClassSums` has them in a row.
    """

    y: NDArray[Any]
    classes: NDArray[Any]
    right: Doubles
    loss: Doubles
    sums: Doubles

    def value(self, metric: str) -> float:
        """Return the metric over all images."""
        return float(_at(metric, self.sums).values[0])

    def parts(self, slopes: Doubles) -> Doubles:
        """Return each image's contribution (n_images,) to a metric with this `gradient` (3 n_classes + 1,)."""
        right, true, predicted = slopes[:-1].reshape(3, -1)
        return np.asarray(right[self.y] * self.right + true[self.y] + predicted[self.classes] + slopes[-1] * self.loss)

    def own_parts(self, metric: str) -> Doubles:
        """Return each image's contribution (n_images,) to a metric near its value."""
        return self.parts(gradient(metric, self.sums))

    def less(self, other: ScoredImages, metric: str) -> Doubles:
        """Return each image's part in the difference, linearised at the point that no exchange of the two moves."""
        slopes = gradient(metric, (self.sums + other.sums) / 2)
        return self.parts(slopes) - other.parts(slopes)


@dataclass(frozen=True)
class RankedScore:
    """Share of each image (n_images,) in a candidate's metric of ranks; as `ScoredImages` is asked."""

    added: Doubles

    @property
    def right(self) -> Doubles:
        """Return 1 for each image that is right, of a metric that is the share of these."""
        return np.rint(len(self.added) * self.added)

    def value(self, metric: str) -> float:  # noqa: ARG002 - it is of one metric
        """Return the metric."""
        return float(self.added.sum())

    def own_parts(self, metric: str) -> Doubles:  # noqa: ARG002 - it is of one metric
        """Return each image's contribution near the value."""
        return np.asarray(self.added - self.added.mean())

    def less(self, other: RankedScore, metric: str) -> Doubles:  # noqa: ARG002 - it is of one metric
        """Return each image's part in the difference."""
        return self.added - other.added


def score_images(metric: str, y: NDArray[Any], predictions: Predictions, n_classes: int) -> ScoredImages | RankedScore:
    """Put predictions beside the true classes `y` (n_images,).

    Raises
    ------
    DataError
        The metric is unknown or needs more classes, there is no image, shapes do not agree, or probabilities lack.
    """
    found, classes, n_images = find_metric(metric, "classify"), np.asarray(predictions.classes), len(y)
    if n_images == 0 or y.shape != (n_images,) or classes.shape != (n_images,):
        raise DataError(
            f"labels have shape {y.shape}, predictions {classes.shape}; expected (n_images,) of at least one"
        )
    if found.basis == "ranks":
        return RankedScore(_added(found, y, predictions))
    loss = _losses(y, predictions.probability) if found.needs_probability else np.zeros(n_images)
    right = (classes == y).astype(np.float64)
    counts = [np.bincount(y, right, n_classes), np.bincount(y, None, n_classes), np.bincount(classes, None, n_classes)]
    sums = np.append(np.concatenate(counts), loss.sum())
    return ScoredImages(y=y, classes=classes, right=right, loss=loss, sums=sums)


def _added(metric: Metric, y: NDArray[Any], predictions: Predictions) -> Doubles:
    added, probability = predictions.added, predictions.probability
    if metric.name not in added and probability is not None and probability.ndim == 2:
        metric.refuse_few(probability.shape[1])
        added = added_by_images(y, np.asarray(probability, dtype=np.float64))
    if metric.name not in added:
        raise DataError(
            f"a candidate without the probability of every class, for images of several, has no {metric.name}; compare "
            "it by another metric"
        )
    return np.asarray(added[metric.name], dtype=np.float64)


def _losses(y: NDArray[Any], probability: NDArray[Any] | None) -> Doubles:
    if probability is None:
        raise DataError("a candidate without probabilities has no log_loss; compare it by another metric")
    of_true = np.asarray(probability, dtype=np.float64)
    if of_true.ndim not in (1, 2) or len(of_true) != len(y) or (of_true.ndim == 2 and of_true.shape[1] <= y.max()):
        raise DataError(f"probabilities have shape {of_true.shape}, expected ({len(y)}, n_classes) or ({len(y)},)")
    if of_true.ndim == 2:
        of_true = of_true[np.arange(len(y)), y]
    return np.asarray(-np.log(np.clip(of_true, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)))


def gradient(metric: str, sums: Doubles) -> Doubles:
    """Return the gradient of a metric in the sums (3 n_classes + 1,).

    Raises
    ------
    DataError
        The metric is unknown.
    """
    return _at(metric, sums).gradient()


def _at(metric: str, sums: Doubles) -> OfClasses:
    found: OfClasses = find_metric(metric, "classify").of(ClassSums.of(sums[None]))
    return found


class LargeScores:
    """Scores predictions of the same images again and again.

    Values are those of `heads.scoring.score_predictions`. So are intervals, but for the variances: there they are a
    bootstrap's, which of millions of images takes minutes; here they are those of the metrics' linearised parts, to
    which the bootstrap's tend as images become many. The log-loss has a normal interval.

    Parameters
    ----------
    y : int ndarray of shape (n_images,)
        True classes, 0 … n_classes - 1.
    n_classes : int
    groups : int ndarray of shape (n_images,) or None
        Images that vary together.

    References
    ----------
    Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 21 (the delta method as its limit).
    """

    def __init__(self, y: Rows, n_classes: int, groups: Rows | None = None) -> None:
        self._y, self._n_classes = y, n_classes
        found = None if groups is None else np.unique(groups, return_inverse=True)[1]
        self._units: Rows | None = None if found is None or found.max() + 1 == len(y) else found
        units = np.arange(len(y)) if self._units is None else self._units
        per_unit = csr_array((np.ones(len(y)), (units, y)), shape=(int(units.max()) + 1, n_classes))
        self._n_units = per_unit.shape[0]
        sizes = np.asarray(per_unit.sum(axis=1), dtype=np.float64)
        self._size_of_share = (float(len(y)), len(y) ** 2 / float((sizes**2).sum()))
        self._size_of_mean = mean_size(per_unit)

    def values(self, predictions: Predictions, rows: slice) -> dict[str, float | None]:
        """Return every metric of some of the images, without intervals; those of ranks need every probability."""
        of_true = None if predictions.probability is None else predictions.probability[rows]
        some = Predictions(classes=predictions.classes[rows], probability=of_true)
        return {
            name: None if scored is None else scored.value(name)
            for name, scored in self._scored(self._y[rows], some).items()
        }

    def scores(self, predictions: Predictions) -> dict[str, Score | None]:
        """Return every metric with its 95 % interval; the log-loss of a head without probabilities is None."""
        return {
            name: None if scored is None else self._score(METRICS[name], scored)
            for name, scored in self._scored(self._y, predictions).items()
        }

    def _scored(self, y: Rows, predictions: Predictions) -> dict[str, ScoredImages | RankedScore | None]:
        """Return the scored images of every metric; None where it needs probabilities that there are not."""
        probability = predictions.probability
        of_sums = [one for one in METRICS.values() if one.basis == "sums"]
        given = [one for one in of_sums if probability is not None or not one.needs_probability]
        # Of all that is given, the log-loss needs most.
        needy = max(given, key=lambda metric: metric.needs_probability)
        scored = score_images(needy.name, y, predictions, self._n_classes)
        found: dict[str, ScoredImages | RankedScore] = {one.name: scored for one in given}
        if probability is not None and probability.ndim == 2:
            found |= {name: RankedScore(added) for name, added in added_by_images(y, probability).items()}
        return {name: found.get(name) for name in METRICS}

    def _score(self, metric: Metric, scored: ScoredImages | RankedScore) -> Score:
        value, parts = scored.value(metric.name), scored.own_parts(metric.name)
        if self._units is not None:
            parts = np.bincount(self._units, parts).astype(np.float64, copy=False)
        variance = float(parts @ parts) * self._n_units / max(1, self._n_units - 1)
        reach = quantile(None if self._units is None else max(2, self._n_units))
        if metric.unit != "share":
            half = reach * math.sqrt(variance)
            return Score(value, max(metric.ends[0], value - half), min(metric.ends[1], value + half))
        sizes = self._size_of_share if metric.spread == "right" else self._size_of_mean
        if isinstance(scored, RankedScore) and metric.spread != "right":
            sizes = math.inf, sizes[1]  # as `MetricIntervals.end_of_added` says
        low, high = wilson(value, effective_size(value, variance, *sizes), reach)
        return Score(value, min(low, value), max(high, value))
