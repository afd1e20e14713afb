"""Whether features survive being stored in fewer bits."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from headstart.extractors.arrays import Array
from headstart.extractors.errors import FeatureError
from headstart.extractors.spec import StoredDtype

_LARGEST_ROUNDING = 1e-3  # float16 keeps 11 bits: of normal numbers it loses 5e-4 at most


def row_bytes(shapes: Mapping[str, Sequence[int]], dtype: StoredDtype) -> int:
    """Return the size in bytes of an image's features, over all taps, whose shapes are given."""
    return np.dtype(dtype).itemsize * sum(math.prod(shape) for shape in shapes.values())


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


def store_as(
    features: dict[str, Array], dtype: StoredDtype, *, backbone: str, paths: Sequence[str]
) -> dict[str, Array]:
    """Cast features for the cache.

    Parameters
    ----------
    features : dict of tap to float32 array (n_images, …)
        From a forward pass.
    dtype : {"float16", "float32"}
        What the cache stores.
    backbone : str
        For the messages.
    paths : sequence of str (n_images,)
        The images, for the messages.

    Raises
    ------
    FeatureError
        A value is not finite, or `dtype` would change an image's features by more than its rounding does: too large
        values become infinite in float16, and too small ones vanish (a MobileNet with random weights gives features
        below 1e-7).
    """
    stored = {}
    for tap, values in features.items():
        rows = values.reshape(len(values), -1)
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            raise FeatureError(
                f"{backbone}, tap {tap}: {len(bad)} of {len(values)} images in a batch gave features that are not "
                f"finite, first {paths[bad[0]]}; try --precision fp32, and check the weights"
            )
        with np.errstate(over="ignore"):  # what overflows is refused below
            stored[tap] = values.astype(dtype, copy=False)
        lost = find_lost(values, stored[tap])
        if len(lost):
            raise FeatureError(
                f"{backbone}, tap {tap}: features of size {np.abs(rows[lost[0]]).max():.1e} do not fit {dtype}, "
                f"first {paths[lost[0]]}; use --dtype float32"
            )
    return stored
