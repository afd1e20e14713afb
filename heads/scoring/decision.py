"""Decision between classes by their probabilities, where that is another than for the likeliest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from headstart.heads.scoring.metrics import SMALLEST_PROBABILITY

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

COST = "cost"
"""Name, in place of a metric's, of a decision that goes by a table of costs."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Rule that makes a class of probabilities; one of `threshold`, `multipliers` and `costs` is given.

    Attributes
    ----------
    by : str
        Metric that it was chosen for, or ``cost``.
    threshold : float or None
        Of two classes: the second is taken where its probability is at least that.
    multipliers : tuple of float or None
        Of several: the class is taken whose probability times its own multiplier is the largest.
    costs : tuple of tuple of float or None
        Of several: the class is taken that costs least on average; ``costs[true][taken]``.
    temperature : float
        Calibrates the probabilities that costs are weighed by, as `heads.analysis.temper` does.
    """

    by: str
    threshold: float | None = None
    multipliers: tuple[float, ...] | None = None
    costs: tuple[tuple[float, ...], ...] | None = None
    temperature: float = 1.0

    def classes(self, probability: ArrayLike) -> NDArray[np.intp]:
        """Return the class (n_images,) of images with these probabilities (n_images, n_classes)."""
        given = np.asarray(probability, dtype=np.float64)
        if self.threshold is not None:
            return (given[:, 1] >= self.threshold).astype(np.intp)
        if self.multipliers is not None:
            return np.asarray((given * self.multipliers).argmax(axis=1))
        likely = np.maximum(given, SMALLEST_PROBABILITY) ** (1.0 / self.temperature)
        return np.asarray((likely @ np.asarray(self.costs)).argmin(axis=1))

    def as_dict(self) -> dict[str, object]:
        """Return the fields as JSON has them."""
        return {name: value for name, value in vars(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Any, n_classes: int) -> Self:
        """Read what `as_dict` gave, which may come from a place that is not trusted.

        Raises
        ------
        ValueError
            It is no decision between so many classes.
        """
        known = ("by", "threshold", "multipliers", "costs", "temperature")
        if not isinstance(values, Mapping) or not set(values) <= set(known) or not isinstance(values.get("by"), str):
            raise ValueError(f"expected an object with {', '.join(known)}")
        temperature, threshold, multipliers, costs = (
            _numbers(values[name], shape) if values.get(name) is not None else None
            for name, shape in (
                ("temperature", ()),
                ("threshold", ()),
                ("multipliers", (n_classes,)),
                ("costs", (n_classes, n_classes)),
            )
        )
        if sum(one is not None for one in (threshold, multipliers, costs)) != 1 or (
            threshold is not None and n_classes != 2
        ):
            raise ValueError("expected one of threshold (of two classes), multipliers and costs")
        if temperature is not None and not temperature > 0:
            raise ValueError(f"temperature is {temperature}, expected above 0")
        return cls(
            by=values["by"],
            threshold=None if threshold is None else float(threshold),
            multipliers=None if multipliers is None else tuple(multipliers.tolist()),
            costs=None if costs is None else tuple(map(tuple, costs.tolist())),
            temperature=1.0 if temperature is None else float(temperature),
        )


def _numbers(values: Any, shape: tuple[int, ...]) -> Doubles:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"expected numbers ({error})") from error
    if found.shape != shape or not np.isfinite(found).all():
        raise ValueError(f"found numbers of shape {found.shape}, expected finite ones of shape {shape}")
    return found


def mean_cost(costs: ArrayLike, true: ArrayLike, taken: ArrayLike) -> float:
    """Return the mean cost of an image, of `costs` (n_classes, n_classes), true class first."""
    return float(np.asarray(costs, dtype=np.float64)[np.asarray(true), np.asarray(taken)].mean())
