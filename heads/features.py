"""Whatever `numpy.asarray` turns into a feature matrix, checked and cast once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ROWS_WIDENED = 128  # they stay in the processor's cache
_INFINITE = 0x7C00  # as the bits of a float16; what is above is not a number
_BIAS = np.float32(2.0**112)
ROWS_NAMED = 5
"""Rows at fault that a message names; the error carries all of them."""


def feature_matrix(features: object, n_images: int, name: str = "features") -> NDArray[np.float32]:
    """Return C-contiguous float32 features (n_images, n_features); a matrix that is so already is not copied.

    float16, the cache's dtype, would become float64 inside scikit-learn, batch by batch and fold by fold.

    Parameters
    ----------
    features : array-like of shape (n_images, n_features)
        Any real dtype.
    n_images : int
        Rows expected: one a label.
    name : str
        Begins the error messages, for instance "resnet18/avgpool".

    Raises
    ------
    DataError
        Not numbers, another shape, or values that are not finite in float32; `rows` then says which images.
    """
    X = np.asarray(features)
    if X.dtype.kind not in "fiub":
        raise DataError(f"{name}: features have dtype {X.dtype}, expected real numbers")
    if X.ndim != 2:
        raise DataError(
            f"{name}: features have shape {X.shape}, expected (n_images, n_features); extract this tap again with a "
            "pooling ('avg', 'max', 'cls' or 'flatten')"
        )
    if len(X) != n_images or X.shape[1] == 0:
        raise DataError(
            f"{name}: features have shape {X.shape}, expected one row for each of the {n_images} labels and at least "
            "one column; extract and list the same image set"
        )
    with np.errstate(over="ignore"):  # what is too large for float32 becomes inf, and is reported as such below
        X = widen(X) if X.dtype == np.float16 else np.ascontiguousarray(X, dtype=np.float32)
    rows = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if len(rows):
        first = ", ".join(map(str, rows[:ROWS_NAMED]))
        raise DataError(
            f"{name}: {len(rows)} of {n_images} rows hold NaN or infinite values (first rows: {first}); extract these "
            "images again with --precision fp32, or leave them out",
            rows=rows.tolist(),
        )
    return X


def widen(halves: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return float16 features (n_images, n_features) as float32, exactly, in a quarter of the time of `astype`.

    numpy converts them one by one. Here exponent and mantissa are moved to their places in a block at a time, and a
    product with 2¹¹² makes up for the other bias of the exponent; of subnormal numbers, too.
    """
    singles = np.empty(halves.shape, dtype=np.float32)
    for at in range(0, len(halves), _ROWS_WIDENED):
        bits = halves[at : at + _ROWS_WIDENED].view(np.uint16).astype(np.uint32)
        signs = singles[at : at + _ROWS_WIDENED].view(np.uint32)
        np.left_shift(bits, 16, out=signs)
        signs &= 0x8000_0000
        bits &= 0x7FFF
        if bits.size and bits.max() >= _INFINITE:
            singles[at : at + _ROWS_WIDENED] = halves[at : at + _ROWS_WIDENED]
            continue
        bits <<= 13
        magnitudes = bits.view(np.float32)
        magnitudes *= _BIAS
        signs |= bits
    return singles


def contiguous_rows(X: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return these rows of a feature matrix as heads take them."""
    return np.ascontiguousarray(X[rows], dtype=np.float32)
