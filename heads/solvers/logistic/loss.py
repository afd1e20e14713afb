"""Cross-entropy of one linear model for each fold, on images that folds share: two products give loss and slopes.

Images lie part after part: those of a part are fitted on by the same folds. Scores are (n_classes, n_folds, n_images)
for each part: a softmax over the first axis runs along the images, ten times as fast as over the last.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from headstart.heads.solvers.logistic.scaling import WeightScaling
    from headstart.heads.solvers.sums import PartedImages

_SMALLEST_LOG = -80.0  # numbers below 1e-38 take the processor a hundred times as long
_PARTS_A_FOLD = 2  # with more, products are so small that one is made for all images, some of which count nothing


@dataclass(frozen=True, kw_only=True)
class Part:
    """Images that some folds are fitted on.

    Parameters
    ----------
    folds : int64 tensor of shape (n_folds,)
        Among those of the loss.
    features : float32 tensor of shape (n_images, n_features)
        Less their centre.
    rows : slice
        Of all images, where they lie.
    codes : int64 tensor of shape (n_images,)
        Classes, 0 … n_classes - 1.
    counted : float32 tensor of shape (n_folds, n_images)
        How much each image counts.
    """

    folds: Tensor
    features: Tensor
    rows: slice
    codes: Tensor
    counted: Tensor


@dataclass(frozen=True, kw_only=True)
class Point:
    """Weights of each fold, and what was found there.

    Parameters
    ----------
    weights : float32 tensor of shape (n_folds, n_params)
        Of features standardised by the fold's images, and the intercept, class after class.
    scores, residuals : sequence of float32 tensor of shape (n_classes, n_folds, n_images)
        Of each part. Residuals are probabilities less 1 for the true class, as often as the image counts.
    loss : float64 tensor of shape (n_folds,)
        Sum over images.
    slopes : float32 tensor of shape (n_folds, n_params)
        Its derivatives by the weights.
    """

    weights: Tensor
    scores: Sequence[Tensor]
    residuals: Sequence[Tensor]
    loss: Tensor
    slopes: Tensor


@dataclass(frozen=True, kw_only=True)
class FoldLoss:
    """Sums of cross-entropies over the images of each fold, without a penalty.

    Parameters
    ----------
    scaling : WeightScaling
        With one problem for each of all folds, whose C is 1.
    folds : int64 tensor of shape (n_folds,)
        Those that are meant.
    parts : tuple of Part
    features : float32 tensor of shape (n_images, n_features)
        Of all parts.
    halves : bfloat16 tensor of shape (n_images, n_features + 1), or None
        The features, and a one for the intercept, for `near`.
    """

    scaling: WeightScaling
    folds: Tensor
    parts: tuple[Part, ...]
    features: Tensor
    halves: Tensor | None

    @classmethod
    def of_images(cls, images: PartedImages, scaling: WeightScaling) -> FoldLoss:
        """Return the loss of all folds that images were parted by."""
        X, halves, folds = torch.from_numpy(images.features), None, torch.arange(scaling.n_problems)
        if has_fast_bfloat16():
            halves = torch.cat([X.bfloat16(), torch.ones(len(X), 1, dtype=torch.bfloat16)], dim=1)
        parts = tuple(_parts(images, scaling.counted(folds)))
        return cls(scaling=scaling, folds=folds, parts=parts, features=X, halves=halves)

    @cached_property
    def totals(self) -> Tensor:
        """Sum of what the images of each fold count, float64 (n_folds,)."""
        totals = torch.zeros(len(self.folds), dtype=torch.float64)
        for part in self.parts:
            totals[part.folds] += part.counted.sum(dim=1, dtype=torch.float64)
        return totals

    def of(self, places: Tensor) -> FoldLoss:
        """Return the loss of the folds at some places."""
        if len(places) == len(self.folds):
            return self
        return replace(self, folds=self.folds[places], parts=tuple(_some(self.parts, places)))

    def of_point(self, point: Point, places: Tensor) -> Point:
        """Return for the folds at some places what was found at a point."""
        if len(places) == len(self.folds):
            return point
        kept = [_kept(part, places)[0] for part in self.parts]
        return Point(
            weights=point.weights[places],
            scores=[one[:, own] for one, own in zip(point.scores, kept, strict=True) if len(own)],
            residuals=[one[:, own] for one, own in zip(point.residuals, kept, strict=True) if len(own)],
            loss=point.loss[places],
            slopes=point.slopes[places],
        )

    def exact(self, weights: Tensor, scores: Sequence[Tensor] | None = None) -> Point:
        """Evaluate at weights (n_folds, n_params) in float32; as `near`."""
        of_features, intercepts = self.scaling.of_features(self.folds, weights)
        found, by_weight, by_intercept = _Sums(weights), torch.zeros_like(of_features), torch.zeros_like(intercepts)
        for number, part in enumerate(self.parts):
            if scores is None:
                own, start = of_features[:, part.folds], intercepts[:, part.folds].reshape(-1, 1)
                of_part = torch.addmm(start, own.flatten(0, 1), part.features.T).view(*own.shape[:2], -1)
            else:
                of_part = scores[number]
            residuals = found.add(part, of_part)
            by_weight[:, part.folds] += (residuals.flatten(0, 1) @ part.features).view(*residuals.shape[:2], -1)
            by_intercept[:, part.folds] += residuals.sum(dim=2)
        return found.point(self.scaling.slopes(self.folds, by_weight, by_intercept))

    def near(self, anchor: Point, weights: Tensor, scores: Sequence[Tensor] | None = None) -> Point:
        """Evaluate at weights near an anchor, from bfloat16 products of what changed since.

        Rounding a product to bfloat16 costs 0.4 % of it. Here that is 0.4 % of the change since the anchor, so that a
        search that renews it a few times ends where one in float32 ends.

        Parameters
        ----------
        anchor : Point
        weights : float32 tensor of shape (n_folds, n_params)
        scores : sequence of float32 tensor of shape (n_classes, n_folds, n_images), optional
            Of each part at the weights, where they are known.
        """
        assert self.halves is not None, "bfloat16 is not used here"  # noqa: S101 - for the type checker
        of_features, intercepts = self.scaling.change(self.folds, weights - anchor.weights)
        found, change = _Sums(weights), torch.cat([of_features, intercepts[..., None]], dim=2).bfloat16()
        moves = torch.zeros(*intercepts.shape, len(self.features), dtype=torch.bfloat16)
        for number, (part, before) in enumerate(zip(self.parts, anchor.scores, strict=True)):
            if scores is None:
                moved = change[:, part.folds].flatten(0, 1) @ self.halves[part.rows].T
                of_part = moved.view(before.shape).float().add_(before)
            else:
                of_part = scores[number]
            moves[:, part.folds, part.rows] = (found.add(part, of_part) - anchor.residuals[number]).bfloat16()
        # One product for all parts, as the sum over images is what is rounded to bfloat16.
        slopes = (moves.flatten(0, 1) @ self.halves).view(change.shape).float()
        return found.point(anchor.slopes + self.scaling.slopes(self.folds, slopes[..., :-1], slopes[..., -1]))


class _Sums:
    """Scores, residuals and losses of one part after another, at some weights (n_folds, n_params)."""

    def __init__(self, weights: Tensor) -> None:
        self._weights = weights
        self._loss = torch.zeros(len(weights), dtype=torch.float64)
        self._scores: list[Tensor] = []
        self._residuals: list[Tensor] = []

    def add(self, part: Part, scores: Tensor) -> Tensor:
        """Add the losses of a part's scores, and return its residuals."""
        loss, residuals = _cross_entropy(scores, part)
        self._loss[part.folds] += loss
        self._scores.append(scores)
        self._residuals.append(residuals)
        return residuals

    def point(self, slopes: Tensor) -> Point:
        """Return the point of all parts, with its derivatives (n_folds, n_params)."""
        return Point(
            weights=self._weights, scores=self._scores, residuals=self._residuals, loss=self._loss, slopes=slopes
        )


def _cross_entropy(scores: Tensor, part: Part) -> tuple[Tensor, Tensor]:
    """Return the sums over images (n_folds,), float64, and the residuals of scores."""
    true = part.codes.expand(1, scores.shape[1], -1)
    shares = (scores - scores.amax(dim=0)).clamp_(min=_SMALLEST_LOG).exp_()  # of probabilities
    # The true class is left out, not taken off: near a perfect fit all but its probability would be rounding.
    own = shares.gather(0, true)[0]
    others = shares.scatter_(0, true, 0.0).sum(dim=0)
    each = torch.log1p(others / own)
    factors = part.counted / own.add_(others)
    residuals = shares.mul_(factors).scatter_(0, true, (-others * factors)[None])
    return (each * part.counted).sum(dim=1, dtype=torch.float64), residuals


def _parts(images: PartedImages, by_class: Tensor | None) -> Iterator[Part]:
    """Yield parts, of which an image of each class counts (n_folds, n_classes), or 1."""
    codes, fits = torch.from_numpy(images.codes), torch.from_numpy(images.parts.fits)
    X, n_folds = torch.from_numpy(images.features), len(fits)
    many = fits.shape[1] > _PARTS_A_FOLD * n_folds
    for number, rows in enumerate([slice(0, len(X))] if many else images.stretches()):
        folds = torch.arange(n_folds) if many else torch.nonzero(fits[:, number])[:, 0]
        counted = torch.ones(len(folds), len(codes[rows]))
        if many:
            counted = fits.float()[:, torch.from_numpy(images.parts.of_image).long()]
        if by_class is not None:
            counted *= by_class[folds][:, codes[rows]]
        yield Part(folds=folds, features=X[rows], rows=rows, codes=codes[rows], counted=counted)


def _kept(part: Part, folds: Tensor) -> tuple[Tensor, Tensor]:
    """Return where among a part's folds some are, sorted, and where those stand among the some."""
    own = torch.nonzero(torch.isin(part.folds, folds))[:, 0]
    return own, torch.searchsorted(folds, part.folds[own])


def _some(parts: Sequence[Part], folds: Tensor) -> Iterator[Part]:
    for part in parts:
        own, places = _kept(part, folds)
        if len(own):
            yield replace(part, folds=places, counted=part.counted[own])


def has_fast_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 matrices in hardware."""
    # torch has no public name for these: torch.cpu.amp tells what autocast supports, which is everywhere.
    return bool(torch.cpu._is_amx_tile_supported())  # noqa: SLF001 - see above
