"""Score with half, a quarter, … of the images: what the last doubling brought, and so what more labels may bring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.scoring import cluster_variance, effective_size, quantile, wilson
from headstart.heads.transfer import quick_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_HALVINGS = 3
_FEWEST = 2  # images of a class in a part, on average
_DRAWS, _FEW_IMAGES = 4, 2000  # of so many images, one draw is exact enough, and several take too long


@dataclass(frozen=True, kw_only=True)
class GrowthPoint:
    """Share of images that so many images of each class tell.

    Attributes
    ----------
    images_per_class : float
        On average; each image is told by the others of these.
    score, low, high : float
        And its 95 % interval.
    """

    images_per_class: float
    score: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Score by number of images.

    Attributes
    ----------
    points : list of GrowthPoint
        From the fewest images to all of them.
    gain, low, high : float
        What the last doubling added to the score, and its 95 % interval.
    """

    points: list[GrowthPoint]
    gain: float
    low: float
    high: float

    @property
    def climbs(self) -> bool:
        """Whether the last doubling helped beyond chance."""
        return self.low > 0


def measure_growth(
    X: NDArray[Any], y: NDArray[Any], groups: NDArray[Any], n_classes: int, right: Doubles, seed: int = 0
) -> Growth | None:
    """Score features within random halves, quarters and eighths of the images, as `quick_scores` does within all.

    Every image is told once by each size, so that the last doubling is a paired comparison on the same images.

    Parameters
    ----------
    X : float array of shape (n_images, n_features)
    y : int array of shape (n_images,)
        Classes from 0.
    groups : int array of shape (n_images,)
        Kept whole.
    n_classes : int
    right : float64 ndarray of shape (n_images,)
        As `quick_scores` found it on all images.
    seed : int

    Returns
    -------
    Growth or None
        None where halves would have fewer than two images of a class.
    """
    generator, n = np.random.default_rng(seed), len(y)
    by_level = [right]
    for level in range(1, _HALVINGS + 1):
        if n < _FEWEST * n_classes * 2**level:
            break
        draws = _DRAWS if n <= _FEW_IMAGES else 1
        found = [_within_parts(X, y, groups, n_classes, 2**level, generator) for _ in range(draws)]
        by_level.append(np.mean(found, axis=0))
    if len(by_level) == 1:
        return None
    units = np.unique(groups, return_inverse=True)[1]
    gained = by_level[0] - by_level[1]
    spread = np.bincount(units, gained - gained.mean())
    grouped = len(spread) < n
    reach = quantile(len(spread) if grouped else None) * float(np.sqrt((spread**2).sum())) / n
    gain = float(gained.mean())
    points = [_point(one, units, n / n_classes / 2**level) for level, one in enumerate(by_level)]
    return Growth(points=points[::-1], gain=gain, low=gain - reach, high=gain + reach)


def _within_parts(
    X: NDArray[Any],
    y: NDArray[Any],
    groups: NDArray[Any],
    n_classes: int,
    n_parts: int,
    generator: np.random.Generator,
) -> Doubles:
    """Return which images are told by the others of their part, of so many parts that have as many of each class."""
    names, first, units = np.unique(groups, return_index=True, return_inverse=True)
    drawn = generator.permutation(len(names))
    drawn = drawn[np.argsort(y[first][drawn], kind="stable")]  # class after class, in turn to each part
    part = np.empty(len(names), np.intp)
    part[drawn] = np.arange(len(names)) % n_parts
    right = np.zeros(len(y))
    for number in range(n_parts):
        rows = np.flatnonzero(part[units] == number)
        if len(np.unique(groups[rows])) > 1:
            right[rows] = quick_scores(X[rows], y[rows], groups[rows], n_classes).right
    return right


def _point(right: Doubles, units: NDArray[np.intp], images_per_class: float) -> GrowthPoint:
    score, sizes = float(right.mean()), np.bincount(units).astype(np.float64)
    variance = cluster_variance(np.bincount(units, right).astype(np.float64), sizes)
    independent = len(right) ** 2 / float((sizes**2).sum())
    reach = quantile(len(sizes) if len(sizes) < len(right) else None)
    low, high = wilson(score, effective_size(score, variance, len(right), independent), reach)
    return GrowthPoint(images_per_class=images_per_class, score=score, low=min(low, score), high=max(high, score))
