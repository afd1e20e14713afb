"""Whatever `numpy.asarray` turns into a feature matrix, checked and cast once."""

import numpy as np
from numpy.typing import NDArray

from heads.errors import DataError

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
        X = np.ascontiguousarray(X, dtype=np.float32)
    rows = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if len(rows):
        first = ", ".join(map(str, rows[:ROWS_NAMED]))
        raise DataError(
            f"{name}: {len(rows)} of {n_images} rows hold NaN or infinite values (first rows: {first}); extract these "
            "images again with --precision fp32, or leave them out",
            rows=rows.tolist(),
        )
    return X
