"""Rivals of a zero-shot model: the same with shuffled class vectors, and the unseen class nearest to a seen one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from headstart.heads.transfer.zero_shot.classifier import SCALE
from headstart.heads.transfer.zero_shot.selection import mean_recall
from headstart.heads.transfer.zero_shot.solution import Solution, eszsl_targets, score_classes
from headstart.heads.transfer.zero_shot.vectors import standardise, unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Codes = NDArray[np.intp]

SHUFFLES = 200


@dataclass(frozen=True)
class Shuffled:
    """Accuracies of a model whose class vectors were dealt out anew.

    Attributes
    ----------
    mean, low, high : float
        Over shuffles: their mean, and the ends of the middle 95 %.
    p_value : float
        How often a shuffle does at least as well; the model itself counts as one of them.
    """

    mean: float
    low: float
    high: float
    p_value: float


def shuffle_vectors(
    fitted: tuple[NDArray[Any], Codes],
    tested: tuple[NDArray[Any], Codes],
    vectors: Doubles,
    *,
    gamma: float | None,
    lam: float | None,
    unseen: Codes,
    seed: int,
) -> Shuffled:
    """Fit again and again with the vectors dealt out to other classes, seen and unseen ones alike.

    A model that tells unseen classes by what their vectors say does worse then; what it owes to anything else,
    it keeps.

    Parameters
    ----------
    fitted, tested : tuple of array (n_images, n_features) and int array (n_images,)
        Features and classes of the images that are fitted on, and of images of unseen classes.
    vectors : float64 array of shape (n_classes, n_attributes)
    gamma, lam : float or None
        Hyper-parameters, which stay; None of both is text in the space of the features, and of `lam` semantic ridge.
    unseen : int array
    seed : int
    """
    (X, y), (X_test, true) = fitted, tested
    seen = np.unique(y)
    rng = np.random.default_rng(seed)
    if gamma is None:
        along = unit(X_test)
    else:
        mean = X.mean(axis=0, dtype=np.float64)
        solution = Solution(unit(X - mean), np.searchsorted(seen, y), len(seen))
        along = solution.shares(solution.along(unit(X_test - mean)), gamma)
    order = [np.arange(len(vectors)), *(rng.permutation(len(vectors)) for _ in range(SHUFFLES))]
    scored = [
        mean_recall(true, unseen[_scores(along, vectors[one], (gamma, lam), seen, unseen).argmax(axis=1)])
        for one in order
    ]
    own, others = scored[0], np.array(scored[1:])
    low, high = np.quantile(others, [0.025, 0.975])
    as_good = 1 + int((others >= own - 1e-9).sum())
    return Shuffled(float(others.mean()), float(low), float(high), as_good / (1 + SHUFFLES))


def _scores(
    along: Doubles, vectors: Doubles, penalties: tuple[float | None, float | None], seen: Codes, unseen: Codes
) -> Doubles:
    gamma, lam = penalties
    if gamma is None:
        return np.asarray(SCALE * along @ unit(vectors[unseen]).T)
    S = standardise(vectors, seen)
    targets = S[seen] if lam is None else eszsl_targets(S[seen], lam)
    return score_classes(along @ targets, S[unseen], cosine=lam is None)


def nearest_seen(
    fitted: tuple[NDArray[Any], Codes], X: NDArray[Any], vectors: Doubles, unseen: Codes
) -> tuple[Codes, Codes]:
    """Return of each image the seen class whose mean is nearest, and the unseen class whose vector is nearest to its.

    Nothing is learned of attributes: where a model does no better, the vectors say only which classes are alike.

    Parameters
    ----------
    fitted : tuple of array (n_images, n_features) and int array (n_images,)
    X : float array of shape (n_images, n_features)
    vectors : float64 array of shape (n_classes, n_attributes)
    unseen : int array
    """
    rows, y = fitted
    seen, codes = np.unique(y, return_inverse=True)
    centre = rows.mean(axis=0, dtype=np.float64)
    of_class = csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(len(seen), len(codes)))
    means = unit(of_class @ unit(rows - centre))  # of a sum it is that of the mean
    S = standardise(vectors, seen)
    alike = unseen[(S[seen] @ S[unseen].T).argmax(axis=1)]
    near = (unit(X - centre) @ means.T).argmax(axis=1)
    return seen[near], alike[near]
