"""Coordinates in which the losses of one C curve about as much in all directions, so that L-BFGS takes few steps."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.linalg import cholesky
from scipy.linalg.blas import ssyrk
from scipy.linalg.lapack import dtrtri

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from headstart.heads.solvers.logistic.loss import FoldLoss, Part, Point
    from headstart.heads.solvers.sums import Moments

_BLUNTER = 0.5  # times the scores: else few images are nearly all, and which of them are drawn is chance
_IMAGES_A_FEATURE = 5  # more of them change the number of steps by little
_WORTH_STEPS = 20  # a Hessian that costs more than so many evaluations does not repay
_FLATTEST = (1e-5, 1e-3)  # of each feature's own curvature: float32 knows nothing of directions that are flatter


class Curvature:
    """Root L of a Hessian's estimate L Lᵀ for one class's weights and intercept; points u = Lᵀ w curve alike.

    Parameters
    ----------
    root : float64 ndarray of shape (n_features + 1, n_features + 1), or None
        Lower triangle; the intercept is the last. None leaves points as they are.
    """

    def __init__(self, root: NDArray[np.float64] | None) -> None:
        self.is_known = root is not None
        if root is not None:
            inverse, _ = dtrtri(root, lower=True)
            self._root, self._inverse = (torch.from_numpy(one.astype(np.float32)) for one in (root, inverse))

    def points(self, weights: Tensor) -> Tensor:
        """Return the points (…, n_params) of weights (…, n_params), class after class."""
        return self._product(weights, self._root) if self.is_known else weights

    def weights(self, points: Tensor) -> Tensor:
        """Return the weights (…, n_params) that points (…, n_params) stand for."""
        return self._product(points, self._inverse) if self.is_known else points

    def slopes(self, gradients: Tensor) -> Tensor:
        """Return the derivatives by points of derivatives by weights, (…, n_params) each."""
        return self._product(gradients, self._inverse.T) if self.is_known else gradients

    def gradients(self, slopes: Tensor) -> Tensor:
        """Return the derivatives by weights of derivatives by points, (…, n_params) each."""
        return self._product(slopes, self._root.T) if self.is_known else slopes

    def _product(self, values: Tensor, by: Tensor) -> Tensor:
        return (values.reshape(-1, len(by)) @ by).view(values.shape)


def curvature_at(loss: FoldLoss, point: Point, penalty: float, moments: Moments) -> Curvature:
    """Return the curvature about a point; unknown where it would cost more than it saves.

    The Hessian of a class is Σ p (1-p) x xᵀ over images, plus the penalty. Here p (1-p) is the mean over classes, at
    the mean of the folds' scores: one estimate serves them all, for it need not be exact. Images are drawn by it, since
    where C is large few of them have any.

    Parameters
    ----------
    loss : FoldLoss
    point : Point
    penalty : float
        Of each weight, as it is added.
    moments : Moments
        Of all images, by which features are standardised here: those of the folds are about the same.
    """
    n_images, n_features = loss.features.shape
    n_drawn = min(n_images, _IMAGES_A_FEATURE * (n_features + 1))
    evaluation = 4 * n_images * loss.scaling.n_classes * len(loss.folds)  # for each feature, as the next line
    if (n_drawn + n_features) * n_features > _WORTH_STEPS * evaluation:
        return Curvature(None)
    spread = torch.cat([_spread(loss, part, own) for part, own in zip(loss.parts, point.scores, strict=True)])
    rows, factors = _drawn(spread.numpy().astype(np.float64), n_drawn)
    largest = factors.max(initial=0.0)  # where all are told apart so little that the squares of it would vanish
    if not largest > 0.0:
        return Curvature(None)
    roots = np.sqrt(factors / largest).astype(np.float32)[:, None]
    mean, scale = (one.astype(np.float32) for one in (moments.mean, moments.scale))
    drawn = np.append((loss.features.numpy()[rows] - mean) / scale * roots, roots, axis=1)
    hessian, places = ssyrk(1.0, drawn.T, lower=True) * (largest / float(loss.totals.mean())), np.arange(n_features + 1)
    # A feature that few images have may have been drawn with none of them.
    usual = float(spread.sum()) / float(loss.totals.mean())
    hessian[places, places] = np.maximum(hessian[places, places], usual)
    return _root_of(hessian, penalty)


def _spread(loss: FoldLoss, part: Part, scores: Tensor) -> Tensor:
    """Return p (1-p) of each image of a part, as often as it counts, (n_images,)."""
    # A class that a fold is not fitted on has a score of 0 there, for the mean's sake.
    absent = loss.scaling.absent[:, loss.folds[part.folds], None]
    probability = torch.softmax(_BLUNTER * (scores - absent).mean(dim=1), dim=0)
    return (probability * (1.0 - probability)).mean(dim=0) * part.counted.sum(dim=0) / len(loss.folds)


def _root_of(hessian: NDArray[np.floating], penalty: float) -> Curvature:
    places = np.arange(len(hessian))
    own = hessian[places, places]
    for flattest in _FLATTEST:
        hessian[places, places] = own * (1.0 + flattest)
        hessian[places[:-1], places[:-1]] += penalty  # the intercept, which is the last, costs nothing
        with suppress(np.linalg.LinAlgError):  # features go together more than float32 can tell
            return Curvature(cholesky(hessian, lower=True, check_finite=False))
    return Curvature(None)


def _drawn(sizes: NDArray[np.float64], n_drawn: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return about so many places, drawn by size, and the sizes that they stand for: theirs over their chance."""
    chances = np.full(len(sizes), n_drawn / len(sizes))
    surely = np.zeros(len(sizes), dtype=bool)
    while True:  # what would have a chance above 1 is taken, and leaves less to draw
        rest = np.where(surely, 0.0, sizes)
        left = n_drawn - np.count_nonzero(surely)
        if left <= 0 or not rest.any():
            break
        chances = np.where(surely, 1.0, rest * (left / rest.sum()))
        more = chances > 1.0
        if not more.any():
            break
        surely |= more
    ends = np.floor(np.cumsum(chances) + 0.5)
    rows = np.flatnonzero(np.diff(ends, prepend=0.0) > 0)
    return rows, sizes[rows] / chances[rows]
