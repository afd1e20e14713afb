"""Whether features survive being stored in fewer bits."""

import numpy as np
import numpy.typing as npt

from headstart.extractors.cache.shards import Array

_LARGEST_ROUNDING = 1e-3  # float16 keeps 11 bits: of normal numbers it loses 5e-4 at most


def find_lost(features: Array, stored: Array) -> npt.NDArray[np.int64]:
    """Return the rows that lost more than rounding: too large values become infinite, and too small ones vanish.

    Parameters
    ----------
    features, stored : array (n_images, …)
        Before and after the cast.
    """
    if stored.dtype.itemsize >= features.dtype.itemsize:
        return np.empty(0, np.int64)
    exact = features.reshape(len(features), -1).astype(np.float64)  # squares leave the range of float32
    error = np.linalg.norm(stored.reshape(exact.shape) - exact, axis=1)
    return np.flatnonzero(~(error <= _LARGEST_ROUNDING * np.linalg.norm(exact, axis=1)))
