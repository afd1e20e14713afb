"""Predictions of heads for rows, each by itself: a row's numbers do not depend on how many others are asked about."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

Doubles = NDArray[np.float64]

_ROWS_AT_ONCE = 1024  # a block of so many rows in float64 stays in the processor's cache


def ask_rows(ask: Callable[[Doubles], Any], X: NDArray[Any]) -> NDArray[Any]:
    """Return the answers of `ask` for rows of `X`, in their order; it is given a block of rows at a time, in float64.

    How a matrix product sums up a row depends on the processor, on the number of rows and on the row's place among
    them. In float32 a score then changes by 1e-7 of its terms with an image's neighbours, and a label where two classes
    are nearly equal. Blocks padded to one shape would not mend that: OpenBLAS's kernels for AVX2 give a row other bits
    at another place of the same block. In float64 the change is below 1e-15 of the terms times their number on every
    processor.

    Parameters
    ----------
    ask : callable
        From float64 features (n_rows, n_features) to an array (n_rows, …).
    X : ndarray of shape (n_images, n_features)
        At least one image, any float dtype.

    References
    ----------
    Higham, "Accuracy and stability of numerical algorithms", 2nd ed., section 3.1 (sums of products in any order).
    """
    # In blocks: a copy of all would take twice the memory of float32 features.
    return np.concatenate([ask(X[part].astype(np.float64, copy=False)) for part in gen_batches(len(X), _ROWS_AT_ONCE)])
