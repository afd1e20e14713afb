"""Logistic regression for many C and folds at once: one batched L-BFGS that takes scikit-learn's steps, on products.

Problems share one set of images, so that an iteration of all of them is two large products. The steps are those
of scikit-learn's solver (scipy's L-BFGS-B from zero, stopped at the same gradient), because where C is large and the
solver stops long before the minimum, it is where it stops that decides the score.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from headstart.heads.estimators import ClassWeight, common_weight
from headstart.heads.solvers.logistic.anchored import AnchoredLoss
from headstart.heads.solvers.logistic.lbfgs import Search
from headstart.heads.solvers.logistic.loss import SoftmaxLoss
from headstart.heads.solvers.logistic.scaling import WeightScaling
from headstart.heads.solvers.sums import PartedImages, part_images

# Each is where bfloat16 is anchored anew: its error is then that of a small change. The last leaves room below the
# tolerance, so that nearly all problems have arrived when float32 looks.
_STAGES = (100.0, 10.0, 0.95)  # of the tolerance
_WORTH_BFLOAT16 = 2**28  # multiplications of an evaluation, below which a search in float32 takes no time either

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
    class_weight = common_weight(one for grid in grids for one in grid)
    scaling, points = fit_logistic(images, fits, strengths, class_weight)
    weights, intercepts = scaling.of_features(torch.arange(len(fits)), points)
    found = []
    for fold, (_, rows) in enumerate(folds):
        X = torch.from_numpy(np.ascontiguousarray(features[rows], dtype=np.float32) - images.sums.centre)
        # (n_classes, n_scored) each: scikit-learn computes its softmax in the dtype of the features, too.
        scores = (torch.addmm(intercepts[:, n, None], weights[:, n], X.T) for n in np.flatnonzero(fits == fold))
        found.append([torch.softmax(each.double(), dim=0).T.contiguous().numpy() for each in scores])
    return found


def fit_logistic(
    images: PartedImages,
    fits: NDArray[np.intp],
    strengths: NDArray[np.float64],
    class_weight: ClassWeight = None,
    *,
    tol: float = 1e-4,
    max_iter: int = 1000,
) -> tuple[WeightScaling, Tensor]:
    """Minimise mean cross-entropy + ‖W‖² / (2 C n_images) for every problem.

    Parameters
    ----------
    images : PartedImages
    fits : int ndarray of shape (n_problems,)
        Of the images' folds, that of each problem.
    strengths : ndarray of shape (n_problems,)
        C of each problem.
    class_weight : "balanced", mapping of class to float, or None
    tol : float
        Largest component of the gradient to stop at, scikit-learn's default.
    max_iter : int
        Steps; a problem that takes more gives a ConvergenceWarning.

    Returns
    -------
    scaling : WeightScaling
        Tells what points stand for.
    points : float32 tensor of shape (n_problems, n_classes · (n_features + 1))
    """
    scaling = WeightScaling(images.sums, images.parts, fits, strengths, class_weight)
    X, codes = torch.from_numpy(images.features), torch.from_numpy(images.codes)
    targets = scaling.targets(images.sums.counts, images.sums.sums)
    exact = SoftmaxLoss([(X[rows], codes[rows]) for rows in images.stretches()], scaling, targets)
    search = Search(scaling.n_problems, scaling.n_params, first_lengths=scaling.first_lengths)
    if has_fast_bfloat16() and X.numel() * scaling.n_classes * scaling.n_problems >= _WORTH_BFLOAT16:
        for stage in _STAGES:
            search.run(AnchoredLoss(exact, search.points), stage * tol, max_iter)
    failed = search.run(exact, tol, max_iter)
    if failed:
        warnings.warn(
            f"lbfgs failed to converge in {max_iter} steps for {failed} of {scaling.n_problems} fits",
            ConvergenceWarning,
            stacklevel=2,
        )
    return scaling, search.points


def has_fast_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 matrices in hardware."""
    # torch has no public name for these: torch.cpu.amp tells what autocast supports, which is everywhere.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001 - see above
