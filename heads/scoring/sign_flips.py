"""P-values of sums of which each part could as well have had the other sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

N_FLIPS = 2000

_FEWEST_BEYOND = 10  # flips at least as far as what was seen; fewer make too rough a share for a p-value
_MOST_UNITS = 20_000  # of so many parts the flipped sum is normal, and to draw their signs would take seconds
_SIGNS_AT_ONCE = 4_000_000  # held in memory at a time, 32 MB
_ROUNDING = 1e-9  # relative; sums of equal parts in another order are equal


def flip_signs(parts: Doubles, seed: int) -> list[float]:
    """Return how often random signs take the sum of each column at least as far from 0 as it is.

    The share of `N_FLIPS` draws; where fewer than 10 of them are so far, or there are more than 20 000 units, the
    normal limit's tail at |Σ parts| / √(Σ parts²), but at least 2 / 2^m: with m parts that are not 0, no sum is rarer.
    For equal parts that tail is at worst a third below the exact value, and further out above it.

    Parameters
    ----------
    parts : float64 ndarray of shape (n_units, n_columns)
        All columns are flipped by the same signs.
    seed : int
    """
    far, size = np.abs(parts.sum(axis=0)), np.sqrt((parts**2).sum(axis=0))
    ratio = np.divide(far, size, out=np.zeros_like(far), where=size > 0)
    floor = np.exp2(1.0 - np.minimum((parts != 0).sum(axis=0), 1000))  # 2^-1000 is still a number
    p_values = np.clip(2 * ndtr(-ratio), np.minimum(1.0, floor), 1.0)
    if len(parts) <= _MOST_UNITS:
        beyond = _count_beyond(parts, far, seed)
        p_values = np.where(beyond >= _FEWEST_BEYOND, (beyond + 1) / (N_FLIPS + 1), p_values)
    return [float(p) for p in p_values]


def _count_beyond(parts: Doubles, far: Doubles, seed: int) -> NDArray[np.intp]:
    differing = parts[(parts != 0).any(axis=1)]
    beyond = np.zeros(len(far), dtype=np.intp)
    for signs in _signs(len(differing), seed):
        beyond += (np.abs(signs @ differing) >= far * (1 - _ROUNDING)).sum(axis=0)
    return beyond


def _signs(n_units: int, seed: int) -> Iterator[Doubles]:
    """Yield blocks (n_block, n_units) of -1 and 1, `N_FLIPS` rows in all."""
    generator = np.random.default_rng(seed)
    n_block = max(1, _SIGNS_AT_ONCE // max(1, n_units))
    for start in range(0, N_FLIPS, n_block):
        n_rows = min(n_block, N_FLIPS - start)
        yield 2 * generator.integers(2, size=(n_rows, n_units), dtype=np.int8).astype(np.float64) - 1
