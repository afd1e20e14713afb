"""The metrics that go by every class's probability: what each image adds to them.

They go by the order in which a class's probability puts the images, which no sum over images decides. What images add
has the metric as its sum, and lies as far from its mean as the metric moves where an image is weighed more: intervals
and paired tests go by that.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headstart.heads.scoring.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_MOST = 5


class Ranks(NamedTuple):
    """Places of images in the order of one class's probability, as far as that class's own images tell them apart.

    Attributes
    ----------
    number : int
        The class.
    of_class : bool ndarray of shape (n_images,)
        Whose class it is.
    place : int ndarray of shape (n_images,)
        Of each image, least sure first.
    own, others : float64 ndarray of shape (n_places,)
        Images of the class, and all others, at each place.
    """

    number: int
    of_class: NDArray[np.bool_]
    place: NDArray[np.intp]
    own: Doubles
    others: Doubles

    @classmethod
    def of(cls, number: int, given: NDArray[np.floating], of_class: NDArray[np.bool_]) -> Ranks:
        """Rank images (n_images,) by what a class was given: at each value that its own images have, and between."""
        values = np.unique(given[of_class])
        below = np.searchsorted(values, given)
        place = 2 * below + (values[np.minimum(below, len(values) - 1)] == given)
        n_places = 2 * len(values) + 1
        own = np.bincount(place[of_class], minlength=n_places).astype(np.float64)
        return cls(number, of_class, place, own, np.bincount(place, minlength=n_places) - own)


class RankedImages:
    """Images with their true classes (n_images,) and the probability of every class (n_images, n_classes)."""

    def __init__(self, true: NDArray[np.intp], probability: NDArray[np.floating]) -> None:
        self.true, self.probability = true, probability

    @cached_property
    def ranks(self) -> list[Ranks]:
        """Places by each class that some images have and others have not."""
        n_images, n_classes = self.probability.shape
        counts = np.bincount(self.true, minlength=n_classes)
        there = np.flatnonzero((counts > 0) & (counts < n_images))
        columns = ((one, np.ascontiguousarray(self.probability[:, one])) for one in there.tolist())
        return [Ranks.of(one, given, self.true == one) for one, given in columns]


def added_by_images(true: NDArray[np.intp], probability: NDArray[np.floating]) -> dict[str, Doubles]:
    """Return the share of each image (n_images,) in every metric of ranks that has a value for these images."""
    images = RankedImages(true, probability)
    n_classes = images.probability.shape[1]
    found = {
        name: np.asarray(metric.of(images))
        for name, metric in METRICS.items()
        if metric.basis == "ranks" and n_classes >= metric.fewest_classes
    }
    return {name: added for name, added in found.items() if np.isfinite(added).all()}


def roc_auc(images: RankedImages) -> Doubles:
    """Area under the curve of true against false positives, of each class against the rest; the mean over classes.

    That is how often an image of the class is given more of it than another one is, equals counting half.

    References
    ----------
    DeLong, DeLong & Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating
    characteristic curves: a nonparametric approach", Biometrics 44, 1988 (what each image adds).
    """
    return _mean_over_classes(images, add_area)


def average_precision(images: RankedImages) -> Doubles:
    """Precision among images that are given as much of a class, at each of its own; the mean over these and classes."""
    return _mean_over_classes(images, add_precision)


def top5(images: RankedImages) -> Doubles:
    """Share of images whose class is among the five that are given most; of equals the last ones count as more."""
    true, probability = images.true, images.probability
    own = probability[np.arange(len(true)), true][:, None]
    later = np.arange(probability.shape[1]) > true[:, None]
    before = ((probability > own) | ((probability == own) & later)).sum(axis=1)
    return np.asarray((before < _MOST) / len(true))


class Added(NamedTuple):
    """A metric of one class, and how it moves with the weight of one of its images, or of another, at each place."""

    value: float
    own: Doubles
    others: Doubles


def add_area(own: Doubles, others: Doubles) -> Added:
    """Return the area of one class from its own images and all others at each place."""
    n_own, n_others = own.sum(), others.sum()
    lower = (np.cumsum(others) - others / 2) / n_others  # share of the others that lie below a place
    higher = (_down_to(own) - own / 2) / n_own
    value = own @ lower / n_own
    return Added(value, (lower - value) / n_own, (higher - value) / n_others)


def add_precision(own: Doubles, others: Doubles) -> Added:
    """Return the average precision of one class from its own images and all others at each place."""
    n_own, given = own.sum(), np.maximum(_down_to(own + others), 1)
    precision = _down_to(own) / given
    value = own @ precision / n_own
    # An image weighs in the precision of all that are given as little, and one of the class in itself, too.
    lost = np.cumsum(own * precision / given)
    won = np.cumsum(own / given) + precision - value
    return Added(value, (won - lost) / n_own, -lost / n_own)


def _mean_over_classes(images: RankedImages, add: Callable[[Doubles, Doubles], Added]) -> Doubles:
    """Return the share of images in the mean over classes of a metric of their places; NaN where no class has any."""
    n_images, n_classes = len(images.true), len(images.ranks)
    total = np.zeros(n_images) if n_classes else np.full(n_images, np.nan)
    for ranks in images.ranks:
        added = add(ranks.own, ranks.others)
        total += np.where(ranks.of_class, added.own[ranks.place], added.others[ranks.place]) + added.value / n_images
    return np.asarray(total / max(1, n_classes))


def _down_to(counts: Doubles) -> Doubles:
    """Return the images at each place and above."""
    return np.cumsum(counts[::-1])[::-1]
