"""Closed forms of zero-shot learning: one decomposition of the features serves every hyper-parameter.

Both methods solve W = (XᵀX + gI)⁻¹ Xᵀ T for rows of T that depend on an image's class alone. ESZSL takes
T = Y S (SᵀS + lI)⁻¹, with Y = 1 for an image's class and -1 for others, and scores a class by x W s; semantic ridge
takes T = S[y], and scores a class by the cosine of x W and s. g and l are the penalties gamma and lambda.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from headstart.heads.transfer.zero_shot.vectors import unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]


class Solution:
    """Features of the images that are fitted on, decomposed.

    Parameters
    ----------
    X : float array of shape (n_images, n_features)
    codes : int array of shape (n_images,)
        Classes, 0 … n_classes - 1.
    n_classes : int
    """

    def __init__(self, X: NDArray[Any], codes: NDArray[np.intp], n_classes: int) -> None:
        rows = np.asarray(X, np.float64)
        n, d = rows.shape
        values, vectors = np.linalg.eigh(rows.T @ rows if d <= n else rows @ rows.T)
        kept = values > max(n, d) * np.finfo(np.float64).eps * max(float(values.max(initial=0.0)), 0.0)
        self._squares, vectors = values[kept], vectors[:, kept]
        self._directions = vectors if d <= n else rows.T @ vectors / np.sqrt(self._squares)
        of_class = csr_array((np.ones(n), (codes, np.arange(n))), shape=(n_classes, n))
        self._sums = self._directions.T @ (of_class @ rows).T  # (k, n_classes)

    def weights(self, gamma: float, targets: NDArray[Any]) -> Doubles:
        """Return W (n_features, n_attributes) for the rows of T of each class, (n_classes, n_attributes)."""
        return np.asarray(self._directions @ (self._sums / (self._squares + gamma)[:, None]) @ targets)

    def along(self, X: NDArray[Any]) -> Doubles:
        """Return images (n_images, n_features) in the directions of the features, for `shares`."""
        return np.asarray(np.asarray(X, np.float64) @ self._directions)

    def shares(self, along: Doubles, gamma: float) -> Doubles:
        """Return Q (n_images, n_classes) with X W = Q T for all T: what an image takes of each class's row of T."""
        return np.asarray(along / (self._squares + gamma) @ self._sums)


def eszsl_targets(vectors: NDArray[Any], lam: float) -> Doubles:
    """Return each class's row of T for ESZSL, (n_classes, n_attributes).

    Parameters
    ----------
    vectors : float array of shape (n_classes, n_attributes)
        Of the classes that are fitted on.
    lam : float
        Above 0.

    References
    ----------
    Romera-Paredes & Torr, "An embarrassingly simple approach to zero-shot learning", ICML 2015.
    """
    S = np.asarray(vectors, np.float64)
    signs = 2 * np.eye(len(S)) - 1
    return np.asarray(np.linalg.solve(S.T @ S + lam * np.eye(S.shape[1]), S.T @ signs).T)


def score_classes(projected: NDArray[Any], vectors: NDArray[Any], *, cosine: bool) -> Doubles:
    """Return the scores (n_images, n_classes) of images that were projected among the class vectors."""
    return np.asarray((unit(projected) if cosine else projected) @ np.asarray(vectors).T)
