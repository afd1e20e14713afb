"""Images of several folds in an order in which each fold is made of stretches, so that one copy serves all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.solvers.sums.blocks import Block, Sample, Stream
from headstart.heads.solvers.sums.part_sums import Parts, PartSums, sum_parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Rows = NDArray[np.intp]
    Singles = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class PartedImages:
    """The images that some folds are fitted on, part after part.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
        Less the centre of the sums.
    codes : int ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1.
    parts : Parts
        Of these images; a fit is a fold.
    sums : PartSums
    """

    features: Singles
    codes: NDArray[np.intp]
    parts: Parts
    sums: PartSums

    def stretches(self) -> Iterator[slice]:
        """Yield each part's rows."""
        ends = np.cumsum(np.bincount(self.parts.of_image, minlength=self.parts.fits.shape[1])).tolist()
        yield from (slice(start, end) for start, end in zip([0, *ends], ends, strict=False))


def part_images(
    features: Singles,
    codes: NDArray[np.intp],
    n_classes: int,
    folds: Sequence[Rows],
    *,
    with_gram: bool = False,
    weights: NDArray[np.float64] | None = None,
) -> PartedImages:
    """Return the images that folds are fitted on, sorted, and sums over each part.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
        Of the whole image set.
    codes : int ndarray of shape (n_images,)
    n_classes : int
    folds : sequence of int ndarray
        Rows that each is fitted on.
    with_gram : bool
        Whether products of features are wanted, see `sum_parts`.
    weights : float64 ndarray of shape (n_folds, n_classes), optional
        See `sum_parts`.
    """
    member = np.zeros((len(features), len(folds)), dtype=bool)
    for number, rows in enumerate(folds):
        member[rows, number] = True
    used = np.flatnonzero(member.any(axis=1))
    patterns, of_used = np.unique(np.packbits(member[used], axis=1), axis=0, return_inverse=True)
    of_used = of_used.reshape(-1)  # numpy 2.0 returned a column
    fits = np.unpackbits(patterns, axis=1, count=len(folds)).T.astype(bool)
    order = np.argsort(of_used, kind="stable")
    rows, of_image = used[order], of_used[order].astype(np.int16)
    some = np.ascontiguousarray(features[rows], dtype=np.float32)
    parts = Parts(of_image=of_image, fits=fits)
    sums = sum_parts(
        Stream(features=some),
        codes[rows],
        n_classes,
        parts,
        Sample(block=Block(np.arange(len(some)), some), is_all=True),
        with_gram=with_gram,
        weights=weights,
    )
    some -= sums.centre
    return PartedImages(features=some, codes=codes[rows], parts=parts, sums=sums)
