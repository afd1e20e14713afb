"""Quick scores of features: nearest neighbours and ridge, each image told by the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headstart.heads.errors import DataError
from headstart.heads.transfer.evidence import log_evidence
from headstart.heads.transfer.separation import h_score
from headstart.heads.transfer.spectrum import Spectrum, decompose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

NEIGHBOURS = (1, 5, 20)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of ridge, by the mean of the squared singular values."""

_AT_ONCE = 1024  # images whose neighbours are looked for at once


@dataclass(frozen=True, kw_only=True)
class QuickScores:
    """Quick scores of one feature set.

    Attributes
    ----------
    knn, ridge : float
        Share of images whose class the others tell, or R² of numbers; of the best of a few neighbours and penalties.
    neighbours : int
        That did best.
    right : float64 ndarray of shape (n_images,)
        Of each image, whether the better of both was right; of numbers, its share of the R².
    log_evidence : float
    h_score : float or None
        None of numbers.
    """

    knn: float
    ridge: float
    neighbours: int
    right: Doubles
    log_evidence: float
    h_score: float | None

    @property
    def score(self) -> float:
        """The better of both, which the ranking goes by."""
        return max(self.knn, self.ridge)


def quick_scores(X: NDArray[Any], y: NDArray[Any], groups: NDArray[Any], n_classes: int) -> QuickScores:
    """Score features by how well each image is told by those of other groups.

    Parameters
    ----------
    X : float array of shape (n_images, n_features)
    y : ndarray of shape (n_images,)
        Classes from 0 as int, or numbers where `n_classes` is 0.
    groups : int ndarray of shape (n_images,)
        Images of one group say nothing of each other.
    n_classes : int

    Raises
    ------
    DataError
        All images are of one group.
    """
    if len(np.unique(groups)) < 2:
        raise DataError("a ranking needs images of at least two groups, found one; give images other groups")
    targets = np.eye(n_classes)[y] if n_classes else np.asarray(y, np.float64)[:, None]
    mean = targets.mean(axis=0)
    near = neighbours_of(X, groups, max(NEIGHBOURS))
    voted = [_mean_of_first(targets, near, k) for k in NEIGHBOURS]
    spectrum = decompose(X, centred=True)
    solved = ridge_without_own_group(spectrum, targets, groups)
    right = [[_rightness(one, targets, mean, n_classes) for one in some] for some in (voted, solved)]
    best = [int(np.argmax([one.mean() for one in some])) for some in right]
    knn, ridge = (some[at] for some, at in zip(right, best, strict=True))
    return QuickScores(
        knn=float(knn.mean()),
        ridge=float(ridge.mean()),
        neighbours=NEIGHBOURS[best[0]],
        right=max(knn, ridge, key=np.mean),
        log_evidence=log_evidence(spectrum, targets - mean),
        h_score=h_score(spectrum, y) if n_classes else None,
    )


def neighbours_of(X: NDArray[Any], groups: NDArray[Any], k: int) -> NDArray[np.intp]:
    """Return the images of other groups that are nearest to each by cosine, the nearest first, (n_images, k).

    Where fewer than k are of other groups, the last ones are -1.
    """
    rows = np.asarray(X, np.float32)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    k = min(k, len(rows) - 1)
    near = np.empty((len(rows), k), np.intp)
    for first in range(0, len(rows), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        cosine = rows[some] @ rows.T
        cosine[groups[some, None] == groups] = -np.inf
        values, found = torch.from_numpy(cosine).topk(k, dim=1)  # far faster than numpy's partition
        near[some] = np.where(np.isinf(values.numpy()), -1, found.numpy())
    return near


def ridge_without_own_group(spectrum: Spectrum, targets: Doubles, groups: NDArray[Any]) -> list[Doubles]:
    """Return ridge's prediction for each image without its group, for each of `PENALTIES`, (n_images, n_targets).

    With P the projection of ridge with an intercept, and B the rows of a group, the others predict for them
    y_B - (1 - P_BB)⁻¹ (y_B - (P y)_B): leaving out takes no second fit.

    Parameters
    ----------
    spectrum : Spectrum
        Of centred features.
    targets : float64 ndarray of shape (n_images, n_targets)
    groups : int ndarray of shape (n_images,)
    """
    squares, U, mean = spectrum.squares, spectrum.vectors, targets.mean(axis=0)
    along, n, members = U.T @ targets, len(targets), _members_of_several(groups)
    predicted = []
    for penalty in PENALTIES:
        kept = squares / (squares + penalty * squares.mean()) if len(squares) else squares
        residual = targets - mean - U @ (kept[:, None] * along)
        without = residual / (1 - 1 / n - (U**2) @ kept)[:, None]
        for rows in members:
            own = np.eye(len(rows)) - 1 / n - (U[rows] * kept) @ U[rows].T
            without[rows] = np.linalg.solve(own, residual[rows])
        predicted.append(targets - without)
    return predicted


def _members_of_several(groups: NDArray[Any]) -> Sequence[NDArray[np.intp]]:
    """Return the rows of each group that has more than one."""
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return [rows for rows in parts if len(rows) > 1]


def _mean_of_first(targets: Doubles, near: NDArray[np.intp], k: int) -> Doubles:
    """Return the mean target of the first neighbours; of classes with as many votes, the nearer is ahead by a hair."""
    first = near[:, :k]
    weights = (first >= 0) * (1 - 1e-6 * np.arange(first.shape[1]))
    return np.asarray(np.einsum("ij,ijk->ik", weights, targets[first]) / np.maximum(weights.sum(axis=1), 1e-9)[:, None])


def _rightness(predicted: Doubles, targets: Doubles, mean: Doubles, n_classes: int) -> Doubles:
    """Return 1 for each image whose class is predicted, else 0; of numbers its share of R²."""
    if n_classes:
        return np.asarray(predicted.argmax(axis=1) == targets.argmax(axis=1), np.float64)
    spread = float(((targets - mean) ** 2).mean())
    return np.asarray(1 - ((targets - predicted) ** 2)[:, 0] / max(spread, np.finfo(np.float64).tiny))
