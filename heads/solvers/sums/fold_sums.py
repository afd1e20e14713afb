"""Sums over the parts that folds are unions of, by shares of the images that jobs do side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from headstart.heads.estimators import common_weight, weights_of_counts
from headstart.heads.solvers.sums.blocks import Block, Sample, Stream
from headstart.heads.solvers.sums.fold_parts import find_parts
from headstart.heads.solvers.sums.part_sums import Parts, PartSums, sum_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Rows = NDArray[np.intp]
    Singles = NDArray[np.float32]


_SAMPLED = 1024  # images that tell about where the mean is


class FoldSums(NamedTuple):
    """Sums over the parts that some folds are unions of, and which parts each is fitted on, bool (n_folds, n_parts)."""

    sums: PartSums
    fits: NDArray[np.bool_]


def sum_folds(
    features: Singles,
    codes: NDArray[np.intp],
    n_classes: int,
    folds: Sequence[Rows],
    params: Mapping[str, Any],
    share: tuple[int, int] = (0, 1),
) -> FoldSums | None:
    """Return sums over a share of the images; those over all shares add up. None where images are fewer than features.

    Parameters
    ----------
    features, codes, n_classes
        Of all images: as for `heads.solvers.ridge.solve_ridge`.
    folds : sequence of int ndarray
        Rows that each is fitted on.
    params : mapping
        With the ``class_weight``.
    share : (int, int)
        Which one, counted from 0, of how many.
    """
    if min(map(len, folds)) < features.shape[1]:
        return None
    counts = np.stack([np.bincount(codes[rows], minlength=n_classes) for rows in folds])
    parts, (at, n_shares) = find_parts(len(features), folds), share
    rows = np.array_split(parts.rows, n_shares)[at]
    of_image = np.full_like(parts.of_image, -1)
    of_image[rows] = parts.of_image[rows]
    # Of images that some fold is fitted on alone: not even a rounding may come from others.
    some = parts.rows[np.linspace(0, len(parts.rows) - 1, min(len(parts.rows), _SAMPLED)).astype(np.intp)]
    sums = sum_parts(
        Stream(features=features),
        codes,
        n_classes,
        Parts(of_image=of_image, fits=parts.fits),
        Sample(block=Block(some, features[some]), is_all=len(some) == len(parts.rows)),
        with_gram=True,
        weights=weights_of_counts(common_weight([params]), counts),
    )
    return FoldSums(sums, parts.fits)
