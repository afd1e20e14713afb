"""Accuracy against images per class: how much a head would gain from more labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.analysis.few_shot_fits import Fold, Learner, draw_order, right_by_size
from headstart.heads.analysis.few_shot_interval import interval_of_mean, variance_of_draws
from headstart.heads.errors import DataError
from headstart.heads.isolation import quiet_and_single_threaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from headstart.heads.splits import SplitPlan

    Doubles = NDArray[np.float64]

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
    learner: Learner,
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
    learner : Learner
        The head.
    X : ndarray of shape (n_rows, n_features)
        Any float dtype; a row an image, or one for each view of it.
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
        Fold(
            fit,
            score,
            np.bincount(labels[fit]),
            [draw_order(fit, labels, units, generator) for _ in range(draws)],
            plan.views,
        )
        for fit, score in plan.folds
    ]
    numbers = sorted({size for size in sizes if size is not None})
    asked: list[int | None] = [size for size in numbers if any(fold.counts.max() > size for fold in folds)]
    whole = None in sizes or len(asked) < len(numbers)
    to_fit = [*asked, None] if whole and learner.right is None else asked
    with quiet_and_single_threaded():  # threads of BLAS wait for each other longer than such small fits take
        right = [right_by_size(learner, X, labels, fold, to_fit, seed) for fold in folds]
    if whole and learner.right is not None:
        ends = np.cumsum([len(fold.score) for fold in folds])[:-1]
        for one, known in zip(right, np.split(learner.right, ends), strict=True):
            one[None] = known[np.newaxis].astype(np.float64)
        to_fit.append(None)
    return [_point(size, folds, [one[size] for one in right], units, groups is None) for size in to_fit]


def _check(sizes: Sequence[int | None], draws: int) -> None:
    if draws < 2:
        raise DataError(f"draws is {draws!r}, expected at least 2: one alone says nothing of the others")
    if not sizes or any(size is not None and size < 1 for size in sizes):
        raise DataError(f"sizes are {tuple(sizes)!r}, expected images per class of at least 1, or None for all")


def _point(
    size: int | None, folds: list[Fold], right: list[Doubles], units: NDArray[Any], independent: bool
) -> FewShotPoint:
    pooled = np.concatenate(right, axis=1)
    scored = np.concatenate([fold.score for fold in folds])
    value = float(pooled.mean())
    drawing = variance_of_draws(size, folds, right, units)
    low, high = interval_of_mean(value, *drawing, pooled.mean(axis=0), units[scored], independent)
    return FewShotPoint(
        images_per_class=size,
        n_train=round(float(np.mean([len(fold.drawn(0, size)) for fold in folds]))),
        n_short=0 if size is None else int(np.max([(fold.counts < size).sum() for fold in folds])),
        accuracy=value,
        low=min(low, value),
        high=max(high, value),
        per_draw=tuple(pooled.mean(axis=1).tolist()),
    )
