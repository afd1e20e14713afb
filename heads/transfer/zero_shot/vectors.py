"""Class vectors, brought to one scale: attributes may be counts, shares or kilograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_TINY = np.finfo(np.float64).tiny
_FLAT = 1e-9  # spread of a column over its size, below which it says nothing


def standardise(vectors: NDArray[Any], classes: NDArray[np.intp]) -> Doubles:
    """Return vectors of unit length whose columns have mean 0 and deviation 1 over the classes that are fitted on.

    A column that is the same for all of these is left out: nothing was learned of it.

    Parameters
    ----------
    vectors : float array of shape (n_classes, n_attributes)
    classes : int ndarray
        Those that are fitted on.
    """
    known = np.asarray(vectors, np.float64)[classes]
    mean, spread = known.mean(axis=0), known.std(axis=0)
    says = spread > _FLAT * np.abs(known).max(axis=0, initial=0.0)
    scaled = np.where(says, (np.asarray(vectors, np.float64) - mean) / np.where(says, spread, 1.0), 0.0)
    return unit(scaled)


def unit(rows: NDArray[Any]) -> Doubles:
    """Return rows of length 1; rows of zeros stay."""
    wide = np.asarray(rows, np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), _TINY))


def equal_pairs(vectors: NDArray[Any]) -> list[tuple[int, int]]:
    """Return classes that have the same vector, each with the first one that has it: nothing tells them apart."""
    _, first, number = np.unique(np.asarray(vectors), axis=0, return_index=True, return_inverse=True)
    firsts = first[number.ravel()]
    return [(int(one), at) for at, one in enumerate(firsts) if one != at]
