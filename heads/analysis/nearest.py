"""Exact search for the rows whose features point the way of a query: blocked products, of which the best are kept."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.intp]

_BLOCK_BYTES = 2**20  # of float32: what is read once stays in a core's cache for all that is done with it
_QUERIES_AT_ONCE = 1024
_PIECES_A_THREAD = 4  # a thread that is kept waiting leaves its pieces to others


class RowSource(Protocol):
    """Rows that need not lie in memory: ``rows[start:stop]`` gives some of them."""

    shape: tuple[int, ...]

    def __getitem__(self, rows: Any, /) -> NDArray[Any]: ...


@dataclass(frozen=True)
class Nearest:
    """Nearest rows of each query, highest cosine first, of equal ones the lower row.

    Attributes
    ----------
    rows : int ndarray of shape (n_queries, k)
        -1 where there are fewer than `k` rows.
    cosine : float32 ndarray of shape (n_queries, k)
        Minus infinity there.
    """

    rows: Rows
    cosine: Floats


def find_nearest(
    rows: RowSource, queries: ArrayLike, k: int, *, leave_out: ArrayLike | None = None, threads: int | None = None
) -> Nearest:
    """Return the `k` rows of highest cosine for each query: every row is compared, and no index is made.

    Rows are read once, a megabyte at a time. What is found does not depend on the number of threads.

    Parameters
    ----------
    rows : array or memory map of shape (n_rows, n_features)
        Any float dtype. A row of zeros has a cosine of 0 with all.
    queries : array-like of shape (n_queries, n_features)
    k : int
    leave_out : int array of shape (n_queries,), optional
        A row that is no answer to the query, such as its own; -1 for none.
    threads : int, optional
        By default one for each core that may be used.

    Raises
    ------
    DataError
        Shapes do not agree, `k` is below 1, or features are not finite.
    """
    asked = np.asarray(queries, dtype=np.float32)
    if len(rows.shape) != 2 or asked.ndim != 2 or asked.shape[1] != rows.shape[1]:
        raise DataError(f"rows have shape {rows.shape}, queries {asked.shape}; expected as many features in both")
    if k < 1:
        raise DataError(f"k is {k}; ask for one neighbour at least")
    own = np.full(len(asked), -1) if leave_out is None else np.asarray(leave_out)
    asked = asked / lengths_of(asked, 0, np.dtype(np.float32))[:, None]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    n_rows, n_threads = rows.shape[0], threads or usable
    n_pieces = max(1, min(n_threads * _PIECES_A_THREAD, n_rows // 1024))
    ends = np.linspace(0, n_rows, n_pieces + 1).astype(int).tolist()
    with threadpool_limits(limits=1), ThreadPoolExecutor(n_threads) as pool:
        pieces = list(pool.map(lambda at: _search(rows, ends[at], ends[at + 1], asked, own, k), range(n_pieces)))
    best = pieces[0]
    for piece in pieces[1:]:
        best.merge(slice(None), piece.cosine, piece.rows)
    return Nearest(best.rows, np.minimum(best.cosine, 1.0))  # rounding may lift one above


class _Best:
    """The best of all rows that were added, for each query: rows must come in their order, for equal ones to stay."""

    def __init__(self, n_queries: int, k: int) -> None:
        self.cosine = np.full((n_queries, k), -np.inf, dtype=np.float32)
        self.rows = np.full((n_queries, k), -1, dtype=np.intp)

    def merge(self, queries: slice, cosine: Floats, rows: Rows) -> None:
        """Take cosines (n_queries, n_rows) of rows, (n_rows,) or (n_queries, n_rows)."""
        query, column = np.nonzero(cosine > self.cosine[queries, -1:])
        if not len(query):
            return
        better, k = np.unique(query), self.cosine.shape[1]
        at = better + (queries.start or 0)
        of = np.concatenate([np.repeat(better, k), query])
        value = np.concatenate([self.cosine[at].ravel(), cosine[query, column]])
        number = np.concatenate([self.rows[at].ravel(), np.broadcast_to(rows, cosine.shape)[query, column]])
        order = np.lexsort((-value, of))  # which leaves equal ones in their order
        begins = np.searchsorted(of[order], better)
        first = order[begins[:, None] + np.arange(k)]
        self.cosine[at], self.rows[at] = value[first], number[first]


def _search(rows: RowSource, start: int, end: int, queries: Floats, own: Rows, k: int) -> _Best:
    best = _Best(len(queries), k)
    at_once = max(1, _BLOCK_BYTES // (4 * rows.shape[1]))
    room = np.empty((at_once, rows.shape[1]), dtype=np.float32)
    for first in range(start, end, at_once):
        stored = rows[first : min(first + at_once, end)]
        block, numbers = as_float32(stored, room), np.arange(first, first + len(stored))
        lengths = lengths_of(block, first, stored.dtype)
        for some in range(0, len(queries), _QUERIES_AT_ONCE):
            chosen = slice(some, some + _QUERIES_AT_ONCE)
            cosine = queries[chosen] @ block.T
            cosine /= lengths
            mine = np.flatnonzero((own[chosen] >= first) & (own[chosen] < first + len(block)))
            cosine[mine, own[chosen][mine] - first] = -np.inf
            best.merge(chosen, cosine, numbers)
    return best


def as_float32(stored: NDArray[Any], room: Floats | None = None) -> Floats:
    """Return rows as float32, exactly; those of float16 six times as fast as numpy converts them.

    Parameters
    ----------
    stored : array of shape (n_rows, n_features)
    room : float32 array of as many rows at least, optional
        Written over, and returned as far as it is filled.
    """
    out = np.empty(stored.shape, np.float32) if room is None else room[: len(stored)]
    if stored.dtype != np.float16:
        np.copyto(out, stored, casting="same_kind")
        return out
    # Sign, exponent and mantissa are moved to where float32 has them; then only the exponent's bias is another one.
    # Infinite values and NaN become numbers from 65536 on, which no float16 is: `lengths_of` sees to them.
    bits = out.view(np.int32)
    np.copyto(bits, stored.view(np.int16))
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, np.uint32(0x8FFFE000).view(np.int32), out=bits)
    np.multiply(out, np.float32(2.0**112), out=out)
    return out


def lengths_of(block: Floats, first: int, stored: np.dtype[Any]) -> Floats:
    """Return the length of each row, 1 for rows of zeros.

    Parameters
    ----------
    block : float32 array of shape (n_rows, n_features)
        As `as_float32` makes it.
    first : int
        Number of the first row, for messages.
    stored : dtype
        Of the rows before: the squares of float16 fit into float32.

    Raises
    ------
    DataError
        A row has values that are not finite.
    """
    is_half = stored == np.float16
    lengths = np.sqrt(np.einsum("ij,ij->i", block, block, dtype=np.float32 if is_half else np.float64))
    wrong = ~np.isfinite(lengths)
    if is_half:
        long = np.flatnonzero(lengths >= 65536)
        wrong[long] = (np.abs(block[long]) >= 65536).any(axis=1)
    if wrong.any():
        raise DataError(
            f"rows hold NaN or infinite values (first row: {first + int(wrong.argmax())}); extract these images again "
            "with --precision fp32, or leave them out",
            rows=(first + np.flatnonzero(wrong)).tolist(),
        )
    lengths[lengths == 0.0] = 1.0
    return np.asarray(lengths, dtype=np.float32)
