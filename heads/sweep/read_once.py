"""Features that travel to a process as a few bytes, and are read there once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ReadOnce:
    """Anything that `numpy.asarray` turns into a matrix; that is kept, and left behind when this is pickled.

    Parameters
    ----------
    features : array-like of shape (n_images, n_features)
        What pickles small, as paths and row numbers.
    """

    def __init__(self, features: object) -> None:
        self._features = features
        self._reading = threading.Lock()
        self._matrix: NDArray[Any] | None = None

    def __reduce__(self) -> tuple[type[ReadOnce], tuple[object]]:
        return ReadOnce, (self._features,)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the matrix, read-only: every job of this process has the same."""
        with self._reading:  # of two threads the second waits for the first one's
            if self._matrix is None:
                matrix = np.asarray(self._features).view()
                matrix.flags.writeable = False
                self._matrix = matrix
        return np.array(self._matrix, dtype=dtype, copy=copy)
