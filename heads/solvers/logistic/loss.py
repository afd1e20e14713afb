"""Cross-entropy of linear models with an L2 penalty, for many C and folds at once, in large matrix products.

Scores are (n_classes, n, n_images): a softmax over the first axis runs along the images, ten times as fast as over the
last. True classes are a matrix of zeros and ones: a product with it adds up what looking each up would take longer for
than the softmax. What they add to the derivatives never changes, and is summed up once: `WeightScaling.targets`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from headstart.heads.solvers.logistic.scaling import Targets, WeightScaling
from headstart.heads.solvers.logistic.softmax_sums import Block, SoftmaxSums

_BLOCK_NUMBERS = 2**20  # scores held at a time, 4 MiB
_ROWS = 256  # fast products depend on their shape
_COLUMNS = 32


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
        sums = SoftmaxSums(weights, intercepts, self.scaling.counted(problems))
        for part, places in zip(self.parts, self.scaling.places(problems), strict=True):
            sums.add(part, places)
        return self.scaling.finish(problems, points, sums, self.targets)


def _halved(images: Tensor) -> Tensor:
    n_rows, n_features = images.shape
    halves = torch.zeros(rounded_up(n_rows, _ROWS), rounded_up(n_features + 1, _COLUMNS), dtype=torch.bfloat16)
    halves[:n_rows, :n_features] = images
    halves[:n_rows, n_features] = 1.0
    return halves


def rounded_up(size: int, step: int) -> int:
    """Return the smallest multiple of `step` that is not below `size`."""
    return -(-size // step) * step
