"""Sets of classes that hold the true one as often as was asked: split conformal prediction, by LAC, APS or RAPS.

Of images that a head was not fitted on, each true class has a score: the higher, the worse it fits. The quantile of
these scores bounds the classes that a new image may have. Whatever the head is worth, sets then hold the true class of
a new image with the probability asked for, if it comes from where the calibrating images come from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

SET_METHODS = ("lac", "aps", "raps")
PENALTY, FREE_RANKS = 0.1, 1
"""RAPS: so much is added for every class after so many. Fixed beforehand: chosen on the images that calibrate, the
scores of these would no longer be like those of new ones."""


@dataclass(frozen=True)
class ConformalSets:
    """Thresholds of the scores of classes, which say which of them belong to an image's set.

    Parameters
    ----------
    method : {"lac", "aps", "raps"}
    coverage : float
        Probability with which a set holds the true class.
    by_class : bool
        Whether that holds for the images of each class, and not only over all of them.
    thresholds : float64 ndarray of shape (n_classes,)
        Highest score of each class that is in a set; all are the same without `by_class`.
    n_images : int
        That calibrated them.
    """

    method: str
    coverage: float
    by_class: bool
    thresholds: Doubles
    n_images: int

    def of(self, probability: ArrayLike, draws: ArrayLike) -> NDArray[np.bool_]:
        """Return the set of each image as bools (n_images, n_classes).

        A set of LAC may be empty: no class fits well enough. Those of APS and RAPS hold the most probable class at
        least, and cover a little more for it.

        Parameters
        ----------
        probability : array of shape (n_images, n_classes)
            Or any scores of classes that were also calibrated with.
        draws : array of shape (n_images,)
            From 0 to 1, see `draws_of`.
        """
        columns = np.asarray(probability, dtype=np.float64)
        inside = conformity(columns, draws, self.method) <= self.thresholds
        if self.method != "lac":
            inside[np.arange(len(columns)), columns.argmax(axis=1)] = True
        return np.asarray(inside)


def fit_sets(
    y: ArrayLike,
    probability: ArrayLike,
    draws: ArrayLike,
    *,
    coverage: float,
    method: str = "lac",
    by_class: bool = False,
) -> ConformalSets:
    """Return the sets that hold the true class of new images with a probability of `coverage`.

    Parameters
    ----------
    y : int array of shape (n_images,)
        Classes, 0 … n_classes - 1.
    probability : array of shape (n_images, n_classes)
        Of images that the head was not fitted on; as it gives them, without a temperature that was fitted on these.
    draws : array of shape (n_images,)
        From 0 to 1, see `draws_of`.
    coverage : float
        Above 0, below 1.
    method : {"lac", "aps", "raps"}
        LAC gives the smallest sets; APS and RAPS larger ones for images that are harder.
    by_class : bool
        Threshold of its own for each class, by its own images (Mondrian).

    Raises
    ------
    DataError
        There are too few images, or too few of a class, for the coverage.

    References
    ----------
    Sadinle, Lei & Wasserman, "Least ambiguous set-valued classifiers with bounded error levels", JASA 114, 2019 (LAC).
    Romano, Sesia & Candès, "Classification with valid and adaptive coverage", NeurIPS 2020 (APS). Angelopoulos, Bates,
    Jordan & Malik, "Uncertainty sets for image classifiers using conformal prediction", ICLR 2021 (RAPS). Vovk,
    "Conditional validity of inductive conformal predictors", ACML 2012 (by class).
    """
    columns, labels = np.asarray(probability, dtype=np.float64), np.asarray(y).astype(np.intp)
    if columns.ndim != 2 or labels.shape != columns.shape[:1] or not np.isfinite(columns).all():
        raise DataError(
            f"labels have shape {labels.shape}, probabilities {columns.shape}; expected (n_images,) and finite "
            "(n_images, n_classes): calibrate on images that the head was not fitted on"
        )
    if method not in SET_METHODS:
        raise DataError(f"no sets are called {method!r}; choose one of {', '.join(SET_METHODS)}")
    scores = conformity(columns, draws, method)[np.arange(len(labels)), labels]
    parts = [scores[labels == code] for code in range(columns.shape[1])] if by_class else [scores]
    thresholds = np.array([quantile_of(part, coverage) for part in parts])
    return ConformalSets(
        method, coverage, by_class, np.broadcast_to(thresholds, columns.shape[1]).copy(), n_images=len(labels)
    )


def conformity(probability: Doubles, draws: ArrayLike, method: str) -> Doubles:
    """Return how badly each class fits each image, (n_images, n_classes).

    LAC: 1 - p. APS: the probability of all classes that are more probable, and a drawn part of its own. RAPS: the same,
    and a penalty by rank.
    """
    if method == "lac":
        return 1.0 - probability
    order = np.argsort(-probability, axis=1, kind="stable")
    ordered = np.take_along_axis(probability, order, axis=1)
    before = np.cumsum(ordered, axis=1) - ordered
    found = before + np.asarray(draws, dtype=np.float64)[:, None] * ordered
    if method == "raps":
        found += PENALTY * np.maximum(0, np.arange(1, probability.shape[1] + 1) - FREE_RANKS)
    scores = np.empty_like(found)
    np.put_along_axis(scores, order, found, axis=1)
    return scores


def quantile_of(scores: ArrayLike, share: float) -> float:
    """Return the bound that a new score keeps to with a probability of `share`: the ⌈(n + 1) share⌉-th smallest of n.

    Raises
    ------
    DataError
        There are fewer scores than `fewest_images`.
    """
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    number = math.ceil(round((len(ordered) + 1) * share, 9))
    if not 0 < share < 1 or not 0 < number <= len(ordered):
        raise DataError(
            f"{len(ordered)} images were given for a share of {share:g}, expected one between 0 and 1, and for this at "
            f"least {fewest_images(share) if 0 < share < 1 else 'some'}; ask for less"
        )
    return float(ordered[number - 1])


def fewest_images(share: float) -> int:
    """Return how many images it takes to bound a `share` of new ones: 1 / (1 - share) - 1, and one at least."""
    return max(1, math.ceil(round(share / (1 - share), 9)))


def highest_share(n_images: int) -> float:
    """Return the highest share of new images that so many can bound, rounded down to three digits."""
    return math.floor(round(1000 * n_images / (n_images + 1), 6)) / 1000


def draws_of(digests: NDArray[np.uint8]) -> Doubles:
    """Return a number from 0 to 1 for each image, (n_images,), that follows from its digest (n_images, 32) alone.

    APS draws which of its sets takes one class more. So the same image always has the same set.
    """
    first = np.ascontiguousarray(digests[:, :8]).view(">u8").ravel()
    return np.asarray(first.astype(np.float64) / 2.0**64)
