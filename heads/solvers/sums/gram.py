"""The Gram matrix of many images' features, summed up in float64 without a float64 copy of them."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dsyrk

Doubles = NDArray[np.float64]

ROWS_AT_ONCE = 1024  # a block of so many rows in float64 stays in the processor's cache


def decompose_gram(blocks: Iterable[Doubles], n_features: int) -> tuple[Doubles, Doubles]:
    """Return the eigenvalues, ascending and at least 0, and eigenvectors in columns of the sum of all blockᵀ block.

    float32 would not do: its rounding is of the order of small eigenvalues, which small penalties leave to count.

    Parameters
    ----------
    blocks : iterable of float64 ndarray of shape (n_rows, n_features)
        C-contiguous.
    n_features : int
    """
    gram = np.zeros((n_features, n_features), order="F")
    for block in blocks:
        # Adds to the upper triangle in place: a product with @ would fill both, and be added in a further pass.
        gram = dsyrk(1.0, block.T, beta=1.0, c=gram, overwrite_c=True)
    lengths, directions = np.linalg.eigh(gram, UPLO="U")
    return np.maximum(lengths, 0.0), directions
