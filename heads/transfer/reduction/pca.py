"""Principal components of features at unit length, as numbers that any later image goes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.features import feature_matrix
from headstart.heads.row_by_row import ask_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_LEAST = 1e-6  # of the largest spread: what varies less is rounding, and whitening would blow it up


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """Transform to fewer dimensions: unit length, less the mean, onto the components, each divided by its spread.

    Attributes
    ----------
    mean : float64 ndarray of shape (n_features,)
    components : float64 ndarray of shape (n_dimensions, n_features)
        Orthonormal, the one of the largest variance first.
    spreads : float64 ndarray of shape (n_dimensions,)
        Standard deviation along each component, of the images that it was fitted on.
    whiten : bool
        Whether it divides by them.
    variance : float
        Share of the variance that it keeps.
    """

    mean: Doubles
    components: Doubles
    spreads: Doubles
    whiten: bool
    variance: float

    @property
    def size(self) -> int:
        """Dimensions that are left."""
        return len(self.components)

    def apply(self, X: NDArray[Any]) -> NDArray[np.float32]:
        """Return features (n_images, n_features) in fewer dimensions, float32 (n_images, n_dimensions).

        An image's numbers do not depend on which others are asked about.

        Raises
        ------
        DataError
            There are other features than it was fitted on.
        """
        if np.ndim(X) != 2 or np.shape(X)[1] != len(self.mean):
            raise DataError(
                f"features have shape {np.shape(X)}, expected (n_images, {len(self.mean)}); give those of the same "
                "backbone and layer"
            )
        return np.asarray(ask_rows(self._reduced, np.asarray(X)), np.float32)

    def _reduced(self, rows: Doubles) -> Doubles:
        found = (unit_rows(rows) - self.mean) @ self.components.T
        return np.asarray(found / self.spreads if self.whiten else found)


def unit_rows(rows: NDArray[Any]) -> Doubles:
    """Return rows at unit length, in float64; one of zeros stays."""
    rows = np.asarray(rows, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0))


def fit_reduction(X: NDArray[Any], *, size: int, whiten: bool = False) -> Reduction:
    """Fit principal components on features of shape (n_images, n_features), by the smaller of their Gram matrices.

    Parameters
    ----------
    X : float array of shape (n_images, n_features)
    size : int
        Dimensions at most; as many are left as vary.
    whiten : bool
        Give every dimension a spread of 1.

    Raises
    ------
    DataError
        Features are not finite, there are fewer than three images, or all are alike.
    """
    if size < 1 or len(X) < 3:
        raise DataError(f"{len(X)} images cannot be reduced to {size} dimensions; give three images, one dimension")
    rows = unit_rows(feature_matrix(X, len(X)))
    mean = rows.mean(axis=0)
    rows -= mean
    n, d = rows.shape
    values, vectors = np.linalg.eigh(rows.T @ rows if d <= n else rows @ rows.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    spreads = np.sqrt(np.maximum(values, 0) / n)
    n_kept = min(size, int((spreads > _LEAST * max(spreads[0], _LEAST)).sum()))
    if not n_kept:
        raise DataError(f"all {n} images have the same features; there is nothing to reduce, choose another layer")
    found = vectors[:, :n_kept] if d <= n else rows.T @ vectors[:, :n_kept] / np.sqrt(values[:n_kept])
    largest = np.abs(found).argmax(axis=0)
    found = found * np.sign(found[largest, np.arange(n_kept)])  # else the sign is the processor's choice
    share = float(values[:n_kept].sum() / values.clip(0).sum())
    return Reduction(mean=mean, components=found.T.copy(), spreads=spreads[:n_kept], whiten=whiten, variance=share)
