"""Two candidates on the same images: how far apart they are, and whether chance alone could have put them there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binomtest

from headstart.heads.scoring.intervals import CONFIDENCE, quantile, wilson
from headstart.heads.scoring.linearised import Predictions, RankedScore, ScoredImages, score_images
from headstart.heads.scoring.metrics import Metric, find_metric
from headstart.heads.scoring.regression import ScoredNumbers
from headstart.heads.scoring.resampling import number_units
from headstart.heads.scoring.sign_flips import flip_signs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

SIGNIFICANCE = 1 - CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far the first of two candidates is from the second.

    Parameters
    ----------
    metric : str
    value, low, high : float
        The metric of the first minus that of the second, and its 95 % interval.
    p_value : float
        Two-sided: how often chance alone leaves two equal candidates at least so far apart.
    n_images : int
        Images that both scored.
    test : str
        ``exact McNemar``, ``sign flips of images`` or ``sign flips of groups``.
    """

    metric: str
    value: float
    low: float
    high: float
    p_value: float
    n_images: int
    test: str


@dataclass(frozen=True, kw_only=True)
class RunnerUp:
    """A runner-up against the winner.

    Parameters
    ----------
    difference : Difference
        The winner minus the runner-up.
    p_adjusted : float
        The p-value, corrected for how many candidates the winner was the best of.
    tied : bool
        That is at least 0.05: these images do not tell the two apart. Others, or more, might.
    """

    difference: Difference
    p_adjusted: float
    tied: bool


def compare_paired(
    metric: str,
    y: ArrayLike,
    first: Predictions,
    second: Predictions,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> Difference:
    """Return the difference of two candidates in a metric, with its 95 % interval and a two-sided p-value.

    Accuracy over independent images has McNemar's exact test and Newcombe's interval (his method 10), and so has top-5
    accuracy. Everything else is a sum over units (images, or groups as wholes) of what each adds to the difference,
    macro-F1 and MCC after linearising them halfway between the two, metrics of ranks after linearising each side, as
    DeLong's test does, and of numbers that of the absolute errors for MAE, and of the squared errors for RMSE and R²,
    which order candidates alike: if the candidates are equal, each unit's part could as well have the other sign.
    The p-value is the share of 2000 random flips whose sum is at least as far from 0. Where fewer than 10 are, or there
    are more than 20 000 units, it is the tail of the normal limit at Σ parts / √(Σ parts²), and no less than 2 / 2^m
    where m units differ. The interval is then the linearised difference's: normal for images, Student's for groups. It
    and the p-value are made in two ways, and may disagree at the border; where no unit differs it is a point.

    Parameters
    ----------
    metric : str
        Of classes or of numbers.
    y : array of shape (n_images,)
        True classes, 0 … n_classes - 1, as int; or numbers.
    first, second : Predictions
        Of the same images in the same order, which neither was fitted on.
    groups : int array of shape (n_images,) or None
        Images with the same number are taken together.
    seed : int
        Of the flips.

    Raises
    ------
    DataError
        The metric is unknown or does not exist because the numbers do not vary, a log-loss lacks probabilities, or
        shapes do not agree.

    References
    ----------
    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12, 1947; Dietterich, "Approximate statistical tests for comparing supervised classification learning
    algorithms", Neural Computation 10, 1998 (McNemar's for two classifiers on one test set).
    Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired data",
    Statistics in Medicine 17, 1998.
    Noreen, "Computer-intensive methods for testing hypotheses", 1989, and Yeh, "More accurate tests for the statistical
    significance of result differences", COLING 2000 (flips, F1 included); Phipson & Smyth, "Permutation p-values should
    never be zero", SAGMB 9, 2010.
    Efron, "Student's t-test under symmetry conditions", JASA 64, 1969 (the normal limit where units are few).
    """
    return _compare(metric, y, first, [second], groups, seed)[0]


def tied_with_winner(
    metric: str,
    y: ArrayLike,
    winner: Predictions,
    runners_up: Sequence[Predictions],
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> list[RunnerUp]:
    """Compare the best of several candidates with every other one, and say which of them are tied with it.

    The winner was picked by looking, so its lead is in part luck that any candidate could have had: the p-values are
    corrected by Holm's method for all n (n-1) / 2 pairs of the n candidates and not only for the n - 1 that are shown.
    Of candidates that are all equal, one is called worse than the winner in at most 5 % of all sweeps.

    Parameters
    ----------
    metric, y, groups, seed
        As for `compare_paired`.
    winner : Predictions
    runners_up : sequence of Predictions
        All other candidates of the sweep that have the metric; leaving some out makes the correction too small.

    Returns
    -------
    list of RunnerUp
        In the order of `runners_up`.

    Raises
    ------
    DataError
        As for `compare_paired`.

    References
    ----------
    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    differences = _compare(metric, y, winner, runners_up, groups, seed)
    n_pairs = len(runners_up) * (len(runners_up) + 1) // 2
    adjusted = holm([difference.p_value for difference in differences], n_pairs)
    return [
        RunnerUp(difference=difference, p_adjusted=p, tied=p >= SIGNIFICANCE)
        for difference, p in zip(differences, adjusted, strict=True)
    ]


def holm(p_values: Sequence[float], n_tests: int) -> list[float]:
    """Return p-values (n,) adjusted by Holm's method for a family of `n_tests` of which only these n were computed.

    Whatever the others are, Holm's method over the whole family rejects each of these at least as early.
    """
    order = np.argsort(p_values, kind="stable")
    factors = n_tests - np.arange(len(order))
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    return [float(p) for p in adjusted]


def _compare(
    metric: str,
    y: ArrayLike,
    first: Predictions,
    others: Sequence[Predictions],
    groups: ArrayLike | None,
    seed: int,
) -> list[Difference]:
    """Compare one candidate with several others; see `compare_paired`."""
    true = np.asarray(y)
    kind = find_metric(metric, "regress" if true.dtype.kind == "f" else None)
    units = number_units(groups, len(true))
    grouped = int(units.max(initial=0)) + 1 < len(true)
    # One after another: of millions of images, a few pairs take as much memory as all else.
    sides = _sides(kind, true, (first, *others))
    one = next(sides)
    pairs = (_Pair(kind, units, one, other, grouped) for other in sides)
    if kind.spread == "right" and not grouped:
        test = "exact McNemar"
        found = [(pair.value, _newcombe(table), _mcnemar(*table[1:3])) for pair in pairs for table in [pair.table()]]
    else:
        test = "sign flips of groups" if grouped else "sign flips of images"
        parts = [(pair.value, pair.interval(), pair.flipped()) for pair in pairs]
        columns = np.array([flipped for *_, flipped in parts]).T
        if kind.task == "regress":  # sums of rows and of columns, and so p-values, differ in the last bit
            columns = np.ascontiguousarray(columns)
        p_values = flip_signs(columns, seed) if parts else []
        found = [(value, ends, p) for (value, ends, _), p in zip(parts, p_values, strict=True)]
    return [
        Difference(metric=metric, value=value, low=low, high=high, p_value=p, n_images=len(true), test=test)
        for value, (low, high), p in found
    ]


def _sides(
    metric: Metric, true: NDArray[Any], everyone: Sequence[Predictions]
) -> Iterator[ScoredImages | RankedScore | ScoredNumbers]:
    """Yield what each candidate says beside what is true."""
    if metric.task == "regress":
        yield from (ScoredNumbers.of(true, side.classes) for side in everyone)
        return
    n_classes = 1 + max(int(np.asarray(classes).max(initial=0)) for classes in (true, *(s.classes for s in everyone)))
    yield from (score_images(metric.name, true, side, n_classes) for side in everyone)


@dataclass(frozen=True)
class _Pair:
    """Two candidates on the same images; `units` (n_images,) numbers the images, or their groups, from 0."""

    metric: Metric
    units: NDArray[Any]
    first: Any
    second: Any
    grouped: bool

    @property
    def value(self) -> float:
        return float(self.first.value(self.metric.name) - self.second.value(self.metric.name))

    def flipped(self) -> Doubles:
        """Return each unit's contribution to the difference: where the two are equal, its sign is chance."""
        return self._by_unit(self.first.less(self.second, self.metric.name))

    def interval(self) -> tuple[float, float]:
        """Return the linearised difference's interval: G / (G-1) Σ parts² is the variance over G units."""
        lowest, highest = self.metric.ends
        most = highest - lowest
        parts = self._by_unit(self.first.own_parts(self.metric.name) - self.second.own_parts(self.metric.name))
        if self.metric.task == "regress":
            parts -= parts.mean()  # which is 0 but for rounding
        n_units = len(parts)
        if n_units == 1:  # says nothing of how units differ
            return -most, most
        spread = math.sqrt(n_units / (n_units - 1) * float((parts**2).sum()))
        reach = quantile(n_units if self.grouped else None) * spread
        return max(-most, self.value - reach), min(most, self.value + reach)

    def _by_unit(self, parts: Doubles) -> Doubles:
        return np.bincount(self.units, parts).astype(np.float64, copy=False)

    def table(self) -> tuple[int, int, int, int]:
        """Count images that both have right, the first alone, the second alone, neither."""
        first, second = self.first.right > 0, self.second.right > 0
        cells = (first & second, first & ~second, ~first & second, ~first & ~second)
        both, first_alone, second_alone, neither = (int(cell.sum()) for cell in cells)
        return both, first_alone, second_alone, neither


@lru_cache(maxsize=4096)  # of many candidates, the same counts come again
def _mcnemar(first_alone: int, second_alone: int) -> float:
    n_apart = first_alone + second_alone
    return float(binomtest(first_alone, n_apart).pvalue) if n_apart else 1.0


def _newcombe(table: tuple[int, int, int, int]) -> tuple[float, float]:
    """Return Newcombe's interval: Wilson's of both accuracies, joined with their correlation φ."""
    both, first_alone, second_alone, neither = table
    n_images, reach = sum(table), quantile()
    one, two = (both + first_alone) / n_images, (both + second_alone) / n_images
    (low_1, high_1), (low_2, high_2) = wilson(one, n_images, reach), wilson(two, n_images, reach)
    margins = (both + first_alone) * (second_alone + neither) * (both + second_alone) * (first_alone + neither)
    together = float(both * neither - first_alone * second_alone)
    together = max(0.0, together - n_images / 2) if together > 0 else together
    phi = together / math.sqrt(margins) if margins else 0.0

    def joined(a: float, b: float) -> float:
        return math.sqrt(max(0.0, a * a - 2 * phi * a * b + b * b))

    difference = one - two
    return difference - joined(one - low_1, high_2 - two), difference + joined(high_1 - one, two - low_2)
