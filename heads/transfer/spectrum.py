"""Spectrum of features: one decomposition from which every quick score of a ranking follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]


class Spectrum(NamedTuple):
    """Directions of features, those without any length left out.

    Attributes
    ----------
    squares : float64 ndarray of shape (k,)
        Squared singular values.
    vectors : float64 ndarray of shape (n_images, k)
        Left singular vectors.
    lengths : float64 ndarray of shape (n_images,)
        Squared length of each row.
    n_columns : int
    n_free : int
        Rows less one where the mean of each column was subtracted.
    """

    squares: Doubles
    vectors: Doubles
    lengths: Doubles
    n_columns: int
    n_free: int


def decompose(X: NDArray[Any], *, centred: bool = False) -> Spectrum:
    """Return the spectrum of features (n_images, n_features), by the smaller of their two Gram matrices.

    Parameters
    ----------
    X : float array of shape (n_images, n_features)
    centred : bool
        Subtract the mean of each column first.
    """
    rows = np.asarray(X, np.float64)
    if centred:
        rows = rows - rows.mean(axis=0)
    n, d = rows.shape
    values, vectors = np.linalg.eigh(rows.T @ rows if d <= n else rows @ rows.T)
    kept = values > max(n, d) * np.finfo(np.float64).eps * max(float(values.max(initial=0.0)), 0.0)
    squares, vectors = values[kept], vectors[:, kept]
    left = rows @ vectors / np.sqrt(squares) if d <= n else vectors
    return Spectrum(squares, left, np.einsum("ij,ij->i", rows, rows), d, n - centred)
