"""Accuracy against images per class: how much a head would gain from more labels."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags

from headstart.heads.errors import DataError
from headstart.heads.scoring import CONFIDENCE, cluster_variance, effective_size, wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator

    from headstart.heads.splits import SplitPlan

    Doubles = NDArray[np.float64]
    Rows = NDArray[np.intp]

_WITHOUT_LABELS = ("sklearn.preprocessing.", "sklearn.decomposition.")
SIZES = (1, 2, 5, 10, 20, 50, None)
"""Images per class; None takes all there are."""


@dataclass(frozen=True, kw_only=True)
class FewShotPoint:
    """Accuracy of a head with so many images of each class.

    Attributes
    ----------
    images_per_class : int or None
        As asked for; None means all of them.
    n_train : int
        Images fitted on, the mean over folds, rounded.
    n_short : int
        Classes that have fewer images than that in some fold: all of these were taken. 0 where all are meant.
    accuracy, low, high : float
        Mean over the draws, and the ends of its 95 % interval.
    per_draw : tuple of float
        The accuracy of each draw: their spread is what one collection of so many images is exposed to.
    """

    images_per_class: int | None
    n_train: int
    n_short: int
    accuracy: float
    low: float
    high: float
    per_draw: tuple[float, ...]


def few_shot_curve(
    make: Callable[[int], BaseEstimator],
    X: NDArray[Any],
    y: ArrayLike,
    plan: SplitPlan,
    *,
    sizes: Sequence[int | None] = SIZES,
    draws: int = 10,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> list[FewShotPoint]:
    """Return the accuracy of a head fitted on few images of each class, one point a size, smallest first.

    What needs no label is known of every image that a fold fits on, however few of them have one: the leading steps of
    a pipeline that look at features alone, such as the scaling of columns, are fitted on all of these. Standardised on
    five images, columns would be scaled by what is chance.

    Images are drawn from the rows that each fold fits on, and scored on the rows that the fold scores: the curve may be
    looked at before anything is chosen, for the test rows take no part. With None, the last point is the head's own
    accuracy in the sweep.

    Draws are nested: that of 2 images a class holds that of 1, so that differences along the curve are not those
    between draws. Groups are drawn one after the other and each is used up before the next, as images are collected.
    Sizes that no class exceeds are left out, for they would be all there are.

    The interval is that of the mean accuracy over new draws, on new images: Wilson's at the effective number of images
    p (1-p) / variance, at most those that were scored, with Student's quantile at the degrees of freedom of Welch and
    Satterthwaite. The variance is the sum of those over scored images (over their groups, where given) and over draws.
    Draws share images: of n in a class two draws of k have k² / n in common, so that their means are correlated by
    k / n, and their spread falls short of that of independent draws by 1 - k / n. With the variance s² between D draws
    in each of F folds, less what draws and images have between them, their mean has the variance
    s² (1 / DF + (k / n) / (1 - k / n)). With all images there is one draw, and the interval is of new images alone, as
    in the sweep.

    Parameters
    ----------
    make : callable
        `make(seed)` returns an unfitted classifier.
    X : ndarray of shape (n_images, n_features)
        Any float dtype.
    y : int array of shape (n_images,)
        Classes, 0 … n_classes - 1.
    plan : SplitPlan
    sizes : sequence of int or None
        Images per class.
    draws : int
        For each size and fold, at least 2.
    groups : int array of shape (n_images,) or None
        Images with the same number are drawn, and counted in the interval, together.
    seed : int
        Of the draws; draw d makes its head with `seed` + d.

    Raises
    ------
    DataError
        `draws` or `sizes` are out of range, or the head cannot be fitted on so few images.

    References
    ----------
    Nadeau & Bengio, "Inference for the generalization error", Machine Learning 52, 2003 (correlated training sets).
    Searle, Casella & McCulloch, "Variance components", 1992, chapter 4 (draws crossed with images). Satterthwaite, "An
    approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946.
    """
    _check(sizes, draws)
    labels = np.asarray(y).astype(np.intp)
    units = np.arange(len(labels)) if groups is None else np.asarray(groups)
    generator = np.random.default_rng(seed)
    folds = [
        _Fold(fit, score, np.bincount(labels[fit]), [_order(fit, labels, units, generator) for _ in range(draws)])
        for fit, score in plan.folds
    ]
    numbers = sorted({size for size in sizes if size is not None})
    asked: list[int | None] = [size for size in numbers if any(fold.counts.max() > size for fold in folds)]
    if None in sizes or len(asked) < len(numbers):
        asked.append(None)
    return [
        _point(size, folds, [_right(make, X, labels, fold, size, seed) for fold in folds], units, groups is None)
        for size in asked
    ]


@dataclass
class _Fold:
    """The rows that one fold fits on and scores, how many in each class, and the order in which each draw takes them.

    `orders` holds for each draw the rows to fit on and the place of each among those of its class; `steps` what a
    pipeline does to features without labels, fitted on all rows, once the first model is made.
    """

    fit: Rows
    score: Rows
    counts: Rows
    orders: list[tuple[Rows, Rows]]
    steps: list[Any] | None = None

    def drawn(self, draw: int, size: int | None) -> Rows:
        """Return the first `size` rows of each class, sorted: with all of them the head sees what a sweep shows it."""
        rows, place = self.orders[draw]
        return np.sort(rows if size is None else rows[place < size])

    def share(self, size: int | None) -> float:
        """Return k / n, the mean over classes."""
        counts = self.counts[self.counts > 0]
        return 1.0 if size is None else float((np.minimum(counts, size) / counts).mean())


def _right(
    make: Callable[[int], BaseEstimator], X: NDArray[Any], labels: Rows, fold: _Fold, size: int | None, seed: int
) -> Doubles:
    """Return which scored images each draw gets right, (n_draws, n_scored); one draw if all rows are taken."""
    scored: Any = None
    right = []
    for draw in range(1 if size is None else len(fold.orders)):
        rows = fold.drawn(draw, size)
        try:
            model: Any = make(seed + draw)
            if fold.steps is None:
                fold.steps = _fitted_without_labels(model, np.ascontiguousarray(X[fold.fit], dtype=np.float32))
            if scored is None:
                scored = _through(fold.steps, X[fold.score])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # few images of a sweep that has reported it
                model = _after(model, fold.steps).fit(_through(fold.steps, X[rows]), labels[rows])
        except ValueError as error:
            raise DataError(
                f"few-shot curve: {size or 'all'} images a class cannot be fitted ({error}); ask for more images"
            ) from error
        right.append(np.asarray(model.predict(scored)) == labels[fold.score])
    return np.asarray(right, dtype=np.float64)


def _fitted_without_labels(model: Any, X: NDArray[Any]) -> list[Any]:
    """Fit the leading steps of a pipeline that look at features alone; none of what is no pipeline."""
    fitted: list[Any] = []
    for _, step in getattr(model, "steps", [])[:-1]:
        if not type(step).__module__.startswith(_WITHOUT_LABELS) or get_tags(step).target_tags.required:
            break
        fitted.append(clone(step).fit(X))
        X = fitted[-1].transform(X)
    return fitted


def _through(steps: list[Any], X: NDArray[Any]) -> Any:
    features: Any = np.ascontiguousarray(X, dtype=np.float32)
    for step in steps:
        features = step.transform(features)
    return features


def _after(model: Any, steps: list[Any]) -> Any:
    if not steps:
        return model
    rest = model[len(steps) :]
    return rest if len(rest) > 1 else rest[0]


def _check(sizes: Sequence[int | None], draws: int) -> None:
    if draws < 2:
        raise DataError(f"draws is {draws!r}, expected at least 2: one alone says nothing of the others")
    if not sizes or any(size is not None and size < 1 for size in sizes):
        raise DataError(f"sizes are {tuple(sizes)!r}, expected images per class of at least 1, or None for all")


def _order(fit: Rows, labels: Rows, units: NDArray[Any], generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Return the rows in a random order, group after group, and the place of each among those of its class."""
    numbers = np.unique(units[fit], return_inverse=True)[1]
    group_place = generator.permutation(int(numbers.max()) + 1)[numbers]
    rows = fit[np.lexsort((generator.permutation(len(fit)), group_place, labels[fit]))]
    counts = np.bincount(labels[fit])
    return rows, np.arange(len(rows)) - (np.cumsum(counts) - counts)[labels[rows]]


def _point(
    size: int | None, folds: list[_Fold], right: list[Doubles], units: NDArray[Any], independent: bool
) -> FewShotPoint:
    pooled = np.concatenate(right, axis=1)
    scored = np.concatenate([fold.score for fold in folds])
    value = float(pooled.mean())
    drawing = _variance_of_draws(size, folds, right, units)
    low, high = _interval(value, *drawing, pooled.mean(axis=0), units[scored], independent)
    return FewShotPoint(
        images_per_class=size,
        n_train=round(float(np.mean([len(fold.drawn(0, size)) for fold in folds]))),
        n_short=0 if size is None else int(np.max([(fold.counts < size).sum() for fold in folds])),
        accuracy=value,
        low=min(low, value),
        high=max(high, value),
        per_draw=tuple(pooled.mean(axis=1).tolist()),
    )


def _variance_of_draws(size: int | None, folds: list[_Fold], right: list[Doubles], units: Rows) -> tuple[float, int]:
    """Return the variance that comes from drawing, and its degrees of freedom; 0 and 1 with a single draw."""
    draws, n_folds = len(right[0]), len(folds)
    share = float(np.mean([fold.share(size) for fold in folds]))
    if draws == 1 or share == 1.0:
        return 0.0, 1
    spread = float(np.mean([_spread(part, units[fold.score]) for fold, part in zip(folds, right, strict=True)]))
    return max(0.0, spread) * (1.0 / (draws * n_folds) + share / (1.0 - share)), n_folds * (draws - 1)


def _spread(right: Doubles, units: Rows) -> float:
    """Variance between draws (n_draws, n_scored), as it would be on infinitely many images.

    The variance on these images alone is larger by the interaction of draw and image, estimated from what the means of
    both leave over; the variance over images holds that already.
    """
    of_draw = right.mean(axis=1)
    left = right - of_draw[:, None] - right.mean(axis=0) + right.mean()
    numbers = np.unique(units, return_inverse=True)[1]
    n_units, n_draws, n_images = int(numbers.max()) + 1, *right.shape
    if n_units < 2:
        return float(of_draw.var(ddof=1))
    by_unit = np.stack([np.bincount(numbers, row) for row in left])
    between = (by_unit**2).sum() / (n_draws - 1) * n_units / (n_units - 1) / n_images**2
    return float(of_draw.var(ddof=1) - between)


def _interval(
    value: float, of_draws: float, freedom: int, shares: Doubles, units: NDArray[Any], independent: bool
) -> tuple[float, float]:
    """Return the ends for the mean `value` of each scored image's share of right draws (n_scored,)."""
    n_images = len(shares)
    numbers = np.unique(units, return_inverse=True)[1]
    right = np.bincount(numbers, shares).astype(np.float64)
    sizes = np.bincount(numbers).astype(np.float64)
    if len(sizes) < 2:
        return 0.0, 1.0
    of_images = cluster_variance(right, sizes)
    variance = of_draws + of_images
    independent_images = n_images**2 / float((sizes**2).sum())
    images_freedom = math.inf if independent else len(sizes) - 1
    # Welch and Satterthwaite: (a + b)² / (a² / f + b² / g).
    reciprocal = of_draws**2 / freedom + of_images**2 / images_freedom
    reach = t.ppf(0.5 + CONFIDENCE / 2, variance**2 / reciprocal if reciprocal > 0 else images_freedom)
    # A mean over draws can vary less than one share of n_images would, and is held at that all the same: on folds the
    # estimate is too small, for an odd image is often wrong itself and spoils what is fitted on it in other folds.
    return wilson(value, effective_size(value, variance, n_images, independent_images), float(reach))
