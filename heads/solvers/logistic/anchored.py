"""Cross-entropy near a point, from bfloat16 products of what changed since: several times as fast as in float32.

Rounding a product to bfloat16 costs 0.4 % of it. Here that is 0.4 % of the change since the point where float32 was
used last, so that a search that renews this point a few times ends where one in float32 ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from headstart.heads.solvers.logistic.loss import SoftmaxLoss, rounded_up
from headstart.heads.solvers.logistic.softmax_sums import Block, SoftmaxSums, cross_entropy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

# Products are padded to few shapes: oneDNN writes a program for each, which takes as long as ten products.
_WIDTH = 32


class AnchoredLoss:
    """Approximation of a `SoftmaxLoss`, exact at the points where it is anchored and close in their neighbourhood.

    Parameters
    ----------
    exact : SoftmaxLoss
    anchors : float32 tensor of shape (n_problems, n_params)
        Points of all problems.
    """

    def __init__(self, exact: SoftmaxLoss, anchors: Tensor) -> None:
        self._exact, self._anchors = exact, anchors.clone()
        everyone = torch.arange(len(anchors))
        self._sums = SoftmaxSums(*exact.scaling.of_features(everyone, anchors), exact.scaling.counted(everyone))
        self._parts = []
        for blocks, halves, places in zip(exact.parts, exact.halves, exact.scaling.places(everyone), strict=True):
            held: list[tuple[Tensor, Tensor]] = []
            self._sums.add(blocks, places, held)
            self._parts.append(_Anchor(blocks, halves, everyone[places], held))

    def __call__(self, problems: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return values (n,), float64, and gradients (n, n_params) of n problems at their points, as `SoftmaxLoss`.

        A problem that is left out is not asked for again: what is held for it is dropped.
        """
        scaling = self._exact.scaling
        if len(problems) == len(self._anchors) and torch.equal(points, self._anchors):
            return scaling.finish(problems, points, self._sums, self._exact.targets)
        weights, intercepts = scaling.change(problems, points - self._anchors[problems])
        sums = SoftmaxSums(weights, intercepts)
        change = torch.cat([weights, intercepts[..., None]], dim=2)
        moves, counted = torch.zeros_like(change), scaling.counted(problems)
        for anchor, places in zip(self._parts, scaling.places(problems), strict=True):
            if len(places):
                own = None if counted is None else counted[places]
                loss, move = anchor.add(problems[places], change[:, places], own)
                sums.loss[places] += loss
                moves[:, places] += move
        sums.by_weight = moves[..., :-1] + self._sums.by_weight[:, problems]
        sums.by_intercept = moves[..., -1] + self._sums.by_intercept[:, problems]
        return scaling.finish(problems, points, sums, self._exact.targets)


class _Anchor:
    """Scores and probabilities (n_classes, n, n_images) of a part's blocks, for the problems (n,) that use it."""

    def __init__(
        self, blocks: Sequence[Block], halves: Sequence[Tensor], problems: Tensor, held: list[tuple[Tensor, Tensor]]
    ) -> None:
        self._true, self._halves, self._problems, self._held = [block.true for block in blocks], halves, problems, held

    def add(self, problems: Tensor, change: Tensor, counted: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the cross-entropies (n,) where weights and intercepts have changed by (n_classes, n, width).

        And what that changes of the derivatives by them. `counted` (n, n_classes) is how much images of a class count.
        """
        self._keep(problems)
        n_classes, n, width = change.shape
        n_rows = rounded_up(n_classes * n, _WIDTH)
        half_change = torch.zeros(n_rows, self._halves[0].shape[1], dtype=torch.bfloat16)
        half_change[: n_classes * n, :width] = change.flatten(0, 1)
        loss, move = torch.zeros(n, dtype=torch.float64), torch.zeros(n_classes * n, width)
        for images, true, (anchor_scores, anchor_probability) in zip(self._halves, self._true, self._held, strict=True):
            n_images = anchor_scores.shape[2]
            moved = (half_change @ images.T)[: n_classes * n, :n_images]
            scores = torch.add(anchor_scores, moved.view(n_classes, n, -1))
            some, probability = cross_entropy(scores, true, counted)
            loss += some
            # Zeros, and not whatever was there: products read on beyond the last row that counts.
            half_moves = torch.zeros(n_rows, len(images), dtype=torch.bfloat16)
            half_moves[: n_classes * n, :n_images] = probability.sub_(anchor_probability).flatten(0, 1)
            move += (half_moves @ images)[: n_classes * n, :width]
        return loss, move.view(n_classes, n, width)

    def _keep(self, problems: Tensor) -> None:
        if len(problems) < len(self._problems):
            at = torch.searchsorted(self._problems, problems)
            self._held = [(scores[:, at], probability[:, at]) for scores, probability in self._held]
            self._problems = problems
