"""Equal samples of a source and a target, in principal components that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.features import feature_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]
    Rows = NDArray[np.intp]

MOST = 500
"""Images of a sample: they bound the cost, however many there are."""

FEWEST = 10
"""Images of a sample; with fewer, distances tell next to nothing."""

COMPONENTS, SPLITS = 32, 20
_IMAGES_BY_COMPONENT = 5  # fewer, and covariances are mostly noise


@dataclass(frozen=True)
class Shared:
    """Rows of both sets in shared components, scaled so that a source's image is 1 from the mean, on average squared.

    Attributes
    ----------
    rows : float64 ndarray of shape (n_source + n_target, k)
        Those of the source first.
    n_source : int
        At least twice `size`.
    size : int
        Images of each sample that is compared.
    splits : sequence of bool ndarray of shape (n_source,)
        Of each, the images of about half of the source's classes; none where classes are unknown or too few.
    """

    rows: Doubles
    n_source: int
    size: int
    splits: Sequence[NDArray[np.bool_]]

    def samples(self, generator: np.random.Generator) -> tuple[Rows, Rows]:
        """Draw a sample of the source and one of the target."""
        target = self.n_source + generator.permutation(len(self.rows) - self.n_source)
        return generator.permutation(self.n_source)[: self.size], target[: self.size]

    def halves(self, generator: np.random.Generator) -> tuple[Rows, Rows]:
        """Draw two samples of the source."""
        drawn = generator.permutation(self.n_source)
        return drawn[: self.size], drawn[self.size : 2 * self.size]

    def parts(self, split: NDArray[np.bool_], generator: np.random.Generator) -> tuple[Rows, Rows]:
        """Draw a sample of some classes of the source and one of its other classes."""
        drawn = generator.permutation(self.n_source)
        return drawn[split[drawn]][: self.size], drawn[~split[drawn]][: self.size]


def share(source: ArrayLike, target: ArrayLike, classes: ArrayLike | None, generator: np.random.Generator) -> Shared:
    """Draw equal samples, and turn them into components that are found on both sets together.

    In as many components as there are images, any two samples can be told apart by chance, and the Fréchet distance is
    far from 0 between equals: a fifth as many as a sample has images, and 32 at most, are kept. Who is of which set
    does not enter them.

    Raises
    ------
    DataError
        A set has too few images, or both have features of unlike widths.
    """
    given = [np.asarray(side) for side in (source, target)]
    n_source, n_target = map(len, given)
    if n_source < 2 * FEWEST or n_target < FEWEST:
        raise DataError(
            f"likeness: the source has {n_source} images and the target {n_target}, expected at least {2 * FEWEST} "
            f"and {FEWEST}, copies and groups counted once; take more images"
        )
    if given[0].shape[1:] != given[1].shape[1:]:
        raise DataError(
            f"likeness: features of the source have {given[0].shape[1:]} columns and those of the target "
            f"{given[1].shape[1:]}; give both of one key and tap"
        )
    drawn = [np.sort(generator.permutation(n)[:most]) for n, most in ((n_source, 2 * MOST), (n_target, MOST))]
    sides = [feature_matrix(side[rows], len(rows)) for side, rows in zip(given, drawn, strict=True)]
    splits = [] if classes is None else _halves_by_class(np.asarray(classes)[drawn[0]], generator)
    size = min(len(drawn[0]) // 2, len(drawn[1]), *(int(min(one.sum(), (~one).sum())) for one in splits))
    rows = _components(np.concatenate(sides).astype(np.float64), size)
    rows -= rows[: len(drawn[0])].mean(axis=0)
    spread = float((rows[: len(drawn[0])] ** 2).sum(axis=1).mean())
    return Shared(rows / np.sqrt(spread or 1.0), len(drawn[0]), size, splits)


def _components(X: Doubles, size: int) -> Doubles:
    k = min(COMPONENTS, max(2, size // _IMAGES_BY_COMPONENT))
    U, lengths, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    return np.asarray(U[:, :k] * lengths[:k])


def _halves_by_class(classes: NDArray[Any], generator: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Tell the images of random classes that come nearest to half of all, again and again; none if a side is small."""
    numbers = np.unique(classes, return_inverse=True)[1]
    counts, splits = np.bincount(numbers), []
    for _ in range(SPLITS if len(counts) > 1 else 0):
        order = generator.permutation(len(counts))
        n_first = 1 + int(np.abs(np.cumsum(counts[order])[:-1] - len(numbers) / 2).argmin())
        splits.append(np.isin(numbers, order[:n_first]))
    return splits if all(FEWEST <= one.sum() <= len(one) - FEWEST for one in splits) else []
