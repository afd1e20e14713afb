"""Walk along a strategy's order: past near copies, and with as many of each predicted class as of the others."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.analysis import THRESHOLD
from headstart.heads.analysis.active.strategies import STRATEGIES, find_strategy
from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.heads.analysis.active.images import PartlyLabelled

    Floats = NDArray[np.float32]
    Rows = NDArray[np.intp]

_MOST_SAMPLED = 500  # images that say how alike any two can be
_LIKEST = 0.9  # quantile of the cosines of any two images, of which hardly a tenth are copies
_NEARER = 5  # times as near to 1 a copy's cosine is
_EQUAL = 1 - 1e-6  # a cosine of rows that are equal, after rounding
_SHORTEST = 1e-12


@dataclass(frozen=True)
class Choice:
    """An image to label.

    Attributes
    ----------
    row : int
    score : float or None
        The strategy's measure.
    cluster : int or None
        Number of its cluster, where the strategy has clusters.
    """

    row: int
    score: float | None
    cluster: int | None


def choose(
    images: PartlyLabelled,
    rows: Rows,
    strategy: str,
    count: int,
    *,
    balance: bool = False,
    seed: int = 0,
) -> list[Choice]:
    """Return images to label, the best first; fewer than asked for where the others are near copies.

    An image that is a near copy of one with a label, or of one that was chosen before, is passed over: their cosine is
    at least that of `heads.analysis.near_copies`, or one five times nearer to 1 than that of the likest tenth of all
    pairs, where this is higher. Of random images none is passed over.

    Parameters
    ----------
    images : PartlyLabelled
    rows : int ndarray
        Those to choose from.
    strategy : str
        One of `STRATEGIES`.
    count : int
        At least 1.
    balance : bool
        Take as many of each class, as the classifier guesses them; what lacks of one is taken of the others.
    seed : int

    Raises
    ------
    DataError
        There are not two classes among the labels, and strategy or balance need a classifier; there is no such
        strategy, or `count` is out of range.
    """
    chosen = find_strategy(strategy)
    if count < 1:
        raise DataError(f"count is {count!r}, expected at least 1")
    if (chosen.needs_labels or balance) and images.n_classes < 2:
        free = ", ".join(name for name, one in STRATEGIES.items() if not one.needs_labels)
        raise DataError(
            f"{'balance' if balance else strategy} needs labels of two classes and there are {images.n_classes}; "
            f"label some images first, chosen without labels: {free}"
        )
    generator = np.random.default_rng(seed)
    parts = _by_guess(images, rows) if balance else [rows]
    orders = [chosen.order(images, part, -(-count // len(parts)), generator) for part in parts if len(part)]
    fresh = _Fresh(images)
    walks = [(Choice(*one) for one in order if chosen.with_copies or fresh.take(one[0])) for order in orders]
    found: list[Choice] = []
    for several in zip_longest(*walks):
        found += [one for one in several if one is not None]
        if len(found) >= count:
            break
    return found[:count]


def _by_guess(images: PartlyLabelled, rows: Rows) -> list[Rows]:
    """Return the rows of each guessed class, the class with the fewest labels first."""
    classes, counts = np.unique(images.labels[images.known], return_counts=True)
    return [rows[images.guess[rows] == number] for number in classes[np.argsort(counts, kind="stable")]]


class _Fresh:
    """Images that are near copies neither of one with a label nor of one that was taken before."""

    def __init__(self, images: PartlyLabelled) -> None:
        self._features = images.features
        self._taken = _units(images.features[images.known])
        self._threshold = _threshold(images.features)

    def take(self, row: int) -> bool:
        """Tell whether an image is unlike all that were taken, and take it if it is."""
        unit = _units(self._features[[row]])
        alike = bool((self._taken @ unit[0] >= self._threshold).any())
        if not alike:
            self._taken = np.concatenate([self._taken, unit])
        return not alike


def _threshold(features: Floats) -> float:
    """Return the cosine of near copies: that of photographs, or a higher one where all images are alike."""
    draw = np.random.default_rng(0)
    some = _units(features[np.sort(draw.permutation(len(features))[:_MOST_SAMPLED])])
    cosines = (some @ some.T)[np.triu_indices(len(some), 1)]
    likest = float(np.quantile(cosines, _LIKEST)) if len(cosines) else 0.0
    return min(max(1 - (1 - likest) / _NEARER, THRESHOLD), _EQUAL)


def _units(rows: Floats) -> Floats:
    """Return rows at unit length; rows of zeros stay, and are like no other."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, _SHORTEST), dtype=np.float32)
