"""The metrics as data: one row each, that says how it is called, written and compared, and names its function."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SMALLEST_PROBABILITY = sys.float_info.epsilon
"""Where the log-loss clips, like scikit-learn's: one certain mistake costs 36 nats and not infinitely many."""


@dataclass(frozen=True)
class Score:
    """A metric's value and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """Scores of one class.

    Attributes
    ----------
    name : str
    support : int
        Images of the class.
    precision : float or None
        Share of what is taken for it that is of it; None where nothing is.
    recall, low, high : float or None
        Share of its images that are taken for it, with its 95 % interval; None where it has no images.
    f1 : float or None
        Harmonic mean of both; None where it has no images and nothing is taken for it.
    average_precision : float or None
        As the metric of that name, of this class alone; None without probabilities, or without its images or others.
    """

    name: str
    support: int
    precision: float | None
    recall: float | None
    low: float | None
    high: float | None
    f1: float | None
    average_precision: float | None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One way to score predictions: a function of sums over images, or of every class's probability.

    Parameters
    ----------
    name : str
        What people type, and what tables and histories keep.
    title : str
        Its name in words.
    higher_is_better : bool
    unit : {"share", "nats", "target", "none"}
        In what it is written: shares in per cent, errors in the target's own unit.
    task : {"classify", "regress"}
    function : str or callable
        Of `heads.scoring.functions`, as ``module:function``: importing a row loads no numpy. Of a set of sums it gives
        the value, and what an image adds near it, which intervals and paired tests go by. One of
        `heads.scoring.ranking` gives what each image adds, of which the value is the sum.
    basis : {"sums", "ranks"}
        What the function takes: `ClassSums` or `NumberSums`, or `RankedImages`, for which every class's probability
        has to be known.
    ends : (float, float)
        Between which it lies.
    spread : {"resamples", "recalls", "right"}
        Where a share's variance comes from: the bootstrap, the classes' recalls, or, of a share of right images, the
        binomial; that one has McNemar's exact test, too. That of ranks comes from what images add.
    fewest_classes : int
        Of fewer, the metric says nothing.
    """

    name: str
    title: str
    higher_is_better: bool
    unit: Literal["share", "nats", "target", "none"]
    task: Literal["classify", "regress"]
    function: str | Callable[[Any], Any]
    basis: Literal["sums", "ranks"] = "sums"
    ends: tuple[float, float] = (0.0, 1.0)
    spread: Literal["resamples", "recalls", "right"] = "resamples"
    fewest_classes: int = 0

    def of(self, sums: Any) -> Any:
        """Return the function's values and linearisation at these sums, or what these images add."""
        if isinstance(self.function, str):
            module, _, name = self.function.partition(":")
            return getattr(import_module(module), name)(sums)
        return self.function(sums)

    @property
    def needs_probability(self) -> bool:
        """Whether it goes by probabilities, of the true class at least, which some heads do not give."""
        return self.unit == "nats" or self.basis == "ranks"

    def refuse_few(self, n_classes: int) -> None:
        """Tell of classes that are too few for it.

        Raises
        ------
        DataError
            They are.
        """
        if n_classes < self.fewest_classes:
            raise DataError(
                f"{self.name} needs {self.fewest_classes} classes or more, there are {n_classes}: whatever is said of "
                "so few is all right by it; choose by another metric, such as accuracy"
            )

    def better(self, value: float) -> float:
        """Return the sort key of a value, the lowest being the best."""
        return -value if self.higher_is_better else value


_registered: dict[str, dict[str, Metric]] = {"classify": {}, "regress": {}}

METRICS: Mapping[str, Metric] = MappingProxyType(_registered["classify"])
"""Every metric of classes by name, the usual one first."""

REGRESSION_METRICS: Mapping[str, Metric] = MappingProxyType(_registered["regress"])
"""Every metric of predicted numbers by name, the usual one first."""

METRICS_OF: Mapping[str, Mapping[str, Metric]] = MappingProxyType({"classify": METRICS, "regress": REGRESSION_METRICS})
"""By task."""


def register_metric(metric: Metric) -> None:
    """Add a metric to those of its task.

    Raises
    ------
    DataError
        The name is taken.
    """
    if metric.name in metric_names():
        raise DataError(f"metric {metric.name!r} is registered already; register yours under another name")
    _registered[metric.task][metric.name] = metric


def metric_names() -> list[str]:
    """Return the names of all metrics, of every task."""
    return [name for metrics in METRICS_OF.values() for name in metrics]


def decided_metrics() -> list[str]:
    """Return the names of metrics of classes that go by how these are decided, and not by probabilities."""
    return [name for name, one in METRICS.items() if one.basis == "sums" and not one.needs_probability]


def find_metric(name: str, task: str | None = None) -> Metric:
    """Return the metric of this name, of one task or of any.

    Raises
    ------
    DataError
        There is none.
    """
    known = METRICS_OF[task] if task else {**METRICS, **REGRESSION_METRICS}
    if name not in known:
        kind = {None: "", "classify": " of classes", "regress": " of numbers"}[task]
        raise DataError(f"no metric{kind} is called {name!r}; expected one of {', '.join(known)}")
    return known[name]


def metric_name(name: str) -> str:
    """Return a metric's name in words."""
    return find_metric(name).title


for _metric in (
    Metric(
        name="accuracy",
        title="accuracy",
        higher_is_better=True,
        unit="share",
        task="classify",
        function="headstart.heads.scoring.functions:accuracy",
        spread="right",
    ),
    Metric(
        name="balanced_accuracy",
        title="balanced accuracy",
        higher_is_better=True,
        unit="share",
        task="classify",
        function="headstart.heads.scoring.functions:balanced_accuracy",
        spread="recalls",
    ),
    Metric(
        name="macro_f1",
        title="macro F1",
        higher_is_better=True,
        unit="share",
        task="classify",
        function="headstart.heads.scoring.functions:macro_f1",
    ),
    Metric(
        name="mcc",
        title="MCC",
        higher_is_better=True,
        unit="none",
        task="classify",
        function="headstart.heads.scoring.functions:mcc",
        ends=(-1.0, 1.0),
    ),
    Metric(
        name="log_loss",
        title="log-loss",
        higher_is_better=False,
        unit="nats",
        task="classify",
        function="headstart.heads.scoring.functions:log_loss",
        ends=(0.0, -math.log(SMALLEST_PROBABILITY)),
    ),
    Metric(
        name="roc_auc",
        title="ROC AUC",
        higher_is_better=True,
        unit="share",
        task="classify",
        function="headstart.heads.scoring.ranking:roc_auc",
        basis="ranks",
        fewest_classes=2,
    ),
    Metric(
        name="average_precision",
        title="average precision",
        higher_is_better=True,
        unit="share",
        task="classify",
        function="headstart.heads.scoring.ranking:average_precision",
        basis="ranks",
        fewest_classes=2,
    ),
    Metric(
        name="top5",
        title="top-5 accuracy",
        higher_is_better=True,
        unit="share",
        task="classify",
        function="headstart.heads.scoring.ranking:top5",
        basis="ranks",
        spread="right",
        fewest_classes=6,
    ),
    Metric(
        name="r2",
        title="R²",
        higher_is_better=True,
        unit="none",
        task="regress",
        function="headstart.heads.scoring.functions:r2",
        ends=(-math.inf, 1.0),
    ),
    Metric(
        name="mae",
        title="MAE",
        higher_is_better=False,
        unit="target",
        task="regress",
        function="headstart.heads.scoring.functions:mae",
        ends=(0.0, math.inf),
    ),
    Metric(
        name="rmse",
        title="RMSE",
        higher_is_better=False,
        unit="target",
        task="regress",
        function="headstart.heads.scoring.functions:rmse",
        ends=(0.0, math.inf),
    ),
):
    register_metric(_metric)
