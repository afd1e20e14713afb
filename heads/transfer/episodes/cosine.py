"""The cosine head of every episode at once: that of the registry, trained in the span of the labelled images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

WEIGHT = 10.0  # of the images against the penalty on the scale: the registry's own
_STEPS, _RATE, _TINY = 80, 0.2, 1e-12
_FIRST, _SECOND = 0.9, 0.999  # how much of the mean and of the square of gradients a step keeps


def tell_by_cosine(products: Tensor, ways: int, shots: int) -> Tensor:
    """Return scores of queries, (n_episodes, n_queries, ways), by softmax regression on angles alone.

    The loss is that of `heads.estimators.cosine.CosineClassifier`. Its gradient is a sum of labelled images, so that
    weights which begin as class means never leave their span: they are as many numbers as there are labelled images,
    however many features there are. All episodes take as many steps, each along the gradient in the features' own
    metric, at Adam's pace (one for the weights of an episode, one for its scale), which falls along a cosine.

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
    weights = (truth / shots).expand(len(own), -1, -1)
    scales = torch.ones(len(own), 1, 1, dtype=torch.float64)
    penalty = ways / (WEIGHT * labelled)
    paces = (_Pace(), _Pace())
    for step in range(_STEPS):
        weights, cosines = _directions(weights, own)
        residual = ((scales * cosines).softmax(dim=1) - truth) / labelled
        turn = scales * (residual - (residual * cosines).sum(dim=2, keepdim=True) * weights)
        stretch = (residual * cosines).sum(dim=(1, 2), keepdim=True) + penalty * scales
        rate = 0.5 * _RATE * (1 + math.cos(math.pi * step / _STEPS))
        weights, scales = (
            one - rate * pace.of(gradient)
            for one, pace, gradient in zip((weights, scales), paces, (turn, stretch), strict=True)
        )
    return (scales * (_directions(weights, own)[0] @ products[:, :labelled, labelled:])).mT


class _Pace:
    """Adam's step before its rate, with one second moment for all numbers of an episode."""

    def __init__(self) -> None:
        self.mean: Tensor | float = 0.0
        self.square: Tensor | float = 0.0
        self.step = 0

    def of(self, gradient: Tensor) -> Tensor:
        self.step += 1
        self.mean = _FIRST * self.mean + (1 - _FIRST) * gradient
        squared = (gradient**2).mean(dim=(1, 2), keepdim=True)
        self.square = _SECOND * self.square + (1 - _SECOND) * squared
        root = (self.square / (1 - _SECOND**self.step)).sqrt()
        return self.mean / (1 - _FIRST**self.step) / (root + _TINY)


def _directions(weights: Tensor, own: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights (n_episodes, ways, n_labelled) of unit length, and their cosines with the labelled images."""
    along = weights @ own
    lengths = (weights * along).sum(dim=2, keepdim=True).clamp_min(_TINY).sqrt()
    return weights / lengths, along / lengths
