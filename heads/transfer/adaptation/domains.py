"""Two domains as arrays, and how well a classifier tells their images apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from headstart.heads.errors import DataError
from headstart.heads.folds import cross_validate
from headstart.heads.solvers.logistic import solve_logreg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]
    Floats = NDArray[np.float32]

FEWEST = 10
"""Images that each domain needs."""

FOLDS = 5
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True, kw_only=True)
class Domains:
    """Labelled images of a source, and images of a target without labels.

    Parameters
    ----------
    source : float32 ndarray of shape (n_source, n_features)
    y : int ndarray of shape (n_source,)
        Classes, 0 … n_classes - 1.
    target : float32 ndarray of shape (n_target, n_features)
    groups : int ndarray of shape (n_source + n_target,)
        Images with the same number stay together in every split; those of the source first.
    n_classes : int
    """

    source: Floats
    y: NDArray[np.intp]
    target: Floats
    groups: NDArray[np.intp]
    n_classes: int

    def __post_init__(self) -> None:
        """Refuse domains that are too small to be compared.

        Raises
        ------
        DataError
            One has fewer than `FEWEST` images.
        """
        for name, rows in (("source", self.source), ("target", self.target)):
            if len(rows) < FEWEST:
                raise DataError(
                    f"the {name} has {len(rows)} images, expected at least {FEWEST}: its mean and spread could not be "
                    "told; add images"
                )

    @cached_property
    def spectra(self) -> list[tuple[Doubles, Doubles]]:
        """Eigenvalues and eigenvectors of both covariances, which take longer than all that is made of them."""
        each = (np.cov(one.astype(np.float64), rowvar=False) for one in (self.source, self.target))
        return [(found.eigenvalues, found.eigenvectors) for found in map(np.linalg.eigh, map(np.atleast_2d, each))]

    @property
    def source_groups(self) -> NDArray[np.intp]:
        """Groups of the source's images."""
        return self.groups[: len(self.source)]


@dataclass(frozen=True, kw_only=True)
class ToldApart:
    """Cross-fitted classifier of domains: each image is judged by a fit on images of other groups.

    Attributes
    ----------
    accuracy : float
        Mean over both domains of the share that is told right, .5 where they cannot be told apart.
    probability : float64 ndarray of shape (n_source + n_target,)
        Of the target.
    C : float
        Of the classifier, which has the least cross-entropy of a few.
    """

    accuracy: float
    probability: Doubles
    C: float


def tell_apart(
    source: NDArray[Any],
    target: NDArray[Any],
    groups: NDArray[np.intp],
    *,
    weights: Doubles | None = None,
    seed: int = 0,
) -> ToldApart:
    """Measure how well logistic regression tells two domains apart.

    Nothing but the domains is learned: no class is looked at. In many dimensions it is always right about images that
    no eye would tell apart, so an accuracy near 1 says little, and a lower one much.

    Parameters
    ----------
    source : float array of shape (n_source, n_features)
    target : float array of shape (n_target, n_features)
    groups : int ndarray of shape (n_source + n_target,)
    weights : float64 ndarray of shape (n_source,), optional
        How much each image of the source counts, in the fit and in the accuracy.
    seed : int
        Of the folds.
    """
    X = np.concatenate([source, target]).astype(np.float32)
    is_target = np.repeat([0, 1], [len(source), len(target)])
    folds = cross_validate(is_target, groups, np.arange(len(X)), FOLDS, seed, ["source", "target"])
    if weights is None:
        found = solve_logreg(X, is_target, 2, folds, [[{"C": C} for C in _STRENGTHS]] * len(folds))
        probability = np.empty((len(_STRENGTHS), len(X)))
        for (_, rows), of_fold in zip(folds, found, strict=True):
            probability[:, rows] = [one[:, 1] for one in of_fold]
        counted = np.ones(len(X))
        strengths: tuple[float, ...] = _STRENGTHS
    else:
        strengths, counted = (_STRENGTHS[2],), np.concatenate([weights, np.full(len(target), weights.mean())])
        probability = _weighted(X, is_target, counted, folds, strengths[0])[None]
    best = int(np.argmin([_cross_entropy(one, is_target, counted) for one in probability]))
    return ToldApart(
        accuracy=_balanced(probability[best], is_target, counted), probability=probability[best], C=strengths[best]
    )


def _weighted(X: Floats, is_target: NDArray[Any], counted: Doubles, folds: list[Any], C: float) -> Doubles:
    probability = np.empty(len(X))
    for fit, rows in folds:
        scaler = StandardScaler().fit(X[fit])
        model = LogisticRegression(C=C, max_iter=1000).fit(scaler.transform(X[fit]), is_target[fit], counted[fit])
        probability[rows] = model.predict_proba(scaler.transform(X[rows]))[:, 1]
    return probability


def _cross_entropy(probability: Doubles, is_target: NDArray[Any], counted: Doubles) -> float:
    right = np.where(is_target == 1, probability, 1 - probability)
    return float(-np.average(np.log(np.maximum(right, 1e-12)), weights=counted))


def _balanced(probability: Doubles, is_target: NDArray[Any], counted: Doubles) -> float:
    """Return the mean accuracy of both domains, each decided as if both had as many images; at least .5.

    Of domains whose means were made equal, a fold is told worse than by chance: what the others lack, it has.
    """
    right = (probability > np.average(is_target, weights=counted)) == (is_target == 1)
    shares = [np.average(right[is_target == at], weights=counted[is_target == at]) for at in (0, 1)]
    return max(0.5, float(np.mean(shares)))
