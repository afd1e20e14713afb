"""Scores of very many predictions: the intervals that a bootstrap would give, without drawing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from headstart.heads.evaluate import METRICS, Score
from headstart.heads.intervals import effective_size, mean_size, quantile, wilson
from headstart.heads.metric_parts import Predictions, ScoredImages, gradient, score_images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.intp]


class LargeScores:
    """Scores predictions of the same images again and again.

    Values are those of `heads.evaluate.score_predictions`. So are intervals, but for the variances: there they are a
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
