"""Cross-entropy near a point, from bfloat16 products of what changed since: several times as fast as in float32.

Rounding a product to bfloat16 costs 0.4 % of it. Here that is 0.4 % of the change since the point where float32 was
used last, so that a search that renews this point a few times ends where one in float32 ends.
"""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor

from heads.softmax_loss import SoftmaxLoss

# Products are padded to few shapes: oneDNN writes a program for each, which takes as long as ten products.
_ROWS = 32


class AnchoredLoss:
    """What a `SoftmaxLoss` gives, exact at the points where it is anchored and close to it in their neighbourhood.

    Parameters
    ----------
    exact : SoftmaxLoss
    anchors : float32 tensor of shape (n_problems, n_params)
        Points of all problems.
    """

    def __init__(self, exact: SoftmaxLoss, anchors: Tensor) -> None:
        self._exact, self._anchors = exact, anchors.clone()
        coefs, intercepts = exact.class_major(anchors)
        gradient = torch.zeros_like(coefs)
        self._scores, self._residuals = [], []
        for images, codes in zip(exact.images, exact.codes, strict=True):
            scores = self._by_class(torch.addmm(intercepts, coefs, images.T))
            residuals = F.softmax(scores, dim=0)
            residuals.scatter_add_(0, *_true(codes, scores, -1.0))
            gradient.addmm_(residuals.flatten(0, 1), images)
            self._scores.append(scores)
            self._residuals.append(residuals)
        self._gradient = self._by_class(gradient)
        self._halves = exact.halves

    def __call__(self, problems: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return values (n,), float64, and gradients (n, n_params) of n problems at their points, as `SoftmaxLoss`."""
        change, intercept_change = self._exact.class_major(points - self._anchors[problems])
        half_change = torch.zeros(_rounded_up(len(change), _ROWS), change.shape[1], dtype=torch.bfloat16)
        half_change[: len(change)] = change
        gradient = self._of(self._gradient, problems).flatten(0, 1).clone()
        intercept_gradient = torch.zeros_like(intercept_change)
        loss = torch.zeros(len(problems), dtype=torch.float64)
        blocks = zip(self._halves, self._exact.codes, self._scores, self._residuals, strict=True)
        for images, codes, anchor_scores, anchor_residuals in blocks:
            moved = (half_change @ images.T)[: len(change), : len(codes)]
            scores = torch.add(self._of(anchor_scores, problems).flatten(0, 1), moved)
            scores += intercept_change
            log_probability = F.log_softmax(self._by_class(scores), dim=0)
            true, minus_one = _true(codes, log_probability, -1.0)
            loss -= log_probability.gather(0, true)[0].sum(dim=1, dtype=torch.float64)
            residuals = log_probability.exp_()
            residuals.scatter_add_(0, true, minus_one)
            intercept_gradient += residuals.sum(dim=2).view(-1, 1)
            residuals -= self._of(anchor_residuals, problems)
            half_residuals = torch.zeros(len(half_change), len(images), dtype=torch.bfloat16)
            half_residuals[: len(change), : len(codes)] = residuals.flatten(0, 1)
            gradient += (half_residuals @ images)[: len(change)]
        return self._exact.penalised(loss, gradient, intercept_gradient, problems, points)

    def _by_class(self, values: Tensor) -> Tensor:
        """Return (n_classes · n, …) as (n_classes, n, …)."""
        return values.view(self._exact.n_classes, -1, values.shape[-1])

    def _of(self, values: Tensor, problems: Tensor) -> Tensor:
        """Return the values (n_classes, n, …) of some problems, and no copy where that is all of them."""
        return values if len(problems) == len(self._anchors) else values.index_select(1, problems)


def _rounded_up(size: int, step: int) -> int:
    return -(-size // step) * step


def _true(codes: Tensor, scores: Tensor, value: float) -> tuple[Tensor, Tensor]:
    """Return where scores (n_classes, n, n_images) are those of the true classes, and a value for each place."""
    places = codes.expand(1, *scores.shape[1:])
    return places, scores.new_full((), value).expand(places.shape)
