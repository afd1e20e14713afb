"""Accuracy of features on a few labels a class, draw by draw, so that two sets of features are compared on the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import t
from sklearn.linear_model import LogisticRegression

from headstart.heads.errors import DataError
from headstart.heads.scoring import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Rows = NDArray[np.intp]

_C = 10.0  # of features whose rows have a mean square length of 1


@dataclass(frozen=True)
class Draws:
    """Rows that each draw fits on, and those that it scores: none of them of a group that it fits on."""

    fit: Sequence[Rows]
    score: Sequence[Rows]


@dataclass(frozen=True)
class Measured:
    """A mean over draws, with the ends of its interval: over new draws, and on new images."""

    value: float
    low: float
    high: float


def draw_few(
    y: NDArray[np.int64], groups: NDArray[Any], fit: NDArray[np.bool_], score: NDArray[np.bool_],
    *, shots: int, draws: int, seed: int,
) -> Draws:  # fmt: skip
    """Draw so many images of each class, so many times.

    Parameters
    ----------
    y, groups : int arrays (n_images,)
        Classes from 0; images of one group never stand on both sides.
    fit, score : bool arrays (n_images,)
        Images that may be drawn, and that may be scored; one may be both.

    Raises
    ------
    DataError
        A class has not so many, or nothing is left to score.
    """
    few = np.bincount(y[fit], minlength=int(y.max()) + 1).min()
    if few < shots:
        raise DataError(f"a class has {few} images to draw {shots} labels from; give a lower --shots")
    fitted, scored = [], []
    for draw in range(draws):
        order = np.random.default_rng([seed, draw]).permutation(np.flatnonzero(fit))
        place = _place_in_class(y[order])
        rows = np.sort(order[place < shots])
        rest = np.flatnonzero(score & ~np.isin(groups, groups[rows]))
        if not len(rest):
            raise DataError(f"no image is left to score beside {shots} labels a class; give a lower --shots")
        fitted.append(rows)
        scored.append(rest)
    return Draws(fitted, scored)


def right_of(X: NDArray[Any], y: NDArray[np.int64], draws: Draws) -> NDArray[np.float64]:
    """Return which images each draw gets right, (n_draws, n_images); NaN where it does not score one.

    A logistic regression on features that are centred and brought to one length on the whole, which takes no labels.
    """
    rows = np.asarray(X, np.float64).reshape(len(X), -1)
    rows = rows - rows.mean(axis=0)
    rows /= max(float(np.sqrt((rows**2).sum(axis=1).mean())), np.finfo(np.float64).tiny)
    right = np.full((len(draws.fit), len(y)), np.nan)
    for number, (fit, score) in enumerate(zip(draws.fit, draws.score, strict=True)):
        # A penalised fit lies in the span of its rows, so that a few coordinates say the same as thousands of features.
        along = np.linalg.svd(rows[fit], full_matrices=False)[2].T
        model = LogisticRegression(C=_C, max_iter=1000).fit(rows[fit] @ along, y[fit])
        right[number, score] = model.predict(rows[score] @ along) == y[score]
    return right


def measured(right: NDArray[np.float64]) -> Measured:
    """Return the mean over draws of (n_draws, n_images), or of a difference of two such, with its interval.

    The variance is that between the draws' means and that between the images' means together, each of which holds a
    part of the other: the interval is rather too wide than too narrow.
    """
    of_draws = np.nanmean(right, axis=1)
    seen = ~np.isnan(right).all(axis=0)
    of_images = np.nanmean(right[:, seen], axis=0)
    variance = of_draws.var(ddof=1) / len(of_draws) + of_images.var(ddof=1) / len(of_images)
    reach = float(t.ppf(0.5 + CONFIDENCE / 2, len(of_draws) - 1) * np.sqrt(variance))
    value = float(of_draws.mean())
    return Measured(value, value - reach, value + reach)


def _place_in_class(labels: NDArray[np.int64]) -> Rows:
    """Return for each of some labels how many of the same stand before it."""
    order = np.argsort(labels, kind="stable")
    counts = np.bincount(labels)
    place = np.empty(len(labels), np.intp)
    place[order] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place
