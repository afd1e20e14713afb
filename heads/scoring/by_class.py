"""Scores of each class by itself, and the curves of its probability against all other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headstart.heads.scoring.intervals import cluster_variance, effective_size, quantile, wilson
from headstart.heads.scoring.metrics import ClassScore
from headstart.heads.scoring.ranking import RankedImages, add_area, add_precision
from headstart.heads.scoring.resampling import number_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]


def score_classes(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    class_names: Sequence[str],
    *,
    probability: NDArray[np.floating] | None = None,
    groups: ArrayLike | None = None,
) -> list[ClassScore]:
    """Score every class by its name; else parameters as for `heads.scoring.score_predictions`.

    A recall has Wilson's interval, over groups at the number of independent images that vary as much.
    """
    true, predicted = np.asarray(y_true).astype(np.intp), np.asarray(y_pred).astype(np.intp)
    units = number_units(groups, len(true))
    taken = np.bincount(predicted, minlength=len(class_names))
    curves = [] if probability is None else curves_of_classes(true, probability)
    precisions = {one.number: one.average_precision for one in curves}
    found = []
    for number, name in enumerate(class_names):
        of_class = true == number
        right, support = int((predicted[of_class] == number).sum()), int(of_class.sum())
        low, high = _interval(predicted[of_class] == number, units[of_class]) if support else (None, None)
        found.append(
            ClassScore(
                name=name,
                support=support,
                precision=right / int(taken[number]) if taken[number] else None,
                recall=right / support if support else None,
                low=low,
                high=high,
                f1=2 * right / (support + int(taken[number])) if support + taken[number] else None,
                average_precision=precisions.get(number),
            )
        )
    return found


def _interval(right: NDArray[np.bool_], units: NDArray[np.intp]) -> tuple[float, float]:
    unit = np.unique(units, return_inverse=True)[1]
    each, of_unit = (np.bincount(unit, weights).astype(np.float64) for weights in (None, right))
    share, n_images, n_units = float(right.mean()), len(right), len(each)
    if n_units == n_images:
        return wilson(share, n_images, quantile())
    if n_units == 1:  # says nothing of how groups differ
        return 0.0, 1.0
    size = effective_size(share, cluster_variance(of_unit, each), n_images, n_images**2 / float((each**2).sum()))
    return wilson(share, size, quantile(n_units))


class ClassCurves(NamedTuple):
    """Images of one class and others that are given at least so much of it, from the surest on: both begin at 0.

    Attributes
    ----------
    number : int
        The class.
    own, others : float64 ndarray of shape (n_points,)
    roc_auc, average_precision : float
    """

    number: int
    own: Doubles
    others: Doubles
    roc_auc: float
    average_precision: float


def curves_of_classes(true: NDArray[np.intp], probability: NDArray[np.floating]) -> list[ClassCurves]:
    """Return the curves of all classes that some images (n_images,) have and others have not."""
    found = []
    for ranks in RankedImages(true, probability).ranks:
        own, others = (np.append(0.0, np.cumsum(count[::-1])) for count in (ranks.own, ranks.others))
        area, precision = (add(ranks.own, ranks.others).value for add in (add_area, add_precision))
        found.append(ClassCurves(ranks.number, own, others, area, precision))
    return found
