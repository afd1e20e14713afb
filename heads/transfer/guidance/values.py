"""Guide values: how far each weight had to move for the scouts, brought to a share of a step."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headstart.heads.errors import DataError

Weights = Mapping[str, NDArray[np.float32]]
"""Parameters of a body by name."""

Guide = dict[str, NDArray[np.float32]]
"""Share of each step that each weight takes, by the parameter's name."""

Scope = Literal["tensor", "model"]
Focus = Literal["raw", "zero", "normalised", "both"]
Temperature = Literal["freezing", "icy", "room", "warm", "evaporating"]

FROZEN_BELOW = 0.99
"""Share of the weights that a freezing guide holds still."""


@dataclass(frozen=True, kw_only=True)
class GuideRule:
    """Rule that makes guide values of mean squared movements m.

    Parameters
    ----------
    scope : {"tensor", "model"}
        What least and greatest are taken over: each parameter by itself, or all of them together.
    focus : {"raw", "zero", "normalised", "both"}
        m, m - min m, m / max m, or (m - min m) / (max m - min m).
    temperature : {"freezing", "icy", "room", "warm", "evaporating"}
        Of values g: 1 for the top hundredth of the scope and 0 for the rest; max(0, 2g - 1); g; (1 + g) / 2; 1 + g / 4.

    Raises
    ------
    DataError
        A temperature that goes by 0 and 1 has a focus that does not end there.

    References
    ----------
    Nikolić, Andrić & Nikolić, "Guided transfer learning", 2023.
    """

    scope: Scope = "tensor"
    focus: Focus = "both"
    temperature: Temperature = "room"

    def __post_init__(self) -> None:
        if self.focus in ("raw", "zero") and self.temperature in ("icy", "warm", "evaporating"):
            raise DataError(
                f"temperature {self.temperature} is of values between 0 and 1, and focus {self.focus} may leave them "
                "above; take focus both or normalised, or temperature room"
            )

    def of(self, movement: Weights) -> Guide:
        """Return the guide of mean squared movements, by parameter."""
        if self.scope == "tensor":
            return {name: self._of_scope(values) for name, values in movement.items()}
        flat = np.concatenate([values.ravel() for values in movement.values()] or [np.empty(0, np.float32)])
        return _split(self._of_scope(flat), movement)

    def _of_scope(self, movement: NDArray[np.float32]) -> NDArray[np.float32]:
        if not movement.size:
            return movement
        m = movement.astype(np.float64)
        lowest, highest = float(m.min()), float(m.max())
        if self.focus in ("zero", "both"):
            m = m - lowest
        if self.focus in ("normalised", "both"):
            size = highest - lowest if self.focus == "both" else highest
            # Weights that all moved alike have nothing to tell them apart: they take whole steps, and none if none did.
            m = m / size if size > 0 else np.full_like(m, float(highest > 0))
        return np.asarray(self._heated(m), np.float32)

    def _heated(self, g: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.temperature == "freezing":
            n_free = math.ceil((1 - FROZEN_BELOW) * g.size - 1e-9)
            free = np.argsort(-g, axis=None, kind="stable")[:n_free]
            heated = np.zeros(g.size)
            heated[free] = 1
            return heated.reshape(g.shape)
        if self.temperature == "icy":
            return np.maximum(0, 2 * g - 1)
        if self.temperature == "warm":
            return (1 + g) / 2
        return 1 + g / 4 if self.temperature == "evaporating" else g


def shuffled(guide: Weights, scope: Scope, seed: int) -> Guide:
    """Return the same guide values in other places: drawn within each parameter, or over all of them."""
    generator = np.random.default_rng(seed)
    if scope == "tensor":
        return {name: generator.permutation(values.ravel()).reshape(values.shape) for name, values in guide.items()}
    flat = np.concatenate([values.ravel() for values in guide.values()])
    return _split(generator.permutation(flat), guide)


def constant(guide: Weights, scope: Scope) -> Guide:
    """Return a guide of one value: the mean of each parameter, or that of all."""
    n_weights = sum(values.size for values in guide.values())
    overall = sum(float(values.sum(dtype=np.float64)) for values in guide.values()) / max(1, n_weights)
    means = {
        name: overall if scope == "model" else float(values.mean(dtype=np.float64)) for name, values in guide.items()
    }
    return {name: np.full(values.shape, means[name], np.float32) for name, values in guide.items()}


def _split(flat: NDArray[np.float32], like: Weights) -> Guide:
    ends = np.cumsum([values.size for values in like.values()])[:-1]
    parts = np.split(flat, ends)
    return {name: part.reshape(like[name].shape) for name, part in zip(like, parts, strict=True)}
