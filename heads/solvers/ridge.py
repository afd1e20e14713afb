"""The ridge head for a whole grid of penalties, from one eigendecomposition a fold."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import softmax

from headstart.heads.estimators import (
    Floats,
    RidgeSoftmaxClassifier,
    class_targets,
    common_weight,
    fit_temperatures,
    intercept_leverage,
    left_out_rows,
    left_out_scores,
    left_out_together,
    weights_of_counts,
)
from headstart.heads.features import contiguous_rows
from headstart.heads.prediction import widen_classes
from headstart.heads.solvers.sums import LeastSquares, PartSums, part_images, standardise

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Rows = NDArray[np.intp]

COLUMNS_AT_ONCE = 256  # scores of so many penalties × classes are held at a time; fewer make slow matrix products


class Projection(NamedTuple):
    """Images in the directions that all penalties a have in common: known · moments / (lengths + a) are their scores.

    Parameters
    ----------
    lengths : ndarray of shape (n_directions,)
        Eigenvalues of XᵀX = V diag(lengths) Vᵀ or XXᵀ = U diag(lengths) Uᵀ, for standardised features X.
    moments : ndarray of shape (n_directions, n_classes)
        VᵀXᵀT or UᵀT of the centred targets T.
    known : ndarray of shape (n_known, n_directions)
        XV or XXᵀU, of images that leave-one-out looks at.
    roots : ndarray of shape (n_known, n_directions)
        A row's leverage on another is the sum of the products of both over lengths + a.
    squares : ndarray of shape (n_known, n_directions)
        Those of `roots`: the leverage on itself.
    asked : ndarray of shape (n_scored, n_features)
    turning, height : ndarray of shape (n_features, n_directions) and (n_directions,)
        asked · turning - height are the images to score in the same directions.
    mean : ndarray of shape (n_classes,)
        Of the targets: the intercept.
    of_intercept : float or ndarray
        What that adds to the leverage of each row, or of each image of several views.
    """

    lengths: Doubles
    moments: Doubles
    known: Floats
    roots: Floats
    squares: Floats
    asked: Floats
    turning: Floats
    height: Floats
    mean: Doubles
    of_intercept: Any


def solve_ridge(
    features: Singles,
    codes: NDArray[np.intp],
    n_classes: int,
    folds: Sequence[tuple[Rows, Rows]],
    grids: Sequence[Sequence[Mapping[str, Any]]],
) -> list[list[Doubles]]:
    """Return the probabilities (n_scored, n_classes) of each fold's images, for each ``alpha`` of its grid.

    They are those of `heads.estimators.ridge.make_ridge` but for the rounding of float32 scores.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
        Of all images; standardised here, by those that a fold is fitted on.
    codes : int ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1.
    n_classes : int
    folds : sequence of pairs of int ndarray
        Rows to fit on and to predict.
    grids : sequence of sequence of mappings
        For each fold what to try: hyper-parameters of `RidgeSoftmaxClassifier`.

    Raises
    ------
    ValueError
        An alpha is not above 0.
    """
    alphas = [_alphas(grid) for grid in grids]
    weight = common_weight(params for grid in grids for params in grid)
    counts = np.stack([np.bincount(codes[rows], minlength=n_classes) for rows, _ in folds])
    weights = weights_of_counts(weight, counts)
    views = next((params.get("views", 1) for grid in grids for params in grid), 1)
    found = []
    for (rows, _), projection, some in zip(
        folds, _project_folds(features, codes, folds, weights, n_classes, views), alphas, strict=True
    ):
        present, places = np.unique(codes[rows], return_inverse=True)
        probabilities = _probabilities(projection, places, some, views)
        found.append([widen_classes(probability, present, n_classes) for probability in probabilities])
    return found


def _project_folds(
    features: Singles,
    codes: NDArray[np.intp],
    folds: Sequence[tuple[Rows, Rows]],
    weights: Doubles | None,
    n_classes: int,
    views: int,
) -> Iterator[Projection]:
    each = [None] * len(folds) if weights is None else list(weights)
    n_fewest, n_features = min(len(rows) for rows, _ in folds), features.shape[1]
    if n_fewest < n_features:
        for (rows, scored), own in zip(folds, each, strict=True):
            known, of_rows = contiguous_rows(features, rows), None if own is None else own[codes[rows]]
            yield project_few(known, codes[rows], contiguous_rows(features, scored), views, of_rows)
        return
    # The smaller of both Gram matrices is that of features, and folds can share it.
    images = part_images(features, codes, n_classes, [rows for rows, _ in folds], with_gram=True, weights=weights)
    # Where images are few, leave-one-out divides by what is left of 1 beside a leverage of nearly 1.
    dtype: Any = np.float32 if n_fewest >= 2 * n_features else np.float64
    for fold, ((rows, scored), own) in enumerate(zip(folds, each, strict=True)):
        left_out = left_out_rows(len(rows), views)
        known, asked = contiguous_rows(features, rows[left_out]), contiguous_rows(features, scored)
        found = project_parts(
            images.sums.least_squares(images.parts.fits[fold], fold), images.sums, known, asked, dtype
        )
        of_rows = None if own is None else own[codes[rows]]
        yield _with_leverages(found, found.known, left_out, len(rows), views, of_rows)


def _with_leverages(
    found: Projection, roots: Floats, left_out: Rows, n_rows: int, views: int, weights: Doubles | None
) -> Projection:
    """Add the leverages of the known images, given their roots where all images count alike."""
    if weights is not None:
        roots = roots * np.sqrt(weights[left_out])[:, None].astype(roots.dtype)
    of_intercept = intercept_leverage(weights, left_out, n_rows, views)
    of_intercept = np.asarray(of_intercept, dtype=found.known.dtype)
    return found._replace(roots=roots, squares=np.square(roots), of_intercept=of_intercept)


def project_parts(least: LeastSquares, sums: PartSums, known: Singles, asked: Singles, dtype: Any) -> Projection:
    """Return the projection of a fold whose products of features are sums over its parts; without leverages.

    They are decomposed in float64: float32's rounding is of the order of small eigenvalues, which small penalties leave
    to count.
    """
    present = least.counts > 0
    # numpy's copies the matrix twice, and takes a tenth longer.
    lengths, directions = eigh(least.gram, lower=False, overwrite_a=True, check_finite=False, driver="evd")
    basis = directions / least.scale[:, None]
    turning, height = basis.astype(dtype), (least.mean @ basis).astype(dtype)
    known, asked = ((some - sums.centre).astype(dtype, copy=False) for some in (known, asked))
    turned = known @ turning
    turned -= height  # in place: fresh memory costs as much as the difference
    return Projection(
        lengths=np.maximum(lengths, 0.0),
        moments=directions.T @ least.products[:, present],
        known=turned,
        roots=turned,
        squares=turned,
        asked=asked,
        turning=turning,
        height=height,
        mean=(2.0 * least.counts[present] - least.counts.sum()) / least.counts.sum(),
        of_intercept=0.0,
    )


def project_few(
    features: Singles, codes: NDArray[np.intp], asked: Singles, views: int, weights: Doubles | None = None
) -> Projection:
    """Return the projection of fewer images than features, by products of images with each other, in float64.

    `weights` (n_images,) say how much each image counts.
    """
    known, others = standardise(features, asked, np.float64)
    middle: Any = np.zeros(known.shape[1])
    present, places = np.unique(codes, return_inverse=True)
    targets = class_targets(places, len(present))
    mean = np.average(targets, axis=0, weights=weights)
    wanted, root = targets - mean, np.ones(len(known))
    if weights is not None:  # standardised by all images alike, and less their weighed mean
        root, middle = np.sqrt(weights), np.average(known, axis=0, weights=weights)
        known, wanted = root[:, None] * (known - middle), root[:, None] * wanted
    lengths, units = np.linalg.eigh(known @ known.T)
    lengths = np.maximum(lengths, 0.0)
    left_out, turning = left_out_rows(len(units), views), known.T @ units
    some = units[left_out]
    return Projection(
        lengths=lengths,
        moments=units.T @ wanted,
        known=some * lengths / root[left_out, None],
        roots=some * np.sqrt(lengths),
        squares=np.square(some) * lengths,
        asked=others,
        turning=turning,
        height=middle @ turning,
        mean=mean,
        of_intercept=intercept_leverage(weights, left_out, len(units), views),
    )


def _probabilities(projection: Projection, codes: NDArray[np.intp], alphas: Doubles, views: int) -> Iterator[Doubles]:
    """Yield those of the scored images (n_scored, n_classes) for each alpha; classes come before images until then."""
    dtype, left_out = projection.known.dtype, left_out_rows(len(codes), views)
    targets, mean = class_targets(codes, int(codes.max()) + 1), projection.mean
    by_class, height = targets[left_out].T.astype(dtype, order="C"), mean[:, None].astype(dtype)
    at_once = max(1, COLUMNS_AT_ONCE // len(mean))
    for at in range(0, len(alphas), at_once):
        inverse = 1.0 / (projection.lengths + alphas[at : at + at_once, None])
        solved = (projection.moments.T * inverse[:, None]).reshape(-1, inverse.shape[1]).astype(dtype)
        shape = len(inverse), len(mean), -1
        fitted = (solved @ projection.known.T).reshape(shape)
        # There are fewer weights than images to turn.
        scores = (solved @ projection.turning.T) @ projection.asked.T - (solved @ projection.height)[:, None]
        if views == 1:
            leverages = inverse.astype(dtype) @ projection.squares.T + np.asarray(projection.of_intercept, dtype)
            of_known = left_out_scores(by_class, fitted + height, leverages)
        else:
            roots = projection.roots.reshape(-1, views, inverse.shape[1])
            together = np.stack([(roots * one.astype(dtype)) @ roots.swapaxes(1, 2) for one in inverse])
            of_known = left_out_together(by_class, fitted + height, together + projection.of_intercept)
        temperatures = fit_temperatures(of_known, codes[left_out], len(codes))
        for part, temperature in zip(scores.reshape(shape), temperatures, strict=True):
            yield softmax((part.T + mean) / temperature, axis=1)


def _alphas(grid: Sequence[Mapping[str, Any]]) -> Doubles:
    heads = [RidgeSoftmaxClassifier(**params) for params in grid]
    for head in heads:
        head.check_alpha()
    return np.array([head.alpha for head in heads], dtype=np.float64)
