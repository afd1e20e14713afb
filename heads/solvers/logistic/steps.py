"""Fits that take scikit-learn's steps: all C and folds at once, where products are too small to be worth other ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from headstart.heads.solvers.logistic.lbfgs import Found, Search
from headstart.heads.solvers.logistic.softmax_sums import SoftmaxSums, rows_at_once, split_blocks

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.heads.solvers.logistic.scaling import WeightScaling
    from headstart.heads.solvers.sums import PartedImages


_FURTHER = 0.1  # of the tolerance: no loss is then above the one that scikit-learn ends with


def take_steps(
    images: PartedImages, scaling: WeightScaling, tol: float, max_iter: int, *, further: bool = False
) -> tuple[Tensor, Tensor]:
    """Minimise as scikit-learn does: scipy's L-BFGS-B from zero, until no component of the gradient is above `tol`.

    Parameters
    ----------
    images : PartedImages
    scaling : WeightScaling
        With a problem for each fit.
    tol : float
    max_iter : int
    further : bool
        Go on from there as far as float32 leads, to a tenth of `tol` at most.

    Returns
    -------
    weights : float32 tensor of shape (n_classes, n_problems, n_features + 1)
        Of features less their centre; the intercept is the last.
    failed : int64 tensor
        Problems that did not get there.
    """
    search = Search(scaling.n_problems, scaling.n_params, first_lengths=scaling.first_lengths)
    loss = SoftmaxLoss(images, scaling)
    failed = search.run(loss, tol, max_iter)
    if further:
        search.run(loss, _FURTHER * tol, max_iter)
    weights, intercepts = scaling.of_features(torch.arange(scaling.n_problems), search.points)
    return torch.cat([weights, intercepts[..., None]], dim=2), failed


class SoftmaxLoss:
    """Mean cross-entropy plus penalty / 2 ‖W‖², in float32, of problems with images, C and fold of their own.

    Scores are (n_classes, n, n_images): a softmax over the first axis runs along the images, ten times as fast as over
    the last. True classes are a matrix of zeros and ones: a product with it adds up what looking each up would take
    longer for than the softmax. What they add to the derivatives never changes, and is summed up once.

    Parameters
    ----------
    images : PartedImages
    scaling : WeightScaling
    """

    def __init__(self, images: PartedImages, scaling: WeightScaling) -> None:
        X, codes = torch.from_numpy(images.features), torch.from_numpy(images.codes)
        n_rows = rows_at_once(scaling.n_classes * scaling.n_problems)
        self._scaling, self._targets = scaling, scaling.targets(images.sums.counts, images.sums.sums)
        self._parts = [split_blocks(X[rows], codes[rows], scaling.n_classes, n_rows) for rows in images.stretches()]

    def __call__(self, problems: Tensor, points: Tensor) -> Found:
        """Evaluate n problems at their points (n, n_params); a distance is the gradient's largest component."""
        weights, intercepts = self._scaling.of_features(problems, points)
        sums = SoftmaxSums(weights, intercepts, self._scaling.counted(problems))
        for part, places in zip(self._parts, self._scaling.places(problems), strict=True):
            sums.add(part, places)
        values, gradients = self._scaling.finish(problems, points, sums, self._targets)
        return Found(values, gradients, gradients.abs().amax(dim=1))
