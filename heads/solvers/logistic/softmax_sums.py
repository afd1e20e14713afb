"""The softmax loss and its derivatives, summed up over blocks of images for many weights at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


_BLOCK_NUMBERS = 2**20  # scores held at a time, 4 MiB
_ROWS = 256  # fast products depend on their shape
_SMALLEST_LOG = -80.0  # numbers below 1e-38 take the processor a hundred times as long


class Block(NamedTuple):
    """Some images: features (n_images, n_features), and a one where a class is true (n_classes, n_images); float32."""

    images: Tensor
    true: Tensor


def rows_at_once(n_columns: int) -> int:
    """Return how many images to take together for so many scores of each."""
    return max(_ROWS, _BLOCK_NUMBERS // n_columns // _ROWS * _ROWS)


def split_blocks(images: Tensor, codes: Tensor, n_classes: int, n_rows: int) -> list[Block]:
    """Return images (n_images, n_features) and their classes (n_images,) in blocks of so many rows at most."""
    true = F.one_hot(codes, n_classes).T.float()
    return [Block(*some) for some in zip(torch.split(images, n_rows), torch.split(true, n_rows, dim=1), strict=True)]


class SoftmaxSums:
    """Sums over images at given weights: of the cross-entropy, and of its derivatives less what the true class adds.

    Parameters
    ----------
    weights : float32 tensor of shape (n_classes, n, n_features)
    intercepts : float32 tensor of shape (n_classes, n)
    counted : float32 tensor of shape (n, n_classes), or None
        How much an image of each class counts; None where all count alike.

    Attributes
    ----------
    loss : float64 tensor of shape (n,)
    by_weight, by_intercept : float32 tensors, as the weights and intercepts
    """

    def __init__(self, weights: Tensor, intercepts: Tensor, counted: Tensor | None = None) -> None:
        self._weights, self._intercepts, self._counted = weights, intercepts, counted
        self.loss = torch.zeros(len(intercepts.T), dtype=torch.float64)
        self.by_weight, self.by_intercept = torch.zeros_like(weights), torch.zeros_like(intercepts)

    def add(self, blocks: Sequence[Block], places: Tensor) -> None:
        """Add images for the problems at some places among the n."""
        if not len(places):
            return
        weights, intercepts = self._weights[:, places], self._intercepts[:, places]
        counted = None if self._counted is None else self._counted[places]
        if counted is None and (weights == weights[:, :1]).all() and (intercepts == intercepts[:, :1]).all():
            weights, intercepts = weights[:, :1], intercepts[:, :1]  # at the start all stand on one point
        coefs, start = weights.flatten(0, 1), intercepts.reshape(-1, 1)
        by_weight = torch.zeros_like(coefs)
        for images, true in blocks:
            scores = torch.addmm(start, coefs, images.T).view(*intercepts.shape, len(images))
            loss, probability = cross_entropy(scores, true, counted)
            self.loss[places] += loss
            self.by_intercept[:, places] += probability.sum(dim=2)
            by_weight.addmm_(probability.flatten(0, 1), images)
        self.by_weight[:, places] += by_weight.view(weights.shape)


def cross_entropy(scores: Tensor, true: Tensor, counted: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the sums over images (n,), float64, and the probabilities, of scores (n_classes, n, n_images).

    Both are multiplied by what an image of its class is `counted`, (n, n_classes).
    """
    log_probability = F.log_softmax(scores, dim=0)
    # Of numbers of one sign: rounding in float32 stays below what the line search asks for.
    by_class = torch.bmm(log_probability, true[..., None])[..., 0]
    probability = log_probability.clamp_(min=_SMALLEST_LOG).exp_()
    if counted is None:
        return -by_class.sum(dim=0, dtype=torch.float64), probability
    return -(by_class * counted.T).sum(dim=0, dtype=torch.float64), probability.mul_(counted @ true)
