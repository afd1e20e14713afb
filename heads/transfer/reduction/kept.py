"""Neighbours that fewer dimensions keep, on images that the transform has not seen, beside a random projection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.transfer.reduction.pca import fit_reduction, unit_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

NEIGHBOURS = 10
_MOST_QUERIES = 2000


@dataclass(frozen=True, kw_only=True)
class Kept:
    """Quality of a reduction on images that it was not fitted on.

    Attributes
    ----------
    way : {"all features", "pca", "pca, whitened", "random projection"}
    neighbours : float
        Share of the ten nearest images by all features that stay among the ten nearest.
    half_width : float
        1.96 standard errors of that over the images asked about.
    right : float or None
        Share of labelled images whose nearest labelled neighbour is of their class; None without labels.
    """

    way: str
    neighbours: float
    half_width: float
    right: float | None


def measure_kept(
    X: NDArray[Any], groups: NDArray[Any], labels: NDArray[Any] | None, *, size: int, seed: int = 0
) -> list[Kept]:
    """Fit on four fifths of the groups, and look for neighbours of the others there: by all features, and by fewer.

    Parameters
    ----------
    X : float array of shape (n_images, n_features)
    groups : int array of shape (n_images,)
        Images of one group are on one side.
    labels : int array of shape (n_images,) or None
        Classes, -1 for none.
    size, seed : int

    Returns
    -------
    list of Kept
        Empty where there are too few images to hold some back.
    """
    rng = np.random.default_rng(seed)
    numbers = np.unique(groups)
    held = np.isin(groups, rng.permutation(numbers)[: len(numbers) // 5])
    if held.sum() < 2 or (~held).sum() <= NEIGHBOURS:
        return []
    asked = np.flatnonzero(held)
    if len(asked) > _MOST_QUERIES:
        asked = np.sort(rng.choice(asked, _MOST_QUERIES, replace=False))
    known = np.flatnonzero(~held)
    reduction = fit_reduction(X[known], size=size)
    whole = unit_rows(X)
    drawn = rng.normal(size=(X.shape[1], reduction.size)) / np.sqrt(reduction.size)
    ways = {
        "all features": whole,
        "pca": reduction.apply(X),
        "pca, whitened": replace(reduction, whiten=True).apply(X),
        "random projection": (whole - reduction.mean) @ drawn,
    }
    near = {way: _nearest(rows[asked], rows[known]) for way, rows in ways.items()}
    true = near["all features"]
    found = []
    for way, own in near.items():
        shares = (own[:, :, None] == true[:, None, :]).any(axis=2).mean(axis=1)
        width = float(1.96 * shares.std(ddof=1) / np.sqrt(len(shares)))
        right = None if labels is None else _share_right(ways[way], asked, known, labels)
        found.append(Kept(way=way, neighbours=float(shares.mean()), half_width=width, right=right))
    return found


def _nearest(asked: NDArray[Any], known: NDArray[Any], k: int = NEIGHBOURS) -> NDArray[np.intp]:
    known = np.asarray(known, np.float64)
    squared = (known**2).sum(axis=1) - 2 * np.asarray(asked, np.float64) @ known.T
    return np.asarray(np.argpartition(squared, min(k, squared.shape[1]) - 1, axis=1)[:, :k])


def _share_right(
    rows: NDArray[Any], asked: NDArray[np.intp], known: NDArray[np.intp], labels: NDArray[Any]
) -> float | None:
    asked, known = asked[labels[asked] >= 0], known[labels[known] >= 0]
    if not len(asked) or not len(known):
        return None
    near = known[_nearest(rows[asked], rows[known], 1)[:, 0]]
    return float((labels[near] == labels[asked]).mean())
