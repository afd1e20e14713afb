"""Standardisation of weights in place of features, so that fits on different images of one matrix share its products.

w · (x - m) / s = (w / s) · x - (w / s) · m, where m and s are mean and scale of the images that a fit uses.
Points are flat: (n_problems, n_classes · (n_features + 1)), each class's weights followed by its intercept, for
standardised features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from headstart.heads.estimators import weights_of_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from headstart.heads.estimators import ClassWeight
    from headstart.heads.solvers.logistic.softmax_sums import SoftmaxSums
    from headstart.heads.solvers.sums import Parts, PartSums

_ABSENT = -1e30  # a score that no softmax sees


class WeightScaling:
    """Scaling and penalties of logistic regressions with different C on different parts of the images of one matrix.

    Parameters
    ----------
    sums : PartSums
    parts : Parts
        The parts that each fit uses.
    fits : int ndarray of shape (n_problems,)
        The fit of each problem.
    strengths : float64 ndarray of shape (n_problems,)
        C of each problem.
    class_weight : "balanced", mapping of class to float, or None
        As of scikit-learn; balanced by the images of each fit.

    Attributes
    ----------
    fits : int64 tensor of shape (n_problems,)
    penalties : float32 tensor of shape (n_problems,)
        Factors of half the sum of squared weights, added to the mean cross-entropy. Intercepts cost nothing.
    absent : float32 tensor of shape (n_classes, n_fits)
        Added to intercepts: 0, or so little that no softmax sees a class which a fit has no image of.
    n_classes, n_problems, n_params : int
    """

    def __init__(
        self,
        sums: PartSums,
        parts: Parts,
        fits: NDArray[np.intp],
        strengths: NDArray[np.float64],
        class_weight: ClassWeight = None,
    ) -> None:
        self.fits, self._used = torch.from_numpy(fits), torch.from_numpy(parts.fits.T.copy())
        self.n_problems, self.n_classes = len(fits), sums.counts.shape[1]
        self.n_params = self.n_classes * (len(sums.centre) + 1)
        moments = [sums.moments(used) for used in parts.fits]
        self._means = torch.from_numpy(np.stack([one.mean for one in moments])).float()
        self._scales = torch.from_numpy(np.stack([one.scale for one in moments])).float()
        counts = parts.fits @ sums.counts
        self.absent = torch.from_numpy(np.where(counts > 0, 0.0, _ABSENT).T.copy()).float()
        # Of two classes scikit-learn weighs one column w; here they have -w/2 and w/2, whose penalty is doubled.
        self._n_present = (counts > 0).sum(axis=1)[fits]
        weights = weights_of_counts(class_weight, counts)
        counted = counts if weights is None else weights * counts
        self._counted = None if weights is None else torch.from_numpy(weights)
        penalties = np.where(self._n_present > 2, 1.0, 2.0) / (strengths * counted.sum(axis=1)[fits])
        self.penalties = torch.from_numpy(penalties).float()

    @property
    def first_lengths(self) -> Tensor:
        """Length of scipy's first step, (n_problems,): of two classes, -w/2 and w/2 together are shorter than w."""
        return torch.from_numpy(np.where(self._n_present > 2, 1.0, 0.5**0.5)).float()

    def of_features(self, problems: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights (n_classes, n, n_features) and intercepts (n_classes, n) at points (n, n_params).

        They are for features that are less the centre of the sums, but not standardised.
        """
        weights, intercepts = self.change(problems, points)
        return weights, intercepts.add_(self.absent[:, self.fits[problems]])

    def change(self, problems: Tensor, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Return the changes that steps (n, n_params) make to the weights and intercepts of `of_features`."""
        fits = self.fits[problems]
        by_class = steps.view(len(steps), self.n_classes, -1).transpose(0, 1).contiguous()
        weights = by_class[..., :-1] / self._scales[fits]
        return weights, by_class[..., -1] - torch.einsum("cnf,nf->cn", weights, self._means[fits])

    def slopes(self, problems: Tensor, by_weight: Tensor, by_intercept: Tensor) -> Tensor:
        """Return the derivatives (n, n_params) by points, from those by weights and intercepts of `of_features`."""
        fits = self.fits[problems]
        standardised = (by_weight - by_intercept[..., None] * self._means[fits]) / self._scales[fits]
        return torch.cat([standardised, by_intercept[..., None]], dim=2).transpose(0, 1).flatten(1)

    def counted(self, problems: Tensor) -> Tensor | None:
        """Return how much an image of each class counts in problems, float32 (n, n_classes); None where all alike."""
        return None if self._counted is None else self._counted[self.fits[problems]].float()

    def places(self, problems: Tensor) -> list[Tensor]:
        """Return, for each part, the places among problems (n,) of the problems whose fits use it."""
        return [torch.nonzero(used[self.fits[problems]])[:, 0] for used in self._used]

    def targets(self, counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Targets:
        """Return the true classes' terms, from counts and sums of each part's images, as `PartSums` has them."""
        used = self._used.double().T
        by_class = torch.from_numpy(sums).flatten(1)
        each, summed = used @ torch.from_numpy(counts), (used @ by_class).view(len(used), self.n_classes, -1)
        if self._counted is not None:
            each, summed = each * self._counted, summed * self._counted[..., None]
        weights = (summed - each[..., None] * self._means[:, None]) / self._scales[:, None]
        return Targets(each.sum(dim=1), torch.cat([weights, each[..., None]], dim=2).flatten(1))

    def finish(self, problems: Tensor, points: Tensor, sums: SoftmaxSums, targets: Targets) -> tuple[Tensor, Tensor]:
        """Return values (n,), float64, and gradients (n, n_params) at points (n, n_params), penalties included.

        Parameters
        ----------
        problems, points : tensors of shape (n,) and (n, n_params)
        sums : SoftmaxSums
            At the weights and intercepts of `of_features`, over the images of each problem.
        targets : Targets
            Of the same images.
        """
        fits, penalties = self.fits[problems], self.penalties[problems]
        n_images, true = targets.n_images[fits], targets.directions[fits]
        drawn = self.slopes(problems, sums.by_weight, sums.by_intercept)
        gradients = ((drawn - true) / n_images[:, None]).float()
        weights = points.view(len(points), self.n_classes, -1)[..., :-1]
        gradients.view(weights.shape[0], self.n_classes, -1)[..., :-1] += penalties[:, None, None] * weights
        return sums.loss / n_images + 0.5 * (penalties * weights.square().sum(dim=(1, 2))).double(), gradients


class Targets(NamedTuple):
    """Terms that the true classes of some images add to the derivatives of a loss, wherever that is evaluated.

    Parameters
    ----------
    n_images : float64 tensor of shape (n_fits,)
        As they count.
    directions : float64 tensor of shape (n_fits, n_params)
        The sum, over images, of the derivative of the true class's score.
    """

    n_images: Tensor
    directions: Tensor
