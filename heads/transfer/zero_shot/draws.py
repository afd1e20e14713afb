"""Classes and images held out to choose by: a model is chosen for classes that it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Rows = NDArray[np.intp]

FEWEST_SEEN = 4
"""Classes that are needed to hold out two and fit on two."""

DRAWS = 6
_SEEN_SHARE = 5  # one in so many groups of each class that is fitted on shows how well seen classes are told


@dataclass(frozen=True)
class HeldOut:
    """One draw of classes that play the unseen ones.

    Attributes
    ----------
    classes, others : int ndarray
        Held out, and fitted on.
    fit : int ndarray
        Images of `others`.
    unseen : int ndarray
        Images of `classes`.
    seen : int ndarray
        Images of `others` that are not fitted on.
    """

    classes: Rows
    others: Rows
    fit: Rows
    unseen: Rows
    seen: Rows


def draw_classes(codes: NDArray[np.intp], groups: NDArray[Any], n_unseen: int, seed: int) -> list[HeldOut]:
    """Return `DRAWS` draws of about as many classes as there are unseen ones, each class as often as can be.

    Images of one group never stand on two sides.

    Parameters
    ----------
    codes : int array of shape (n_images,)
        Classes of the images that may be fitted on.
    groups : int array of shape (n_images,)
    n_unseen : int
        Classes that the model is chosen for.
    seed : int

    Raises
    ------
    DataError
        There are too few classes.
    """
    classes = np.unique(codes)
    if len(classes) < FEWEST_SEEN:
        raise DataError(
            f"{len(classes)} classes have both labelled images and a vector, expected {FEWEST_SEEN} or more: two are "
            "held out to choose by, and two fitted on; label images of further classes"
        )
    rng = np.random.default_rng(seed)
    size = min(max(2, n_unseen), len(classes) // 2)
    parts = _parts(classes, size, rng)
    return [_held_out(np.sort(next(parts)), classes, codes, groups, rng) for _ in range(DRAWS)]


def _parts(classes: Rows, size: int, rng: np.random.Generator) -> Iterator[Rows]:
    while True:
        yield from np.array_split(rng.permutation(classes), len(classes) // size)


def _held_out(
    held: Rows, classes: Rows, codes: NDArray[np.intp], groups: NDArray[Any], rng: np.random.Generator
) -> HeldOut:
    others = np.setdiff1d(classes, held)
    of_others = np.isin(codes, others)
    aside: list[NDArray[Any]] = []
    for one in others:
        own = rng.permutation(np.unique(groups[codes == one]))
        aside.append(own[: min(max(1, len(own) // _SEEN_SHARE), len(own) - 1)])
    is_aside = np.isin(groups, np.concatenate(aside))
    fit = np.flatnonzero(of_others & ~is_aside)
    free = ~np.isin(groups, groups[fit])
    return HeldOut(held, others, fit, np.flatnonzero(~of_others & free), np.flatnonzero(of_others & free))
