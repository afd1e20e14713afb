"""One set of features against another on the same images, and whether chance alone could have put it ahead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.scoring import SIGNIFICANCE, Predictions, compare_paired

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Lead:
    """How far the first of two sets of features is ahead of the second.

    Attributes
    ----------
    first, second : str
        Their names.
    scores : (float, float)
        Share of images that each tells.
    value, low, high : float
        Share of images that the first tells less that of the second, and its 95 % interval.
    p_value : float
        Two-sided, times the number of sets that the one ahead is the best of.
    """

    first: str
    second: str
    scores: tuple[float, float]
    value: float
    low: float
    high: float
    p_value: float

    @property
    def beyond_chance(self) -> bool:
        """Whether they differ by more than chance, in whichever direction."""
        return self.p_value < SIGNIFICANCE


def lead_of_best(some: Mapping[str, Doubles], others: Mapping[str, Doubles], groups: NDArray[Any]) -> Lead:
    """Compare the best of some sets of features with the best of others, image by image.

    The one ahead was picked by looking, and its p-value is multiplied by how many it was picked of (Bonferroni). That
    the other is the best of its side makes it only harder to be ahead of.

    Parameters
    ----------
    some, others : mapping of str to float64 ndarray of shape (n_images,)
        By name, 1 for each image whose class is told, else 0.
    groups : int ndarray of shape (n_images,)
        Images of one group are counted together.
    """
    first, second = (max(side, key=lambda name: side[name].mean()) for side in (some, others))
    sides = [Predictions(classes=side.astype(np.int64)) for side in (some[first], others[second])]
    apart = compare_paired("accuracy", np.ones(len(groups), np.int64), *sides, groups=groups)
    return Lead(
        first=first,
        second=second,
        scores=(float(some[first].mean()), float(others[second].mean())),
        value=apart.value,
        low=apart.low,
        high=apart.high,
        p_value=min(1.0, apart.p_value * len(some if apart.value >= 0 else others)),
    )
