"""Near copies: images whose features point almost the same way, of a whole set, or one fitted on and one scored."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.analysis.nearest import as_float32
from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from headstart.heads.analysis.nearest import RowSource
    from headstart.heads.splits import SplitPlan

    Floats = NDArray[np.float32]
    Rows = NDArray[np.intp]

THRESHOLD = 0.92
"""Cosine from which a pair is listed.

Measured on 398 photographs of insects and 12 changed copies of each, under mobilenet_v2 and squeezenet1_0: of 79 003
pairs of different photographs one lies above, two shots of one scene (0.934; the next are at 0.910 and, under
mobilenet_v2, 0.837). Above lie, under the two networks, of the copies saved again as JPEG of quality 70 99 and 100 %,
brightened 99 and 100 %, cropped by a tenth 83 and 100 %, turned by 3 degrees 95 and 100 %, mirrored 50 and 100 %,
halved in size 42 and 93 %, and without colour 3 and 14 %. Sets of images that are all alike need a higher one.
"""

_ROWS_AT_ONCE = 1024  # of one side: 8 MB of 2048 float32 features
_COLUMNS_AT_ONCE = 4096  # of the other: 32 MB, and 16 MB for the product


@dataclass(frozen=True)
class NearCopies:
    """Pairs of rows, highest cosine first.

    Attributes
    ----------
    rows : int ndarray of shape (n_pairs, 2)
        The pair's row on the lower-numbered side, then the other; without sides, the lower row first.
    cosine : float32 ndarray of shape (n_pairs,)
    n_found : int
        Pairs above the threshold, of which `rows` holds the first.
    """

    rows: Rows
    cosine: Floats
    n_found: int


def sides_of(plan: SplitPlan, n_images: int) -> NDArray[np.int8]:
    """Return the side of each row: 0 fitted on, 1 choosing (where a val split does), 2 scored at the end, -1 unused."""
    sides = np.full(n_images, -1, dtype=np.int8)
    if plan.selection == "val":
        sides[plan.folds[0][1]] = 1
    sides[plan.train] = 0
    sides[plan.test] = 2
    return sides


def find_near_copies(
    features: ArrayLike, sides: ArrayLike, *, threshold: float = THRESHOLD, most: int = 100
) -> NearCopies:
    """Return the pairs of rows on different sides whose cosine is at least `threshold`.

    Every pair is compared, block by block: beside the features some 100 MB are held, however many rows there are,
    and 300 MB where the threshold is so low that most pairs pass.

    Parameters
    ----------
    features : array-like of shape (n_images, n_features)
        Any float dtype. A row of zeros is like no other.
    sides : int array of shape (n_images,)
        Rows on one side are not compared with each other, negative ones with none.
    threshold : float
        Above 0, at most 1.
    most : int
        Pairs returned; all are counted.

    Raises
    ------
    DataError
        Shapes do not agree, a number is out of its range, or features are not finite.
    """
    X, numbers = np.asarray(features), np.asarray(sides)
    _check(threshold, most)
    if X.ndim != 2 or numbers.shape != X.shape[:1] or numbers.dtype.kind not in "iu":
        raise DataError(
            f"features have shape {X.shape}, sides shape {numbers.shape} and dtype {numbers.dtype}; expected "
            "(n_images, n_features) and a whole number for each image"
        )
    lengths = _lengths(X)
    found = _Worst(most)
    for first, second in combinations(np.unique(numbers[numbers >= 0]), 2):
        _compare(X, lengths, np.flatnonzero(numbers == first), np.flatnonzero(numbers == second), threshold, found)
    return found.sorted()


def find_alike(features: RowSource, *, threshold: float, most: int = 100) -> NearCopies:
    """Return the pairs of rows of a whole set whose cosine is at least `threshold`.

    Every pair is compared once, as by `find_near_copies`.

    Parameters
    ----------
    features : array or memory map of shape (n_images, n_features)
        Any float dtype, read a few rows at a time. A row of zeros is like no other.
    threshold : float
        Above 0, at most 1.
    most : int
        Pairs returned; all are counted.

    Raises
    ------
    DataError
        A number is out of its range, or features are not finite.
    """
    _check(threshold, most)
    every, found = np.arange(features.shape[0]), _Worst(most)
    _compare(features, _lengths(features), every, every, threshold, found, once=True)
    return found.sorted()


def _check(threshold: float, most: int) -> None:
    if not 0 < threshold <= 1 or most < 1:
        raise DataError(f"threshold is {threshold!r} and most {most!r}, expected above 0 and at most 1, and at least 1")


def _lengths(X: RowSource) -> Floats:
    """Return the length of each row, 1 for rows of zeros, in blocks: a cache may be float16 on disk."""
    n_rows = X.shape[0]
    blocks = (X[start : start + _COLUMNS_AT_ONCE] for start in range(0, n_rows, _COLUMNS_AT_ONCE))
    squares = [np.einsum("ij,ij->i", block, block, dtype=np.float64) for block in blocks]
    lengths = np.sqrt(np.concatenate([np.empty(0), *squares]))
    wrong = np.flatnonzero(~np.isfinite(lengths))
    if len(wrong):
        raise DataError(
            f"{len(wrong)} of {n_rows} rows hold NaN or infinite values (first row: {wrong[0]}); extract these images "
            "again with --precision fp32, or leave them out",
            rows=wrong.tolist(),
        )
    lengths[lengths == 0.0] = 1.0
    return np.asarray(lengths, dtype=np.float32)


def _compare(
    X: RowSource, lengths: Floats, left: Rows, right: Rows, threshold: float, found: _Worst, *, once: bool = False
) -> None:
    """Compare rows with others, or, `once`, with those behind them, where both are the same in their order."""
    for start in range(0, len(left), _ROWS_AT_ONCE):
        rows = left[start : start + _ROWS_AT_ONCE]
        block = _unit(X, lengths, rows)
        for other in range(start if once else 0, len(right), _COLUMNS_AT_ONCE):
            columns = right[other : other + _COLUMNS_AT_ONCE]
            cosine = block @ _unit(X, lengths, columns).T
            if once and columns[0] <= rows[-1]:
                cosine[columns <= rows[:, None]] = -1.0
            found.add(rows, columns, cosine, threshold)


def _unit(X: RowSource, lengths: Floats, rows: Rows) -> Floats:
    return as_float32(X[rows]) / lengths[rows, None]


class _Worst:
    """The `most` highest cosines of all that were added: a threshold too low must not fill the memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: Rows = np.empty((0, 2), dtype=np.intp)
        self._cosine: Floats = np.empty(0, dtype=np.float32)
        self._n_found = 0

    def add(self, rows: Rows, columns: Rows, cosine: Floats, threshold: float) -> None:
        """Take what a block (n_rows, n_columns) holds above the threshold and above the lowest that is kept."""
        self._n_found += int(np.count_nonzero(cosine >= threshold))
        full = len(self._cosine) == self._most
        left, right = np.nonzero(cosine > self._cosine[-1] if full else cosine >= threshold)
        self._rows = np.concatenate([self._rows, np.column_stack([rows[left], columns[right]])])
        self._cosine = np.concatenate([self._cosine, cosine[left, right]])
        order = np.lexsort((self._rows[:, 1], self._rows[:, 0], -self._cosine))[: self._most]
        self._rows, self._cosine = self._rows[order], self._cosine[order]

    def sorted(self) -> NearCopies:
        """Return the pairs that were kept; rounding may lift a cosine above 1."""
        return NearCopies(self._rows, np.minimum(self._cosine, 1.0), self._n_found)
