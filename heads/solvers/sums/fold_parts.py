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


def find_parts(n_images: int, folds: Sequence[Rows]) -> Parts:
    """Return the parts of `n_images` images whose unions the folds are, each by the rows that it is fitted on."""
    member = np.zeros((n_images, len(folds)), dtype=bool)
    for number, rows in enumerate(folds):
        member[rows, number] = True
    used = np.flatnonzero(member.any(axis=1))
    patterns, of_used = np.unique(np.packbits(member[used], axis=1), axis=0, return_inverse=True)
    of_image = np.full(n_images, -1, dtype=np.int16)
    of_image[used] = of_used.reshape(-1)  # numpy 2.0 returned a column
    return Parts(of_image=of_image, fits=np.unpackbits(patterns, axis=1, count=len(folds)).T.astype(bool))


def part_images(
    features: Singles,
    codes: NDArray[np.intp],
    n_classes: int,
    folds: Sequence[Rows],
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
    """
    every = find_parts(len(features), folds)
    rows = every.rows[np.argsort(every.of_image[every.rows], kind="stable")]
    some = np.ascontiguousarray(features[rows], dtype=np.float32)
    parts = Parts(of_image=every.of_image[rows], fits=every.fits)
    sums = sum_parts(
        Stream(features=some),
        codes[rows],
        n_classes,
        parts,
        Sample(block=Block(np.arange(len(some)), some), is_all=True),
        with_gram=False,
    )
    some -= sums.centre
    return PartedImages(features=some, codes=codes[rows], parts=parts, sums=sums)
