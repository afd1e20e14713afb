"""Doubt of a model: for each image the classes that it may have, and whether it is like those of the fit at all."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.analysis import temper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from headstart.heads.coverage.conformal import ConformalSets
    from headstart.heads.coverage.outliers import OutlierScore
    from headstart.heads.coverage.share import Share

    Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Judgement on images.

    Attributes
    ----------
    sets : bool ndarray of shape (n_images, n_classes)
        Classes in the set of each.
    confidence : float64 ndarray of shape (n_images,)
        Score of the likeliest class, before any temperature.
    distance : float64 ndarray of shape (n_images,)
    outlier : bool ndarray of shape (n_images,)
        Whether it is farther than the threshold.
    """

    sets: NDArray[np.bool_]
    confidence: Doubles
    distance: Doubles
    outlier: NDArray[np.bool_]

    def keeps(self, labels: ArrayLike) -> NDArray[np.bool_]:
        """Tell of each answer whether it stands, (n_images,): the set holds that class alone, and it is no outlier."""
        own = self.sets[np.arange(len(self.sets)), np.asarray(labels).astype(np.intp)]
        return np.asarray(own & (self.sets.sum(axis=1) == 1) & ~self.outlier)

    @classmethod
    def joined(cls, parts: Sequence[Judged], order: NDArray[np.intp]) -> Judged:
        """Return the images of all parts, one after the other, in an order of theirs."""
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts])[order] for one in fields(cls)))


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Sets and outliers of one fitted head.

    Parameters
    ----------
    sets : ConformalSets
        Of the probabilities of the head without its temperature.
    outliers : OutlierScore
        By the features of plain images.
    threshold : float
        Highest distance of what is no outlier.
    false_alarms : float
        Probability with which an image like those of the fit is farther.
    temperature : float
        That the head's probabilities have been given since.
    by_fold : sequence of Share
        Calibrating images of each fold whose set holds their class; it is not saved.
    """

    sets: ConformalSets
    outliers: OutlierScore
    threshold: float
    false_alarms: float
    temperature: float = 1.0
    by_fold: Sequence[Share] = ()

    def judge(self, probability: ArrayLike, features: ArrayLike, draws: ArrayLike) -> Judged:
        """Judge images by what the head says of them, (n_images, n_classes), and by their features.

        Parameters
        ----------
        probability : array of shape (n_images, n_classes)
            With the temperature, or the scores of classes where the head gives no probabilities.
        features : array of shape (n_images, n_features)
            Of the plain images, without views.
        draws : array of shape (n_images,)
            See `heads.coverage.conformal.draws_of`.
        """
        columns = np.asarray(probability, dtype=np.float64)
        if self.temperature != 1.0:
            columns = temper(columns, 1 / self.temperature)
        distance = self.outliers.distance(features)
        return Judged(self.sets.of(columns, draws), columns.max(axis=1), distance, distance > self.threshold)
