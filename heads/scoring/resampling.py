"""Sums over resamples of what each unit adds to several candidates' metrics, in few and large products."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

_DRAWS_AT_ONCE = 4_000_000  # drawn unit numbers held in memory at a time, 32 MB
_MOST_KEPT = 32_000_000  # draws kept from one candidate to the next, 128 MB
_FEW_CLASSES = 42  # whose parts are multiplied faster as a dense matrix
_BYTES = 2**26  # of the parts that are multiplied at once, and of their sums

_drawing = threading.Lock()


def number_units(groups: ArrayLike | None, n_images: int) -> NDArray[np.intp]:
    """Return the number of what each image (n_images,) is drawn with, from 0: its group, or itself without groups.

    Raises
    ------
    DataError
        There is not one group for each image.
    """
    units = np.arange(n_images) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(units) != n_images:
        raise DataError(f"{len(units)} groups were given for {n_images} images, expected one for each")
    return units


def most_together(n_images: int, n_classes: int, n_resamples: int = 1000) -> int:
    """Return how many candidates' parts to multiply at once: fewer take longer, more take too much memory."""
    n_bytes = 36 * n_images  # sparse: three numbers an image, and where they belong
    if n_classes <= _FEW_CLASSES:
        n_bytes += 4 * (2 * n_classes + 1) * (n_images + n_resamples)
    return max(1, _BYTES // max(1, n_bytes))


def count_true(true: NDArray[np.intp], units: NDArray[np.intp], n_classes: int) -> Any:
    """Return the images of each class in each unit, sparse (n_units, n_classes); `units` (n_images,) numbers them."""
    return sparse.csr_array((np.ones(len(true)), (units, true)), shape=(int(units.max()) + 1, n_classes))


def parts_of_units(
    true: NDArray[np.intp],
    pred: NDArray[np.intp],
    loss: NDArray[np.float64] | None,
    units: NDArray[np.intp],
    n_classes: int,
) -> Any:
    """Return each unit's contributions to a candidate's metrics, sparse (n_units, 2 n_classes + 1).

    The columns are: images that are right, by class; predicted, by class; log-loss. With the images of each class,
    which all candidates have in common, every metric is a function of their sums, so a resample is one row of a matrix
    product.
    """
    columns = np.concatenate([true, n_classes + pred, np.full(len(true), 2 * n_classes)])
    content = np.concatenate([pred == true, np.ones(len(true)), np.zeros(len(true)) if loss is None else loss])
    return sparse.csr_array((content, (np.tile(units, 3), columns)), shape=(int(units.max()) + 1, 2 * n_classes + 1))


def sum_resamples(
    true: Any, parts: Sequence[Any], resamples: Iterable[NDArray[np.float32]]
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the sums of one candidate's parts after another's, over one block of resamples after another.

    Parameters
    ----------
    true : sparse array of shape (n_units, n_classes)
        As `count_true` has it.
    parts : sequence of sparse array of shape (n_units, 2 n_classes + 1)
        Of each candidate, as `parts_of_units` has them.
    resamples : iterable of float32 ndarray of shape (n_block, n_units)
        How often each resample holds each unit.

    Yields
    ------
    int
        Which candidate's.
    float64 ndarray of shape (n_block, 3 n_classes + 1)
        With the sums of `heads.scoring.functions.ClassSums`.
    """
    n_classes = true.shape[1]
    sum_block = _by_one_product if n_classes <= _FEW_CLASSES else _by_sparse_products
    for of_true, number, own in sum_block(true, parts, resamples):
        yield number, np.hstack([own[:, :n_classes], of_true, own[:, n_classes:]]).astype(np.float64, copy=False)


def _by_one_product(
    true: Any, parts: Sequence[Any], resamples: Iterable[NDArray[np.float32]]
) -> Iterator[tuple[Any, int, Any]]:
    ends = np.cumsum([0, true.shape[1], *(part.shape[1] for part in parts)])
    # Sums of resamples are only looked at for their spread: float32 is enough, and twice as fast.
    dense = np.empty((true.shape[0], ends[-1]), dtype=np.float32)
    for part, first, last in zip((true, *parts), ends[:-1], ends[1:], strict=True):
        dense[:, first:last] = part.toarray()
    for counts in resamples:
        of_true, *sums = np.split(counts @ dense, ends[1:-1], axis=1)
        for number, own in enumerate(sums):
            yield of_true, number, own


def _by_sparse_products(
    true: Any, parts: Sequence[Any], resamples: Iterable[NDArray[np.float32]]
) -> Iterator[tuple[Any, int, Any]]:
    for counts in resamples:
        of_true = (true.T @ counts.T).T
        for number, part in enumerate(parts):
            yield of_true, number, (part.T @ counts.T).T


def draw_resamples(n_units: int, seed: int, n_resamples: int) -> Iterable[NDArray[np.float32]]:
    """Return blocks (n_block, n_units): how often each resample holds each unit.

    The draws of a small set are kept, for the next candidates are scored on the same ones: drawing takes longer than
    all the rest of scoring. Of threads that want them at once, one draws them and the others wait.
    """
    if n_units * n_resamples > _MOST_KEPT:
        return _draw(n_units, seed, n_resamples)
    with _drawing:
        return _kept_draws(n_units, seed, n_resamples)


def keep_draws(groups: ArrayLike | None, n_images: int, seed: int, n_resamples: int = 1000) -> None:
    """Draw what scores of so many images will be resampled by, if it is kept for them."""
    n_units = int(number_units(groups, n_images).max()) + 1
    if n_units > 1:
        draw_resamples(n_units, seed, n_resamples)  # more than are kept are drawn when they are gone through


@lru_cache(maxsize=1)
def _kept_draws(n_units: int, seed: int, n_resamples: int) -> list[NDArray[np.float32]]:
    return list(_draw(n_units, seed, n_resamples))


def _draw(n_units: int, seed: int, n_resamples: int) -> Iterator[NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    n_block = max(1, _DRAWS_AT_ONCE // n_units)
    for start in range(0, n_resamples, n_block):
        counts = np.empty((min(n_block, n_resamples - start), n_units), dtype=np.float32)
        for row in counts:  # one at a time stays in the processor's cache: five times as fast as all at once
            row[:] = np.bincount(generator.integers(n_units, size=n_units, dtype=np.uint32), minlength=n_units)
        yield counts
