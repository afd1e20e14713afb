"""Minima from the smallest C to the largest: a search starts where those before point to, and knows what they saw."""

from __future__ import annotations

from collections import deque
from math import log, prod
from typing import TYPE_CHECKING, NamedTuple

import torch

from headstart.heads.solvers.logistic.curvature import Curvature, curvature_at
from headstart.heads.solvers.logistic.lbfgs import Found, LbfgsMemory, Search

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from headstart.heads.solvers.logistic.lbfgs import Loss
    from headstart.heads.solvers.logistic.loss import FoldLoss, Point
    from headstart.heads.solvers.sums import Moments

_GAP = 1e-5  # of a loss: how far above its minimum it may be, by a curvature that is rather too large
_FEW = 0.01  # a loss below which few images make it, and the curvature that was drawn is too large by more
_LEAST = 0.1  # of the gap, for the smallest losses
_FARTHEST = 2.0  # as often as the last way, the way ahead that is guessed from it
_NEARER = 0.005  # of the distance, after which rounding to bfloat16 counts: the loss is anchored anew
_ROOM = 0.9  # of the tolerance: nearly all that arrive in bfloat16 have arrived when float32 looks
_SHORT = 0.05  # of a step: where no longer part of it leads down, rounding to bfloat16 hides where down is
_ANCHORS = 8
_STEPS = 300  # of a search; ten to twenty are usual
_PATIENCE = 20  # steps that rounding does not tell from standing still


class Path:
    """Searches of one C after another, for all folds at once.

    Parameters
    ----------
    loss : FoldLoss
    moments : Moments
        Of all images.
    tol : float
        Largest component of the gradient to stop at; little may be left to gain, too.
    """

    def __init__(self, loss: FoldLoss, moments: Moments, tol: float) -> None:
        self._loss, self._moments, self._tol = loss, moments, tol
        self._way: deque[_Minimum] = deque(maxlen=3)
        self._seen: _Seen | None = None

    def minimum(self, strength: float) -> tuple[Tensor, Tensor]:
        """Find the minima for a C above those before.

        Returns
        -------
        weights : float32 tensor of shape (n_folds, n_params)
            Of standardised features, as `Point` has them.
        failed : int64 tensor
            Folds whose search got nowhere, or not within a number of steps that none should need.
        """
        penalties = self._loss.scaling.penalties[self._loss.folds] / strength
        start = self._guess(log(strength), penalties)
        curvature = curvature_at(self._loss, start, float(penalties.mean()), self._moments)
        view = _View(self._loss, penalties, curvature, self._tol)
        search = Search(
            *start.weights.shape,
            start=curvature.points(start.weights),
            memory=view.recall(self._seen) if self._seen else None,
            first_lengths=None if curvature.is_known else self._loss.scaling.first_lengths[self._loss.folds],
            patience=_PATIENCE,
        )
        known = self._rounded(search, view, start) if self._loss.halves is not None else start
        failed = search.run(view.exact(known, search.points), 1.0, _STEPS)
        weights = curvature.weights(search.points)
        end = known if torch.equal(weights, known.weights) else self._loss.exact(weights)
        if len(failed):  # by the gradient alone: a gap may be too small for float32 to tell
            plain = _View(self._loss, penalties, Curvature(None), self._tol)
            failed = failed[plain.at(end, torch.arange(len(penalties))).distances[failed] > 1.0]
        self._way.append(_Minimum(log(strength), end))
        self._seen = view.seen(search.memory)
        return end.weights, failed

    def _rounded(self, search: Search, view: _View, anchor: Point) -> Point:
        """Search with bfloat16 as far as that leads; return what is found in float32 where it ends."""
        everyone = torch.arange(len(self._loss.folds))
        for _ in range(_ANCHORS):
            left = view.at(anchor, everyone).distances
            search.run(view.near(anchor, search.points), (_NEARER * left).clamp(min=_ROOM), _STEPS, _SHORT)
            anchor = self._loss.exact(view.curvature.weights(search.points))
            found = view.at(anchor, everyone).distances
            if (found <= 1.0).all() or (found > left / 2).any():
                break
        return anchor

    def _guess(self, place: float, penalties: Tensor) -> Point:
        """Return a point where the minimum may be: on by the logarithm of C, or the last one where that is lower."""
        if not self._way:
            return self._loss.exact(torch.zeros(len(self._loss.folds), self._loss.scaling.n_params))
        factors = _ahead([one.place for one in self._way], place)
        weights = _mixed(factors, [one.point.weights for one in self._way])
        scores = [_mixed(factors, some) for some in zip(*(one.point.scores for one in self._way), strict=True)]
        last, view = self._way[-1].point, _View(self._loss, penalties, Curvature(None), self._tol)
        found = (
            self._loss.exact(weights, scores) if self._loss.halves is None else self._loss.near(last, weights, scores)
        )
        everyone = torch.arange(len(self._loss.folds))
        return last if (view.at(found, everyone).values > view.at(last, everyone).values).any() else found


def _mixed(factors: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    mixed = values[0] * factors[0]
    for factor, value in zip(factors[1:], values[1:], strict=True):
        mixed.add_(value, alpha=factor)
    return mixed


def _ahead(places: Sequence[float], place: float) -> list[float]:
    """Return the factors with which values at one to three places add up to a guess of the value at a place beyond.

    Half way between a straight line and a parabola, which is nearer than either.
    """
    if len(places) > 1:
        place = min(place, places[-1] + _FARTHEST * (places[-1] - places[-2]))
    straight = [0.0] * (len(places) - 2) + _through(places[-2:], place)
    return [(one + other) / 2 for one, other in zip(straight, _through(places, place), strict=True)]


def _through(places: Sequence[float], place: float) -> list[float]:
    """Return Lagrange's factors of the polynomial through values at some places, at another."""
    return [prod((place - other) / (here - other) for other in places if other != here) for here in places]


class _Minimum(NamedTuple):
    """A minimum, and the logarithm of its C."""

    place: float
    point: Point


class _Seen(NamedTuple):
    """Steps by weights and changes of the gradient along them, (n_folds, size, n_params) each, and their penalties."""

    steps: Tensor
    changes: Tensor
    n_seen: Tensor
    penalties: Tensor


class _View:
    """The losses of one C, penalties (n_folds,) included, by points that curve alike, (n_folds, n_params)."""

    def __init__(self, loss: FoldLoss, penalties: Tensor, curvature: Curvature, tol: float) -> None:
        self._loss, self._penalties, self.curvature, self._tol = loss, penalties, curvature, tol

    def exact(self, known: Point, points: Tensor) -> Loss:
        """Return the loss in float32; what is known at some points is not computed again."""
        return self._seen_from(known, points, lambda folds, weights: self._loss.of(folds).exact(weights))

    def near(self, anchor: Point, points: Tensor) -> Loss:
        """Return the loss in bfloat16 near an anchor at some points."""

        def evaluate(folds: Tensor, weights: Tensor) -> Point:
            return self._loss.of(folds).near(self._loss.of_point(anchor, folds), weights)

        return self._seen_from(anchor, points, evaluate)

    def _seen_from(self, known: Point, known_at: Tensor, evaluate: Callable[[Tensor, Tensor], Point]) -> Loss:
        known_at = known_at.clone()

        def loss(folds: Tensor, points: Tensor) -> Found:
            known_here = torch.equal(points, known_at)
            return self.at(known if known_here else evaluate(folds, self.curvature.weights(points)), folds)

        return loss

    def at(self, point: Point, folds: Tensor) -> Found:
        """Return values, slopes and distances of n folds, (n,), at a point; a distance of 1 is near enough."""
        totals, pull = self._loss.totals[folds], self._pull(self._penalties[folds], point.weights)
        values = point.loss / totals + 0.5 * (pull * point.weights).sum(dim=1).double()
        gradients = torch.addcmul(pull, point.slopes, (1.0 / totals).float()[:, None])
        slopes = self.curvature.slopes(gradients)
        distances = gradients.abs().amax(dim=1) / self._tol
        if self.curvature.is_known:
            left = slopes.square().sum(dim=1) / 2  # Newton's decrement: the Hessian is about 1 here
            gaps = _GAP * (values / _FEW).clamp(_LEAST, 1.0)
            distances = torch.maximum(distances, left / values / gaps)
        return Found(values, slopes, distances)

    def seen(self, memory: LbfgsMemory) -> _Seen:
        """Return steps and changes of the gradient that a search remembers, by weights and so for any C."""
        steps, changes = self.curvature.weights(memory.steps), self.curvature.gradients(memory.changes)
        return _Seen(steps, changes, memory.count, self._penalties)

    def recall(self, seen: _Seen) -> LbfgsMemory:
        """Return them as a memory of points of this search, whose penalty is another."""
        changes = seen.changes + self._pull((self._penalties - seen.penalties)[:, None], seen.steps)
        return LbfgsMemory.of(self.curvature.points(seen.steps), self.curvature.slopes(changes), seen.n_seen)

    def _pull(self, penalties: Tensor, weights: Tensor) -> Tensor:
        """Return the derivatives (…, n_params) of penalties (…) by weights (…, n_params): intercepts cost nothing."""
        by_class = weights.view(*weights.shape[:-1], self._loss.scaling.n_classes, -1)
        pull = by_class * penalties[..., None, None]
        pull[..., -1] = 0.0
        return pull.view(weights.shape)
