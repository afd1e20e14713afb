"""Images inside train that choose the epoch: a share of each class, with groups kept whole."""

import numpy as np
from numpy.typing import NDArray

from headstart.heads.neural import hold_out

_LEAST = 10  # fewer images choose by chance

_Rows = NDArray[np.intp]


def hold_out_whole(
    codes: NDArray[np.intp], groups: NDArray[np.integer] | None, fraction: float, seed: int
) -> tuple[_Rows, _Rows]:
    """Return (rows to fit, rows that choose the epoch), which no group is on both sides of; none choose where too few.

    Parameters
    ----------
    codes : (n_images,) int
        Classes from 0. Every class keeps images to fit.
    groups : (n_images,) int or None
        Images that stay together.
    fraction : float
        Of each class, that chooses.
    seed : int
    """
    if groups is None or len(np.unique(groups)) == len(groups):
        return hold_out(codes, fraction, seed)
    counts = np.bincount(codes)
    # Whole groups seldom fit the share of each class: up to twice as many may choose, and one has to be left to fit.
    most = np.minimum(np.ceil(2 * fraction * counts), np.maximum(counts - 1, 0))
    _, numbers = np.unique(groups, return_inverse=True)
    order = np.argsort(numbers, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)
    taken, chosen = np.zeros(len(counts), dtype=np.intp), list[_Rows]()
    for number in np.random.default_rng(seed).permutation(len(members)):
        added = np.bincount(codes[members[number]], minlength=len(counts))
        if taken.sum() < round(fraction * len(codes)) and (taken + added <= most).all():
            taken += added
            chosen.append(members[number])
    rows = np.arange(len(codes))
    if taken.sum() < max(_LEAST, len(counts)):
        return rows, rows[:0]
    val_rows = np.sort(np.concatenate(chosen))
    return np.setdiff1d(rows, val_rows), val_rows
