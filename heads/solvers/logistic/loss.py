"""Cross-entropy of linear models with an L2 penalty, for many C and folds at once, in large matrix products.

Scores are (n_classes, n, n_images): a softmax over the first axis runs along the images, ten times as fast as over the
last. True classes are a matrix of zeros and ones: a product with it adds up what looking each up would take longer for
than the softmax. What they add to the derivatives never changes, and is summed up once: `WeightScaling.targets`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from headstart.heads.solvers.logistic.scaling import Targets, WeightScaling

_BLOCK_NUMBERS = 2**20  # scores held at a time, 4 MiB
_ROWS = 256  # fast products depend on their shape
_COLUMNS = 32
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


class SoftmaxLoss:
    """Mean cross-entropy plus penalty / 2 ‖W‖², in float32.

    Parameters
    ----------
    parts : sequence of pairs of tensor
        The images of each part, float32 (n_images, n_features) less the centre of the sums that `scaling` has, and
        their classes (n_images,).
    scaling : WeightScaling
    targets : Targets
        Of these images.

    Attributes
    ----------
    parts : list of list of Block
    scaling, targets
        As given.
    """

    def __init__(self, parts: Sequence[tuple[Tensor, Tensor]], scaling: WeightScaling, targets: Targets) -> None:
        self.scaling, self.targets = scaling, targets
        n_rows = rows_at_once(scaling.n_classes * scaling.n_problems)
        self.parts = [split_blocks(*part, scaling.n_classes, n_rows) for part in parts]

    @cached_property
    def halves(self) -> list[list[Tensor]]:
        """The images in bfloat16, followed by a one for the intercept; filled up with zeros to few shapes."""
        return [[_halved(block.images) for block in part] for part in self.parts]

    def __call__(self, problems: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return values (n,), float64, and gradients (n, n_params) of n problems at their points.

        Parameters
        ----------
        problems : int64 tensor (n,)
        points : float32 tensor (n, n_params)
        """
        weights, intercepts = self.scaling.of_features(problems, points)
        sums = SoftmaxSums(weights, intercepts)
        for part, places in zip(self.parts, self.scaling.places(problems), strict=True):
            sums.add(part, places)
        return self.scaling.finish(problems, points, sums, self.targets)


class SoftmaxSums:
    """Sums over images at given weights: of the cross-entropy, and of its derivatives less what the true class adds.

    Parameters
    ----------
    weights : float32 tensor of shape (n_classes, n, n_features)
    intercepts : float32 tensor of shape (n_classes, n)

    Attributes
    ----------
    loss : float64 tensor of shape (n,)
    by_weight, by_intercept : float32 tensors, as the weights and intercepts
    """

    def __init__(self, weights: Tensor, intercepts: Tensor) -> None:
        self._weights, self._intercepts = weights, intercepts
        self.loss = torch.zeros(len(intercepts.T), dtype=torch.float64)
        self.by_weight, self.by_intercept = torch.zeros_like(weights), torch.zeros_like(intercepts)

    def add(self, blocks: Sequence[Block], places: Tensor, held: list[tuple[Tensor, Tensor]] | None = None) -> None:
        """Add images for the problems at some places among the n.

        To `held` goes what a caller wants to keep: scores and probabilities (n_classes, n_places, n_images) of each
        block.
        """
        if not len(places):
            return
        weights, intercepts = self._weights[:, places], self._intercepts[:, places]
        if (weights == weights[:, :1]).all() and (intercepts == intercepts[:, :1]).all():
            weights, intercepts = weights[:, :1], intercepts[:, :1]  # at the start all stand on one point
        coefs, start = weights.flatten(0, 1), intercepts.reshape(-1, 1)
        by_weight = torch.zeros_like(coefs)
        for images, true in blocks:
            scores = torch.addmm(start, coefs, images.T).view(*intercepts.shape, len(images))
            loss, probability = cross_entropy(scores, true)
            self.loss[places] += loss
            self.by_intercept[:, places] += probability.sum(dim=2)
            by_weight.addmm_(probability.flatten(0, 1), images)
            if held is not None:
                held.append((scores.expand(-1, len(places), -1), probability.expand(-1, len(places), -1)))
        self.by_weight[:, places] += by_weight.view(weights.shape)


def cross_entropy(scores: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sums over images (n,), float64, and the probabilities, of scores (n_classes, n, n_images)."""
    log_probability = F.log_softmax(scores, dim=0)
    # Of numbers of one sign: rounding in float32 stays below what the line search asks for.
    loss = -torch.bmm(log_probability, true[..., None])[..., 0].sum(dim=0, dtype=torch.float64)
    return loss, log_probability.clamp_(min=_SMALLEST_LOG).exp_()


def _halved(images: Tensor) -> Tensor:
    n_rows, n_features = images.shape
    halves = torch.zeros(rounded_up(n_rows, _ROWS), rounded_up(n_features + 1, _COLUMNS), dtype=torch.bfloat16)
    halves[:n_rows, :n_features] = images
    halves[:n_rows, n_features] = 1.0
    return halves


def rounded_up(size: int, step: int) -> int:
    """Return the smallest multiple of `step` that is not below `size`."""
    return -(-size // step) * step
