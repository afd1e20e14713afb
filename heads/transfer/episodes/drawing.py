"""Draws of episodes: a few classes, a few labelled images of each, and others of the same classes to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """Images of each episode, no two of them of one group.

    Attributes
    ----------
    classes : int ndarray of shape (n_episodes, ways)
        Which classes are told apart.
    images : int ndarray of shape (n_episodes, ways, most_shots + queries)
        Rows of the features: first those with labels, of which fewer shots take the first ones, then the queries.
    shots : tuple of int
        Labelled images of a class, each of which is tried.
    eligible : int ndarray of shape (n_eligible,)
        Classes with images enough, of which episodes are drawn.
    """

    classes: Rows
    images: Rows
    shots: tuple[int, ...]
    eligible: Rows

    @property
    def queries(self) -> int:
        """Images of a class that are to be told."""
        return int(self.images.shape[2]) - max(self.shots)

    def __len__(self) -> int:
        return len(self.classes)


def one_class_a_group(y: NDArray[Any], groups: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which images are kept where a group has to be of one class: of each group those of its commonest class.

    A copy of a query under another label would otherwise stand among the labelled images.

    Parameters
    ----------
    y, groups : int array of shape (n_images,)
    """
    pairs, of_pair, counts = np.unique(np.stack([groups, y]), axis=1, return_inverse=True, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    first = order[np.unique(pairs[0][order], return_index=True)[1]]
    return np.isin(of_pair, first)


def draw_episodes(
    y: NDArray[Any], groups: NDArray[Any], *, ways: int, shots: Sequence[int], queries: int, count: int, seed: int = 0
) -> Episodes:
    """Draw episodes: classes first, then groups of each without replacement, then an image of each group.

    Parameters
    ----------
    y, groups : int array of shape (n_images,)
        Classes from 0; each group of one class (see `one_class_a_group`).
    ways, queries, count, seed : int
        Classes of an episode, queries of each class, and episodes.
    shots : sequence of int

    Raises
    ------
    DataError
        Too few classes have as many groups as an episode takes of each, or a number is out of its range.
    """
    shots = tuple(sorted(set(shots)))
    if ways < 2 or queries < 1 or count < 2 or not shots or shots[0] < 1:
        raise DataError(
            f"{ways} ways, shots {', '.join(map(str, shots)) or 'none'}, {queries} queries and {count} episodes cannot "
            "be drawn; give two ways, one shot, one query and two episodes, or more"
        )
    rng, needed = np.random.default_rng(seed), max(shots) + queries
    numbers, first = np.unique(groups, return_index=True)
    sizes = np.bincount(y[first], minlength=int(y.max(initial=-1)) + 1)
    eligible = np.flatnonzero(sizes >= needed)
    if len(eligible) < ways:
        raise DataError(
            f"{ways} ways of {max(shots)} shots and {queries} queries need {ways} classes with {needed} independent "
            f"images each, found {len(eligible)} (the largest classes have "
            f"{', '.join(map(str, np.sort(sizes)[::-1][:3]))}); ask for fewer ways, shots or queries"
        )
    classes = eligible[rng.permuted(np.tile(np.arange(len(eligible)), (count, 1)), axis=1)[:, :ways]]
    images = np.empty((count, ways, needed), np.intp)
    members = np.split(np.argsort(groups, kind="stable"), np.cumsum(np.bincount(np.searchsorted(numbers, groups)))[:-1])
    starts = np.cumsum([0, *map(len, members)])[:-1]
    lengths, flat = np.array([len(one) for one in members]), np.concatenate(members)
    for code in eligible:
        episode, way = np.nonzero(classes == code)
        own = np.flatnonzero(y[first] == code)
        for some in np.array_split(np.arange(len(episode)), max(1, len(episode) * len(own) // 5_000_000)):
            drawn = own[rng.random((len(some), len(own))).argpartition(needed - 1, axis=1)[:, :needed]]
            drawn = rng.permuted(drawn, axis=1)  # what a partition leaves is in no order to rely on
            within = (rng.random(drawn.shape) * lengths[drawn]).astype(np.intp)
            images[episode[some], way[some]] = flat[starts[drawn] + within]
    return Episodes(classes=classes, images=images, shots=shots, eligible=eligible)
