"""Coverage, set sizes and false alarms, measured on images that neither fitted, chose nor calibrated anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

from headstart.heads.coverage.risk_coverage import RiskCoverage, risk_coverage
from headstart.heads.coverage.share import Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from headstart.heads.coverage.doubt import Doubt, Judged

_SURELY = 0.01  # what chance does so rarely is said


@dataclass(frozen=True)
class ClassCoverage:
    """How many images of a class have it in their set, how large their sets are on average, and how many are kept."""

    name: str
    covered: Share
    mean_size: float | None
    answered: Share


@dataclass(frozen=True, kw_only=True)
class MeasuredDoubt:
    """Sets and outliers, held against images that calibrated nothing.

    Attributes
    ----------
    coverage, method, by_class, outlier, false_alarms
        As asked for.
    threshold : float
        Distance above which an image is an outlier; of nested folds that of the saved model.
    n_calibrated : int
        Images that calibrated the saved model.
    held_out : bool
        Whether these were a split of their own, and not the folds of what was fitted.
    covered : Share
        Images whose set holds their class.
    classes : list of ClassCoverage
        The worst covered first.
    sizes : list of int
        Images whose set has 0, 1, 2, … classes.
    mean_size : float
    flagged : Share
        Images taken for outliers: all of these are false alarms.
    answered : Share
        Images that keep their answer where the model abstains.
    right : Share
        Right answers among these.
    curve : RiskCoverage
        Answers in the order of their probability.
    by_fold : list of Share
        Calibrating images of each fold whose set holds their class; each fold has a model of its own.
    """

    coverage: float
    method: str
    by_class: bool
    outlier: str
    false_alarms: float
    threshold: float
    n_calibrated: int
    held_out: bool
    covered: Share
    classes: list[ClassCoverage]
    sizes: list[int]
    mean_size: float
    flagged: Share
    answered: Share
    right: Share
    curve: RiskCoverage
    by_fold: list[Share]

    @property
    def uneven(self) -> bool:
        """Whether folds are covered more differently than by chance: no threshold then holds for all fits of the head.

        By the sum of squared deviations, each by its variance, which has a χ² law with one degree for every other fold.
        """
        parts = [one for one in self.by_fold if one.of]
        share = sum(one.count for one in parts) / max(1, sum(one.of for one in parts))
        if len(parts) < 2 or not 0 < share < 1:
            return False
        deviation = sum((one.count - share * one.of) ** 2 / (one.of * share * (1 - share)) for one in parts)
        return bool(chi2.sf(deviation, len(parts) - 1) < _SURELY)

    @property
    def missed(self) -> bool:
        """Whether fewer images are covered than was asked for, by more than chance."""
        return self.covered.high is not None and self.covered.high < self.coverage


def measure_doubt(
    doubt: Doubt, judged: Judged, y: ArrayLike, predicted: ArrayLike, class_names: Sequence[str], *, held_out: bool
) -> MeasuredDoubt:
    """Hold what was said of test images against their classes.

    Parameters
    ----------
    doubt : Doubt
        Of the saved model.
    judged : Judged
        Of the test images.
    y, predicted : int array of shape (n_images,)
        Classes, and the head's answers.
    class_names : sequence of str
    held_out : bool
        See `MeasuredDoubt`.
    """
    true, answers = np.asarray(y).astype(np.intp), np.asarray(predicted).astype(np.intp)
    covered, kept = judged.sets[np.arange(len(true)), true], judged.keeps(answers)
    sizes = judged.sets.sum(axis=1)
    classes = []
    for code, name in enumerate(class_names):
        own = true == code
        mean = float(sizes[own].mean()) if own.any() else None
        classes.append(ClassCoverage(name, Share.counted(covered[own]), mean, Share.counted(kept[own])))
    return MeasuredDoubt(
        coverage=doubt.sets.coverage,
        method=doubt.sets.method,
        by_class=doubt.sets.by_class,
        outlier=doubt.outliers.method,
        false_alarms=doubt.false_alarms,
        threshold=doubt.threshold,
        n_calibrated=doubt.sets.n_images,
        held_out=held_out,
        covered=Share.counted(covered),
        classes=sorted(classes, key=lambda one: (one.covered.value is None, one.covered.value, -one.covered.of)),
        sizes=np.bincount(sizes).tolist(),
        mean_size=float(sizes.mean()),
        flagged=Share.counted(judged.outlier),
        answered=Share.counted(kept),
        right=Share.counted((answers == true)[kept]),
        curve=risk_coverage(judged.confidence, answers == true),
        by_fold=list(doubt.by_fold),
    )
