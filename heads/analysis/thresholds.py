"""Decisions chosen on folds: a threshold, multipliers of probabilities, or the least expected cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.scoring import COST, METRICS, ClassSums, Decision, decided_metrics, mean_cost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]
    Codes = NDArray[np.intp]

N_THRESHOLDS = 100
"""Tried in each fold, from its lowest probability to its highest, as `TunedThresholdClassifierCV` does."""

_N_MULTIPLIERS, _MOST_ROUNDS = 40, 5  # tried of a class at a time; times through all classes
_LEAST_GAIN = 1e-9  # of a multiplier: rounding gains nothing


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Aim of a decision.

    Parameters
    ----------
    by : str
        A metric that goes by predicted classes, or ``cost``.
    costs : float64 ndarray of shape (n_classes, n_classes), optional
        What it costs to take an image of the first class for one of the second.

    Raises
    ------
    DataError
        No decision changes that metric.
    """

    by: str
    costs: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.costs is None and self.by not in decided_metrics():
            raise DataError(
                f"no decision changes {self.by}, which goes by probabilities or is no metric of classes; choose a "
                f"threshold for one of {', '.join(decided_metrics())}"
            )

    def value(self, true: Codes, taken: Codes) -> float:
        """Return the metric, or the mean cost."""
        if self.costs is not None:
            return mean_cost(self.costs, true, taken)
        return float(
            METRICS[self.by].of(ClassSums.of(_sums(true, taken, 1 + int(max(true.max(), taken.max()))))).values[0]
        )

    def gain(self, true: Codes, taken: Codes) -> float:
        """Return the same with its sign turned where less is better."""
        higher = self.costs is None and METRICS[self.by].higher_is_better
        return self.value(true, taken) if higher else -self.value(true, taken)


@dataclass(frozen=True, kw_only=True)
class ChosenDecision:
    """A decision, and the mean over folds of what it was chosen by, without it and with it."""

    decision: Decision
    before: float
    after: float


def decide_on_folds(
    y: ArrayLike, probability: ArrayLike, sizes: Sequence[int], goal: Goal, *, temperature: float = 1.0
) -> ChosenDecision:
    """Choose how to decide by predictions for the images of folds, each by a fit without them.

    Of two classes it is the threshold that scikit-learn's `TunedThresholdClassifierCV` finds: in each fold the metric,
    or the cost, at 100 thresholds, interpolated to 100 common ones, and the best mean over folds. Of several classes a
    table of costs needs no search: the least expected cost by calibrated probabilities decides. For a metric every
    class has a multiplier, found class by class in turns; one is changed only for a better mean over folds.

    Parameters
    ----------
    y : int array of shape (n_images,)
        Classes, 0 … n_classes - 1, fold after fold.
    probability : array of shape (n_images, n_classes)
    sizes : sequence of int
        Images of each fold.
    goal : Goal
    temperature : float
        Calibrates these probabilities.

    Raises
    ------
    DataError
        In a fold all probabilities are the same, so that there is nothing to choose.
    """
    given = np.asarray(probability, dtype=np.float64)
    folds = _Folds(np.asarray(y).astype(np.intp), given, np.cumsum(sizes)[:-1].tolist())
    if given.shape[1] == 2:
        decision = Decision(by=goal.by, threshold=_threshold(folds, goal))
    elif goal.costs is not None:
        costs = tuple(map(tuple, goal.costs.tolist()))
        decision = Decision(by=goal.by, costs=costs, temperature=temperature)
    else:
        decision = Decision(by=goal.by, multipliers=tuple(_multipliers(folds, goal).tolist()))
    sign = -1.0 if goal.by == COST or not METRICS[goal.by].higher_is_better else 1.0
    gains = [folds.gain(taken, goal) for taken in (given.argmax(axis=1), decision.classes(given))]
    before, after = (sign * gain + 0.0 for gain in gains)  # which leaves no minus before a cost of nothing
    return ChosenDecision(decision=decision, before=before, after=after)


class _Folds:
    """Images of folds, one after the other, with what a fit without each says of them."""

    def __init__(self, y: Codes, probability: Doubles, ends: list[int]) -> None:
        self.y, self.probability, self._ends = y, probability, ends

    def each(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Split what every image has by fold."""
        return np.split(values, self._ends)

    def gain(self, taken: Codes, goal: Goal) -> float:
        """Return the mean over folds."""
        return float(np.mean([goal.gain(*one) for one in zip(self.each(self.y), self.each(taken), strict=True)]))


def _threshold(folds: _Folds, goal: Goal) -> float:
    curves = []
    for true, given in zip(folds.each(folds.y), folds.each(folds.probability[:, 1]), strict=True):
        tried = np.linspace(given.min(), given.max(), N_THRESHOLDS)
        if np.isclose(tried[0], tried[-1]):
            raise DataError(
                "all images of a fold have the same probability: no threshold can be chosen; try other heads"
            )
        curves.append((tried, [goal.gain(true, (given >= at).astype(np.intp)) for at in tried]))
    common = np.linspace(min(tried[0] for tried, _ in curves), max(tried[-1] for tried, _ in curves), N_THRESHOLDS)
    mean = np.mean([np.interp(common, tried, gains) for tried, gains in curves], axis=0)
    return float(common[mean.argmax()])


def _multipliers(folds: _Folds, goal: Goal) -> Doubles:
    """Climb from all ones; the first class keeps its own, for only ratios count."""
    n_classes = folds.probability.shape[1]
    factors = np.ones(n_classes)
    best = folds.gain(folds.probability.argmax(axis=1), goal)
    for _ in range(_MOST_ROUNDS):
        before = best
        for number in range(1, n_classes):
            others = [
                factors * np.where(np.arange(n_classes) == number, at, 1.0) for at in _places(folds, factors, number)
            ]
            gains = [folds.gain((folds.probability * other).argmax(axis=1), goal) for other in others]
            if gains and max(gains) > best + _LEAST_GAIN:
                best = max(gains)
                factors = others[gains.index(best)]
        if best <= before:
            break
    return factors


def _places(folds: _Folds, factors: Doubles, number: int) -> Iterator[float]:
    """Yield further factors of one class between which images change to it or away, evenly chosen."""
    scores = folds.probability * factors
    own, others = scores[:, number], np.delete(scores, number, axis=1).max(axis=1)
    there = (own > 0) & (others > 0)
    ratios = np.unique(others[there] / own[there])
    if len(ratios) < 2:
        return
    between = np.sqrt(ratios[1:] * ratios[:-1])
    yield from between[np.unique(np.linspace(0, len(between) - 1, _N_MULTIPLIERS).astype(np.intp))].tolist()


def _sums(true: Codes, taken: Codes, n_classes: int) -> Doubles:
    """Return the sums of a set of images in a row, as `ClassSums.of` takes it, (1, 3 n_classes + 1)."""
    counts = [np.bincount(some, minlength=n_classes) for some in (true[true == taken], true, taken)]
    return np.append(np.concatenate(counts), 0.0)[None]
