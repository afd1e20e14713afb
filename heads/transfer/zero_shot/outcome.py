"""Accuracy by class among the unseen and among all classes, the harmonic mean, and their intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.scoring import Score, score_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Codes = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How test images were told, in accuracies averaged over classes.

    Attributes
    ----------
    zero_shot : Score or None
        Images of unseen classes among the unseen classes; None where these are fewer than two, or have no images.
    unseen, seen : Score or None
        Of either kind among all classes; None where there are no such images.
    harmonic : Score or None
        Harmonic mean of both.
    """

    zero_shot: Score | None
    unseen: Score | None
    seen: Score | None
    harmonic: Score | None


def score_outcome(scores: Doubles, true: Codes, unseen: Codes, groups: NDArray[Any], *, seed: int = 0) -> Outcome:
    """Score test images.

    Parameters
    ----------
    scores : float64 array of shape (n_images, n_classes)
        Of every class.
    true : int array of shape (n_images,)
    unseen : int array
        Classes that were not fitted on.
    groups : int array of shape (n_images,)
        Images of one group count together in the intervals.
    seed : int
    """
    of_unseen = np.isin(true, unseen)
    predicted = scores.argmax(axis=1)
    among = np.asarray(unseen)[scores[:, unseen].argmax(axis=1)]

    def score(answers: Codes, rows: NDArray[np.bool_]) -> Score | None:
        return score_by_class(true[rows], answers[rows], scores.shape[1], groups[rows], seed=seed)

    of_one, of_other = score(predicted, of_unseen), score(predicted, ~of_unseen)
    return Outcome(
        zero_shot=score(among, of_unseen) if len(unseen) > 1 else None,
        unseen=of_one,
        seen=of_other,
        harmonic=harmonic_mean(of_one, of_other) if of_one and of_other else None,
    )


def score_by_class(true: Codes, predicted: Codes, n_classes: int, groups: NDArray[Any], *, seed: int) -> Score | None:
    """Return the accuracy averaged over classes, with its interval; None of no images."""
    if not len(true):
        return None
    together = None if len(np.unique(groups)) == len(groups) else groups
    return score_predictions(true, None, predicted, n_classes, groups=together, seed=seed)["balanced_accuracy"]


def harmonic_mean(unseen: Score, seen: Score) -> Score:
    """Return the harmonic mean of two accuracies with its interval, by the errors that their own ends stand for.

    Each end moves by the root of the squared moves of both accuracies to their ends, times the mean's slopes.

    References
    ----------
    Zou & Donner, "Construction of confidence limits about effect measures: a general approach", 2008.
    """
    u, s = unseen.value, seen.value
    if u + s == 0:
        return Score(0.0, 0.0, _mean(unseen.high, seen.high))
    slopes = 2 * (s / (u + s)) ** 2, 2 * (u / (u + s)) ** 2
    value = _mean(u, s)
    down = math.hypot(slopes[0] * (u - unseen.low), slopes[1] * (s - seen.low))
    up = math.hypot(slopes[0] * (unseen.high - u), slopes[1] * (seen.high - s))
    return Score(value, max(0.0, value - down), min(1.0, value + up))


def _mean(u: float, s: float) -> float:
    return 2 * u * s / (u + s) if u + s > 0 else 0.0
