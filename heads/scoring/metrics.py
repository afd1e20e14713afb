"""The metrics as data: their names, what people call them, which way is better, and in what they are written."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS: Mapping[str, bool] = MappingProxyType(
    {"accuracy": True, "balanced_accuracy": True, "macro_f1": True, "log_loss": False}
)
"""Every metric's name, and whether higher is better."""


@dataclass(frozen=True)
class Score:
    """A metric's value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


REGRESSION_METRICS: Mapping[str, bool] = MappingProxyType({"r2": True, "mae": False, "rmse": False})
"""Every metric's name, and whether higher is better."""


_METRIC_NAMES = {"macro_f1": "macro F1", "log_loss": "log-loss", "r2": "R²", "mae": "MAE", "rmse": "RMSE"}


IN_THE_TARGETS_UNIT = ("mae", "rmse")


NUMBER_METRICS = ("r2", *IN_THE_TARGETS_UNIT)
"""Metrics of predicted numbers: none is written in per cent."""


def metric_name(metric: str) -> str:
    """Return a metric's name in words."""
    return _METRIC_NAMES.get(metric, metric.replace("_", " "))


def is_loss(metric: str) -> bool:
    """Say whether lower is better; such a metric has no upper bound and is not written in per cent."""
    return metric.endswith("loss") or metric in IN_THE_TARGETS_UNIT
