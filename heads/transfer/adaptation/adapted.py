"""A head adapted to a target, and a candidate for one, as all methods give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """A fitted head, and both domains as it sees them.

    Attributes
    ----------
    model : fitted scikit-learn pipeline
        Takes features of the target as they come.
    source : float ndarray of shape (n_fitted, k)
    target : float ndarray of shape (n_target, k)
        In the space where the head was fitted.
    rows : int ndarray of shape (n_fitted,) or None
        Images of the source that were used; None for all.
    weights : float64 ndarray of shape (n_fitted,) or None
        How much each counts; None for all alike.
    """

    model: Any
    source: NDArray[Any]
    target: NDArray[Any]
    rows: NDArray[np.intp] | None = None
    weights: Doubles | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Hyper-parameters of a method, judged on images of the source alone.

    Attributes
    ----------
    params : dict
    right : float64 ndarray of shape (n_source,)
        1 where a fit without the image is right about it, 0 where it is wrong, NaN where it was not asked.
    build : callable
        Fits on the whole source.
    """

    params: Mapping[str, Any]
    right: Doubles
    build: Callable[[], Adapted]
