"""Logistic regression for many C and folds at once, on products that they share.

Where products are large, all folds of a C are searched at once, one C after another, to the minimum, as far as float32
and the tolerances tell. scikit-learn's solver stops long before where C is large: the loss is nowhere above the one
that it ends with, and far below there. Where products are small, and for whatever found no minimum that way, all
problems take scikit-learn's steps at once.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from headstart.heads.estimators import ClassWeight, common_weight
from headstart.heads.solvers.logistic.loss import FoldLoss
from headstart.heads.solvers.logistic.path import Path
from headstart.heads.solvers.logistic.scaling import WeightScaling
from headstart.heads.solvers.logistic.steps import take_steps
from headstart.heads.solvers.sums import PartedImages, part_images

_WORTH_A_PATH = 2**22  # multiplications of a product, below which scikit-learn's steps take no time either
_NEARER = 0.3  # of the tolerance: with scikit-learn's a loss now and then ends above scikit-learn's
_SCORES_AT_ONCE = 2**26  # as a search holds them a few times, 256 MiB each
_WEIGHTS_AT_ONCE = 2**22  # of fits that take steps, which remember the weights and slopes of ten: 400 MiB

Rows = NDArray[np.intp]


def solve_logreg(
    features: NDArray[np.float32],
    codes: NDArray[np.intp],
    n_classes: int,
    folds: Sequence[tuple[Rows, Rows]],
    grids: Sequence[Sequence[Mapping[str, Any]]],
) -> list[list[NDArray[np.float64]]]:
    """Return the probabilities (n_scored, n_classes) of each fold's images, for each ``C`` of its grid.

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
        For each fold what to try: ``C``, and a ``class_weight`` that all have in common.

    Raises
    ------
    ValueError
        A C is not above 0, or there are several class weights.
    """
    strengths = np.array([one.get("C", 1.0) for grid in grids for one in grid], dtype=np.float64)
    if not (strengths > 0).all():
        raise ValueError(f"C is {strengths.min()}, expected a number above 0")
    fits = np.repeat(np.arange(len(folds)), [len(grid) for grid in grids])
    images = part_images(features, codes, n_classes, [rows for rows, _ in folds])
    # By the size of all, and not of what a worker was given: how work is cut changes no result.
    to_minimum = features.size * n_classes >= _WORTH_A_PATH
    class_weight = common_weight(one for grid in grids for one in grid)
    weights = fit_logistic(images, fits, strengths, class_weight, to_minimum=to_minimum)
    found = []
    for fold, (_, rows) in enumerate(folds):
        X = torch.from_numpy(np.ascontiguousarray(features[rows], dtype=np.float32) - images.sums.centre)
        # (n_classes, n_scored) each: scikit-learn computes its softmax in the dtype of the features, too.
        scores = (torch.addmm(weights[:, n, -1:], weights[:, n, :-1], X.T) for n in np.flatnonzero(fits == fold))
        found.append([torch.softmax(each.double(), dim=0).T.contiguous().numpy() for each in scores])
    return found


def fit_logistic(
    images: PartedImages,
    fits: NDArray[np.intp],
    strengths: NDArray[np.float64],
    class_weight: ClassWeight = None,
    *,
    to_minimum: bool = False,
    tol: float = 1e-4,
    max_iter: int = 1000,
) -> Tensor:
    """Minimise mean cross-entropy + ‖W‖² / (2 C n_images) of standardised features for every problem.

    Parameters
    ----------
    images : PartedImages
    fits : int ndarray of shape (n_problems,)
        Of the images' folds, that of each problem.
    strengths : ndarray of shape (n_problems,)
        C of each problem.
    class_weight : "balanced", mapping of class to float, or None
    to_minimum : bool
        Search each minimum itself, and take scikit-learn's steps for a problem that finds none that way alone.
    tol : float
        Largest component of the gradient to stop at, scikit-learn's default.
    max_iter : int
        Of scikit-learn's steps; a problem that takes more gives a ConvergenceWarning.

    Returns
    -------
    float32 tensor of shape (n_classes, n_problems, n_features + 1)
        Weights of features less the images' centre; the intercept is the last.
    """
    n_classes = images.sums.counts.shape[1]
    found, left = torch.empty(n_classes, len(fits), images.features.shape[1] + 1), np.arange(len(fits))
    if to_minimum:
        left = _follow_paths(images, fits, strengths, class_weight, tol, found)
    n_failed, at_once = 0, max(1, _WEIGHTS_AT_ONCE // found[:, 0].numel())
    for some in [left[start : start + at_once] for start in range(0, len(left), at_once)]:
        scaling = WeightScaling(images.sums, images.parts, fits[some], strengths[some], class_weight)
        found[:, some], failed = take_steps(images, scaling, tol, max_iter, further=to_minimum)
        n_failed += len(failed)
    if n_failed:
        warnings.warn(
            f"lbfgs failed to converge in {max_iter} steps for {n_failed} of {len(fits)} fits",
            ConvergenceWarning,
            stacklevel=2,
        )
    return found


def _follow_paths(
    images: PartedImages,
    fits: NDArray[np.intp],
    strengths: NDArray[np.float64],
    class_weight: ClassWeight,
    tol: float,
    found: Tensor,
) -> NDArray[np.intp]:
    """Write into `found` the weights of the minima, one C after another, and return the problems that found none."""
    n_folds = len(images.parts.fits)
    scaling = WeightScaling(images.sums, images.parts, np.arange(n_folds), np.ones(n_folds), class_weight)
    moments = images.sums.moments(np.ones(images.parts.fits.shape[1], dtype=bool))
    whole, left = FoldLoss.of_images(images, scaling), np.zeros(len(fits), dtype=bool)
    for folds in _alike(fits, strengths, _SCORES_AT_ONCE // scaling.n_classes // len(images.codes)):
        loss = whole.of(torch.from_numpy(folds))
        path = Path(loss, moments, _NEARER * tol)
        for strength in np.unique(strengths[np.isin(fits, folds)]):
            points, failed = path.minimum(float(strength))
            weights, intercepts = scaling.of_features(loss.folds, points)
            for place, fold in enumerate(folds):
                problems = (fits == fold) & (strengths == strength)
                found[:, problems] = torch.cat([weights, intercepts[..., None]], dim=2)[:, place, None]
                left |= problems & (place in failed)
    return np.flatnonzero(left)


def _alike(fits: NDArray[np.intp], strengths: NDArray[np.float64], at_most: int) -> Iterator[NDArray[np.intp]]:
    """Yield folds that are fitted with the same C, so many at a time."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for fold in np.unique(fits):
        groups.setdefault(tuple(np.unique(strengths[fits == fold])), []).append(int(fold))
    for folds in groups.values():
        for start in range(0, len(folds), max(1, at_most)):
            yield np.array(folds[start : start + max(1, at_most)])
