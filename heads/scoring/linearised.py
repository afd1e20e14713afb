"""What each image adds to a metric: metrics are functions of sums over images, and nearly linear in them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from headstart.heads.errors import DataError
from headstart.heads.scoring.classification import SMALLEST_PROBABILITY, metrics_of_sums
from headstart.heads.scoring.intervals import effective_size, mean_size, quantile, wilson
from headstart.heads.scoring.metrics import METRICS, Score

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Rows = NDArray[np.intp]


_KNOWN = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")  # what `gradient` has a branch for


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a candidate says of every image.

    Parameters
    ----------
    classes : int ndarray of shape (n_images,)
    probability : ndarray of shape (n_images, n_classes) or (n_images,), or None
        Of every class, or of the true class alone, which is all that a log-loss needs.
    """

    classes: NDArray[Any] = field(repr=False)
    probability: NDArray[Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ScoredImages:
    """A candidate's predictions beside the true classes.

    Parameters
    ----------
    right, loss : float64 ndarray of shape (n_images,)
        1 where the class is right; minus the log probability of the true class, in nats, for the log-loss only.
    classes : int ndarray of shape (n_images,)
        The predicted ones.
    sums : float64 ndarray of shape (3 n_classes + 1,)
        As `heads.scoring.classification.metrics_of_sums` has them.
    """

    right: Doubles
    loss: Doubles
    classes: NDArray[Any]
    sums: Doubles

    def value(self, metric: str) -> float:
        """Return the metric over all images.

        Raises
        ------
        DataError
            The metric's parts are unknown.
        """
        _refuse_unknown(metric)
        return float(metrics_of_sums(self.sums[None], len(self.sums) // 3)[metric][0])

    def parts(self, y: NDArray[Any], slopes: Doubles) -> Doubles:
        """Return what each image (n_images,) adds to a metric with this `gradient` (3 n_classes + 1,)."""
        right, true, predicted = slopes[:-1].reshape(3, -1)
        return np.asarray(right[y] * self.right + true[y] + predicted[self.classes] + slopes[-1] * self.loss)


def score_images(metric: str, y: NDArray[Any], predictions: Predictions, n_classes: int) -> ScoredImages:
    """Put predictions beside the true classes `y` (n_images,).

    Raises
    ------
    DataError
        The metric's parts are unknown, there is no image, shapes do not agree, or a log-loss lacks probabilities.
    """
    _refuse_unknown(metric)
    classes, n_images = np.asarray(predictions.classes), len(y)
    if n_images == 0 or y.shape != (n_images,) or classes.shape != (n_images,):
        raise DataError(
            f"labels have shape {y.shape}, predictions {classes.shape}; expected (n_images,) of at least one"
        )
    loss = _losses(y, predictions.probability) if metric == "log_loss" else np.zeros(n_images)
    right = (classes == y).astype(np.float64)
    counts = [np.bincount(y, right, n_classes), np.bincount(y, None, n_classes), np.bincount(classes, None, n_classes)]
    return ScoredImages(right=right, loss=loss, classes=classes, sums=np.append(np.concatenate(counts), loss.sum()))


def _refuse_unknown(metric: str) -> None:
    if metric not in _KNOWN:
        raise _unknown(metric)


def _unknown(metric: str) -> DataError:
    return DataError(f"what an image adds to {metric!r} is unknown; expected one of {', '.join(_KNOWN)}")


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

    No metric changes when all sums double, so over a candidate's own images the parts add up to 0 (Euler's theorem).

    Raises
    ------
    DataError
        The metric's parts are unknown.
    """
    right, true, predicted = sums[:-1].reshape(3, -1)
    n_images = true.sum()
    slopes = np.zeros((3, len(true)))
    if metric == "accuracy":
        slopes[0], slopes[1] = 1 / n_images, -right.sum() / n_images**2
    elif metric == "balanced_accuracy":
        there = true > 0
        slopes[0, there] = 1 / true[there] / there.sum()
        slopes[1, there] = -right[there] / true[there] ** 2 / there.sum()
    elif metric == "macro_f1":
        there = true + predicted > 0
        size = (true + predicted)[there]
        slopes[0, there] = 2 / size / there.sum()
        slopes[1:, there] = -2 * right[there] / size**2 / there.sum()
    elif metric == "log_loss":
        slopes[1] = -sums[-1] / n_images**2
    else:
        raise _unknown(metric)
    return np.append(slopes.ravel(), 1 / n_images if metric == "log_loss" else 0.0)


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
        self._sizes = {
            "accuracy": (float(len(y)), len(y) ** 2 / float((sizes**2).sum())),
            **dict.fromkeys(("balanced_accuracy", "macro_f1"), mean_size(per_unit)),
        }

    def values(self, predictions: Predictions, rows: slice) -> dict[str, float | None]:
        """Return every metric of some of the images, without intervals."""
        of_true = None if predictions.probability is None else predictions.probability[rows]
        some = Predictions(classes=predictions.classes[rows], probability=of_true)
        scored = score_images("accuracy" if of_true is None else "log_loss", self._y[rows], some, self._n_classes)
        return {name: None if self._lacks(name, some) else scored.value(name) for name in METRICS}

    def scores(self, predictions: Predictions) -> dict[str, Score | None]:
        """Return every metric with its 95 % interval; the log-loss of a head without probabilities is None."""
        kind = "accuracy" if predictions.probability is None else "log_loss"
        scored = score_images(kind, self._y, predictions, self._n_classes)
        return {name: None if self._lacks(name, predictions) else self._score(name, scored) for name in METRICS}

    def _lacks(self, name: str, predictions: Predictions) -> bool:
        return name == "log_loss" and predictions.probability is None

    def _score(self, name: str, scored: ScoredImages) -> Score:
        value = scored.value(name)
        parts = scored.parts(self._y, gradient(name, scored.sums))
        if self._units is not None:
            parts = np.bincount(self._units, parts).astype(np.float64, copy=False)
        variance = float(parts @ parts) * self._n_units / max(1, self._n_units - 1)
        reach = quantile(None if self._units is None else max(2, self._n_units))
        if name == "log_loss":
            half = reach * math.sqrt(variance)
            return Score(value, max(0.0, value - half), value + half)
        low, high = wilson(value, effective_size(value, variance, *self._sizes[name]), reach)
        return Score(value, min(low, value), max(high, value))
