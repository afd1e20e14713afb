"""The parts of the images that all folds are unions of, and sums over the images of each part.

In cross-validation a fold is fitted on what all the others score. So one pass over the images gives sums of every part,
and theirs add up to those of every fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.linalg.blas import dsyr, dsyrk
from scipy.sparse import csr_array

from headstart.heads.errors import DataError
from headstart.heads.solvers.sums.gram import ROWS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from headstart.heads.solvers.sums.blocks import Sample, Stream
    from headstart.heads.splits import SplitPlan

    Singles = NDArray[np.float32]
    Doubles = NDArray[np.float64]
    Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Which part each image is in, and which parts each fit uses.

    Parameters
    ----------
    of_image : int16 ndarray of shape (n_images,)
        -1 for images that no fit uses and no fold scores.
    fits : bool ndarray of shape (n_fits, n_parts)
    """

    of_image: NDArray[np.int16]
    fits: NDArray[np.bool_]

    @property
    def rows(self) -> Rows:
        """Images that some fit uses."""
        used = np.append(self.fits.any(axis=0), False)  # part -1 is the last
        return np.flatnonzero(used[self.of_image])


def parts_of_folds(plan: SplitPlan, n_images: int) -> Parts:
    """Return one fit a fold: part p is what fold p scores, and the last one what no fold scores.

    Raises
    ------
    DataError
        The folds are no unions of parts: one scores what another scores, or is fitted on some of it.
    """
    of_image = np.full(n_images, -1, dtype=np.int16)
    for number, (_, scored) in enumerate(plan.folds):
        if (of_image[scored] >= 0).any():
            raise DataError(f"fold {number + 1} scores images that another fold scores; streaming needs each in one")
        of_image[scored] = number
    n_folds = len(plan.folds)
    fits = np.zeros((n_folds, n_folds + 1), dtype=bool)
    for number, (fitted, _) in enumerate(plan.folds):
        of_image[fitted[of_image[fitted] < 0]] = n_folds
        fits[number, of_image[fitted]] = True
    sizes = np.bincount(of_image + 1, minlength=n_folds + 2)[1:]
    for number, (fitted, _) in enumerate(plan.folds):
        if sizes[fits[number]].sum() != len(fitted):
            raise DataError(f"fold {number + 1} is fitted on some of what another fold scores; streaming needs all")
    return Parts(of_image=of_image, fits=fits)


def part_of_train(plan: SplitPlan, n_images: int) -> Parts:
    """Return the single fit of the winner, on all of train."""
    of_image = np.full(n_images, -1, dtype=np.int16)
    of_image[plan.train] = 0
    return Parts(of_image=of_image, fits=np.ones((1, 1), dtype=bool))


@dataclass(frozen=True, kw_only=True)
class PartSums:
    """Sums over the images of each part, of features less `centre`.

    Parameters
    ----------
    centre : float32 ndarray of shape (n_features,)
        Near the mean, so that nothing is lost where that is far above the spread.
    counts : float64 ndarray of shape (n_parts, n_classes)
    sums : float64 ndarray of shape (n_parts, n_classes, n_features)
    squares : float64 ndarray of shape (n_parts, n_features)
    grams : list of float64 ndarray of shape (n_features, n_features), or None
        Products of features with each other, in the upper triangles; of each part or, with `weights`, of each fit.
    weights : float64 ndarray of shape (n_fits, n_classes), or None
        How much an image of each class counts in the products of each fit; None where all count alike.
    """

    centre: Singles
    counts: Doubles
    sums: Doubles
    squares: Doubles
    grams: list[Doubles] | None
    weights: Doubles | None = None

    def moments(self, used: NDArray[np.bool_]) -> Moments:
        """Return the moments of a union of parts, bool (n_parts,), as scikit-learn's `StandardScaler` has them."""
        n_images = int(self.counts[used].sum())
        mean = self.sums[used].sum(axis=(0, 1)) / n_images
        squares = self.squares[used].sum(axis=0) / n_images
        variance = np.maximum(squares - mean**2, 0.0)
        # Of a feature that never changes rounding alone is left: scikit-learn's bound, and like there its scale is 1.
        # The difference above has rounding of its own: a feature may be far from the centre in some parts alone.
        eps, whole = np.finfo(np.float64).eps, mean + self.centre
        constant = variance <= n_images * eps * squares + (n_images * whole * eps) ** 2
        return Moments(mean, variance, np.where(constant, 1.0, np.sqrt(variance)), n_images)

    def correlations(self, used: NDArray[np.bool_]) -> Doubles:
        """Return the sums of products of standardised features over the union of some parts, in the upper triangle.

        Raises
        ------
        ValueError
            They were not gathered.
        """
        if self.grams is None or self.weights is not None:
            raise ValueError("there are no sums of products of features; gather them with_gram=True")
        moments = self.moments(used)
        first, *others = np.flatnonzero(used)
        gram = self.grams[first].copy(order="F")
        for part in others:
            gram += self.grams[part]
        gram = dsyr(
            -moments.n_images, moments.mean, a=gram, overwrite_a=True
        )  # in place, where an outer product is not
        gram /= moments.scale[:, None]
        gram /= moments.scale
        return np.asarray(gram)

    def least_squares(self, used: NDArray[np.bool_], fit: int) -> LeastSquares:
        """Return the sums that a fit of least squares goes by, over the union of some parts, which the fit uses."""
        moments, counts, by_class = self.moments(used), self.counts[used].sum(axis=0), self.sums[used].sum(axis=0)
        if self.weights is None:
            mean, gram = moments.mean, self.correlations(used)
        else:
            if self.grams is None:
                raise ValueError("there are no sums of products of features; gather them with_gram=True")
            counts = self.weights[fit] * counts
            by_class = self.weights[fit][:, None] * by_class
            mean = by_class.sum(axis=0) / counts.sum()
            gram = self.grams[fit] - counts.sum() * np.outer(mean, mean)
            gram /= np.outer(moments.scale, moments.scale)
        # Targets are 2 · indicator - 1, and features less their mean sum up to 0.
        products = 2.0 * ((by_class - counts[:, None] * mean) / moments.scale).T
        return LeastSquares(gram, mean, moments.scale, products, counts)


class LeastSquares(NamedTuple):
    """Sums over images, each weighed by its class, of features less their (weighed) mean and over their scale.

    Parameters
    ----------
    gram : float64 ndarray of shape (n_features, n_features)
        Of their products with each other, in the upper triangle.
    mean, scale : float64 ndarray of shape (n_features,)
        The mean is less the centre.
    products : float64 ndarray of shape (n_features, n_classes)
        With the targets, 1 for an image's own class and -1 for the others.
    counts : float64 ndarray of shape (n_classes,)
        Of the images.
    """

    gram: Doubles
    mean: Doubles
    scale: Doubles
    products: Doubles
    counts: Doubles


class Moments(NamedTuple):
    """Moments that standardise features, float64 (n_features,) each, of so many images; the mean is less the centre."""

    mean: Doubles
    variance: Doubles
    scale: Doubles
    n_images: int


def sum_parts(
    stream: Stream,
    codes: NDArray[np.intp],
    n_classes: int,
    parts: Parts,
    sample: Sample,
    *,
    with_gram: bool,
    weights: Doubles | None = None,
) -> PartSums:
    """Go through all images that are fitted on, once.

    Parameters
    ----------
    stream : Stream
    codes : int ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1.
    n_classes : int
    parts : Parts
    sample : Sample
        Its mean is the centre.
    with_gram : bool
        Whether products of features are wanted, which cost more than all the rest.
    weights : float64 ndarray of shape (n_fits, n_classes), optional
        Of classes in the products. Each fit then has its own: balanced ones differ with the images of the fit.
    """
    n_parts, n_features = parts.fits.shape[1], stream.n_features
    centre = sample.block.features.mean(axis=0, dtype=np.float64).astype(np.float32)
    counts, squares = np.zeros((n_parts, n_classes)), np.zeros((n_parts, n_features))
    sums = np.zeros((n_parts, n_classes, n_features))
    n_grams = n_parts if weights is None else len(weights)
    grams = [np.zeros((n_features, n_features), order="F") for _ in range(n_grams)] if with_gram else None
    for block in stream.blocks(parts.rows):
        for part, rows in split_by_part(parts, block.rows):
            for at in range(0, len(rows), ROWS_AT_ONCE):
                some = rows[at : at + ROWS_AT_ONCE]
                centred = (block.features[some] - centre).astype(np.float64)
                of_class = codes[block.rows[some]]
                counts[part] += np.bincount(of_class, minlength=n_classes)
                sums[part] += class_indicator(of_class, n_classes) @ centred
                squares[part] += np.einsum("ij,ij->j", centred, centred)
                if grams is None:
                    continue
                for number, rooted in _rooted(centred, of_class, part, parts, weights):
                    # Adds to the upper triangle in place.
                    grams[number] = dsyrk(1.0, rooted.T, beta=1.0, c=grams[number], overwrite_c=True)
    return PartSums(centre=centre, counts=counts, sums=sums, squares=squares, grams=grams, weights=weights)


def _rooted(
    centred: Doubles, codes: NDArray[np.intp], part: int, parts: Parts, weights: Doubles | None
) -> Iterator[tuple[int, Doubles]]:
    """Yield each Gram matrix that images of a part go into, and their features times the roots of their weights."""
    if weights is None:
        yield part, centred
        return
    for fit in np.flatnonzero(parts.fits[:, part]):
        yield int(fit), np.sqrt(weights[fit])[codes, None] * centred


def split_by_part(parts: Parts, rows: Rows) -> Iterator[tuple[int, Rows]]:
    """Yield each part that some of these images are in, and their places among `rows`."""
    of_image = parts.of_image[rows]
    for part in np.unique(of_image[of_image >= 0]):
        yield int(part), np.flatnonzero(of_image == part)


def class_indicator(codes: NDArray[np.intp], n_classes: int, weights: Any = None) -> Any:
    """Return a sparse matrix (n_classes, n_images) whose product with features is their (weighted) sum by class."""
    values = np.ones(len(codes)) if weights is None else weights
    return csr_array((values, (codes, np.arange(len(codes)))), shape=(n_classes, len(codes)))
