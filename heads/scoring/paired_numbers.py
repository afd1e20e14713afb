"""Two candidates that predict numbers, on the same images: whether chance alone could have put them apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.scoring.intervals import quantile
from headstart.heads.scoring.metrics import REGRESSION_METRICS
from headstart.heads.scoring.paired import SIGNIFICANCE, Difference, RunnerUp, holm
from headstart.heads.scoring.regression import measure_numbers
from headstart.heads.scoring.sign_flips import flip_signs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]


def tied_numbers(
    metric: str,
    y: ArrayLike,
    winner: ArrayLike,
    runners_up: Sequence[ArrayLike],
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> list[RunnerUp]:
    """Compare the best of several candidates with every other one, and say which of them are tied with it.

    What an image adds to the difference is that of the absolute errors for MAE, and of the squared errors for RMSE and
    R², which order candidates alike: if two are equal, it could as well have the other sign. P-values come from random
    flips of these signs, of images or of groups as wholes, and are corrected as in `heads.scoring.tied_with_winner`.
    Intervals are those of the linearised difference: normal for images, Student's for groups.

    Parameters
    ----------
    metric : {"r2", "mae", "rmse"}
    y, winner : array of shape (n_images,)
        True numbers, and those that the winner predicted without having been fitted on them.
    runners_up : sequence of array of shape (n_images,)
        Of all other candidates of the sweep that have the metric.
    groups : int array of shape (n_images,) or None
        Images with the same number are taken together.
    seed : int
        Of the flips.

    Returns
    -------
    list of RunnerUp
        In the order of `runners_up`.

    Raises
    ------
    DataError
        The metric is unknown, it does not exist because the numbers do not vary, or shapes do not agree.
    """
    if metric not in REGRESSION_METRICS:
        raise DataError(f"no metric of numbers is called {metric!r}; expected one of {', '.join(REGRESSION_METRICS)}")
    true, others = np.asarray(y, dtype=np.float64), [np.asarray(one, dtype=np.float64) for one in runners_up]
    units = np.arange(len(true)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(units) != len(true):
        raise DataError(f"{len(units)} groups were given for {len(true)} images, expected one for each")
    if not others:
        return []
    first = np.asarray(winner, dtype=np.float64)
    parts = [np.bincount(units, _losses(metric, true, first) - _losses(metric, true, other)) for other in others]
    p_values = flip_signs(np.stack(parts, axis=1), seed)
    adjusted = holm(p_values, len(others) * (len(others) + 1) // 2)
    found = [
        _difference(metric, true, first, other, units, p, grouped=bool(units.max() + 1 < len(true)))
        for other, p in zip(others, p_values, strict=True)
    ]
    return [
        RunnerUp(difference=difference, p_adjusted=p, tied=p >= SIGNIFICANCE)
        for difference, p in zip(found, adjusted, strict=True)
    ]


def _losses(metric: str, true: Doubles, predicted: Doubles) -> Doubles:
    if metric == "mae":
        return np.abs(predicted - true)
    if metric in ("r2", "rmse"):
        return np.square(predicted - true)
    raise _unknown(metric)


def _unknown(metric: str) -> DataError:
    return DataError(f"what an image adds to {metric!r} is unknown; expected one of r2, mae, rmse")


def _difference(
    metric: str, true: Doubles, first: Doubles, second: Doubles, units: NDArray[np.intp], p: float, *, grouped: bool
) -> Difference:
    values = [measure_numbers(true, side)[metric] for side in (first, second)]
    if values[0] is None or values[1] is None:
        raise DataError(f"{metric} does not exist where all {len(true)} numbers are equal; compare by mae")
    own = [_influences(metric, true, side) for side in (first, second)]
    parts, value = np.bincount(units, own[0] - own[1]), values[0] - values[1]
    n_units = len(parts)
    reach = math.inf
    if n_units > 1:  # a single unit says nothing of how units differ
        spread = math.sqrt(n_units / (n_units - 1) * float(np.square(parts - parts.mean()).sum()))
        reach = quantile(n_units if grouped else None) * spread
    return Difference(
        metric=metric,
        value=value,
        low=value - reach,
        high=value + reach,
        p_value=p,
        n_images=len(true),
        test=f"sign flips of {'groups' if grouped else 'images'}",
    )


def _influences(metric: str, true: Doubles, predicted: Doubles) -> Doubles:
    """Return what each image (n_images,) adds to a metric near its value: its gradient in the sums, at the image."""
    losses, n_images = _losses(metric, true, predicted), len(true)
    mean = losses.mean()
    if metric == "mae":
        return np.asarray((losses - mean) / n_images)
    if metric == "rmse":
        return np.asarray((losses - mean) / (2 * math.sqrt(mean) * n_images)) if mean > 0 else np.zeros(n_images)
    if metric == "r2":
        away = np.square(true - true.mean())
        return np.asarray((mean / away.mean() * away - losses) / away.sum())
    raise _unknown(metric)
