"""The cosine head of every episode at once: that of the registry, trained in the span of the labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

WEIGHT = 10.0  # of the images against the penalty on the scale: the registry's own
_STEPS, _REACH, _TINY = 80, 4.0, 1e-12
_SCALES = (1e-3, 60.0)


def tell_by_cosine(products: Tensor, ways: int, shots: int) -> Tensor:
    """Return scores of queries, (n_episodes, n_queries, ways), by softmax regression on angles alone.

    The loss is that of `heads.estimators.cosine.CosineClassifier`. Its gradient is a sum of labelled images, so that
    weights which begin as class means never leave their span: they are as many numbers as there are labelled images,
    however many features there are. All episodes take as many steps of Nesterov's, whose lengths follow from the loss's
    curvature, and one of Newton's on the scale beside each.

    Parameters
    ----------
    products : float64 tensor of shape (n_episodes, n, n)
        Of images of unit length; shots first, class by class, then queries.

    References
    ----------
    Chen, Liu, Kira, Wang & Huang, "A closer look at few-shot classification", ICLR 2019 (Baseline++).
    """
    labelled = ways * shots
    own = products[:, :labelled, :labelled].contiguous()
    truth = torch.eye(ways, dtype=torch.float64).repeat_interleave(shots, dim=1)
    weights, _ = _directions((truth / shots).expand(len(own), -1, -1), own)
    before, scales = weights, torch.ones(len(own), 1, 1, dtype=torch.float64)
    penalty = ways / (WEIGHT * labelled)
    spread = torch.linalg.eigvalsh(own)[:, -1, None, None] / labelled
    for step in range(_STEPS):
        ahead, cosines = _directions(weights + step / (step + 3) * (weights - before), own)
        shares = (scales * cosines).softmax(dim=1)
        residual = (shares - truth) / labelled
        turn = scales * (residual - (residual * cosines).sum(dim=2, keepdim=True) * ahead)
        before = weights
        weights, _ = _directions(ahead - _REACH / (scales**2 * spread + scales) * turn, own)
        stretch = (residual * cosines).sum(dim=(1, 2), keepdim=True) + penalty * scales
        variance = (shares * cosines**2).sum(dim=1) - (shares * cosines).sum(dim=1) ** 2
        scales = (scales - stretch / (variance.mean(dim=1)[:, None, None] + penalty)).clamp(*_SCALES)
    return (scales * (weights @ products[:, :labelled, labelled:])).mT


def _directions(weights: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights (n_episodes, ways, n_labelled) of unit length, and their cosines with the labelled images."""
    along = weights @ own
    lengths = (weights * along).sum(dim=2, keepdim=True).clamp_min(_TINY).sqrt()
    return weights / lengths, along / lengths
