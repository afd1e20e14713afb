"""Choices of a fit: the metric of its task, the heads of a sweep, its folder, and its record in the history."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headstart.flows.errors import JobError
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.device import settle_device
from headstart.flows.fitting.imbalance import refuse_odd_tables
from headstart.flows.fitting.unfinished import UNFINISHED, UNFINISHED_TAIL
from headstart.flows.history import RunSettings
from headstart.flows.options import FitOptions, as_list
from headstart.flows.output import LATEST, LOCK, NAMES_OF_BEFORE, refuse_foreign, refuse_name
from headstart.flows.problem import Problem, check_task, table_text
from headstart.heads.coverage import OUTLIER_METHODS, SET_METHODS
from headstart.heads.errors import DataError, HeadError
from headstart.heads.registry import AskedHead, Heads, as_grid, check_head, find_preset, read_head, read_heads
from headstart.heads.scoring import METRICS_OF, find_metric, metric_names

RESERVED = (LATEST, LOCK, *NAMES_OF_BEFORE, "predictions.csv", UNFINISHED, UNFINISHED_TAIL, "runs", "night.parquet")
"""Names in a folder of results that neither a run nor a label column may have."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Choices that a fit of one problem goes by, settled.

    Attributes
    ----------
    options : FitOptions
        As they were asked for.
    metric : str
        What chooses the winner.
    heads : list of AskedHead
        To try, those of a preset included, each with its grid where that is not its own.
    folder : Path
        For the results; each run has a folder in it.
    started : float
        `time.monotonic` when the fit began.
    on_scores : callable or None
        As for `flows.fitting.job.fit`.
    """

    options: FitOptions
    metric: str
    heads: list[AskedHead]
    folder: Path
    started: float
    on_scores: Callable[[FitSummary], None] | None = None

    @property
    def seed(self) -> int:
        """Of splits and heads."""
        return self.options.seed

    def as_settings(self, target: str) -> RunSettings:
        """Return the settings that the history of runs keeps of it, and of where a problem comes from."""
        asked = self.options
        return RunSettings(
            heads=list(map(str, self.heads)),
            sweep=asked.sweep,
            metric=self.metric,
            folds=asked.folds,
            test_size=asked.test_size,
            seed=asked.seed,
            target=target,
            labels=str(asked.labels) if asked.labels else None,
            backbone=as_list(asked.backbone) if asked.backbone else None,
            calibrate=asked.calibrate,
            repeats=asked.repeats,
            nested=asked.nested,
            min_images=asked.min_images,
            name=asked.name,
            note=asked.note,
            views=asked.views,
            average_views=asked.average_views,
            class_weight=None if asked.class_weight is None else table_text(asked.class_weight),
            threshold=asked.threshold,
            costs=None if asked.costs is None else table_text(asked.costs),
            device=None if asked.device == FitOptions.device else asked.device,
        )


def choose(
    problem: Problem,
    named: Heads,
    options: FitOptions,
    *,
    started: float,
    on_scores: Callable[[FitSummary], None] | None,
) -> Choices:
    """Settle what a fit goes by; parameters as for `Choices`, of which `named` are the heads.

    Raises
    ------
    JobError
        Something is asked for that the problem's task has not, or the folder holds something else.
    HeadError
        There is no such preset.
    """
    metric = choose_metric(problem, options.metric)
    if problem.task == "regress" and _weighs_classes(options):
        raise JobError(
            f"target {problem.target!r} is a number to predict; --class-weight, --threshold and --costs are for classes"
        )
    if problem.task == "regress" and (options.few_shot or options.calibrate or options.coverage):
        raise JobError(
            f"target {problem.target!r} is a number to predict; --few-shot, --calibrate and --coverage are for classes"
        )
    folder = choose_folder(problem.name, options)
    heads = choose_heads(named, options, problem.task)
    return Choices(options=options, metric=metric, heads=heads, folder=folder, started=started, on_scores=on_scores)


def refuse_unknown_metric(metric: str | None) -> None:
    """Tell a misspelt metric from one that another task has.

    Raises
    ------
    JobError
        No task has it.
    """
    if metric is not None and metric not in metric_names():
        raise JobError(f"no metric is called {metric!r}; expected one of {', '.join(metric_names())}")


def choose_metric(problem: Problem, metric: str | None) -> str:
    """Return the metric that chooses the winner: the one asked for, or the usual one of the problem's task.

    Raises
    ------
    JobError
        It is not one of the task's.
    DataError
        There are too few classes for it.
    """
    known = METRICS_OF[problem.task]
    if metric is not None and metric not in known:
        what = "is a number to predict" if problem.task == "regress" else "names classes"
        raise JobError(
            f"target {problem.target!r} {what}, which has no metric {metric!r}; expected one of {', '.join(known)}"
        )
    if metric is not None and problem.task == "classify":
        find_metric(metric).refuse_few(len(problem.class_names))
    return metric or next(iter(known))


def choose_heads(named: Heads, options: FitOptions, task: str) -> list[AskedHead]:
    """Return the heads to try: a preset's and those that are named, each with the grid that was asked for.

    Raises
    ------
    HeadError
        A head or a preset is unknown, or a grid is for a head that is not tried.
    """
    asked = read_heads(named)
    preset = find_preset(options.sweep or "quick", task) if options.sweep or not asked else {}
    with_grids = {one.name for one in asked if one.grid is not None}
    heads = [AskedHead(name, grid, of_sweep=True) for name, grid in preset.items() if name not in with_grids]
    heads += [one for one in asked if one.grid is not None or one.name not in preset]
    grids = {read_head(name).name: as_grid(grid) for name, grid in (options.grid or {}).items()}
    if spare := [name for name in grids if name not in {one.name for one in heads}]:
        raise DataError(f"a grid is given for {spare[0]!r}, which is not tried; name it among the heads, too")
    heads = [AskedHead(one.name, grids[one.name]) if one.name in grids else one for one in heads]
    return list({str(one): one for one in heads}.values())


def refuse_unusable(named: Heads, options: FitOptions) -> None:
    """Tell what no fit can use, before there are labels to fit.

    Parameters
    ----------
    named : Heads
        As for `flows.fitting.job.fit`.
    options : FitOptions
        Where only the labels will tell the task, all has to be usable for one of the two.

    Raises
    ------
    JobError
        Metric or task is unknown, the metric another task's, or something is asked for that the task has not.
    HeadError
        A head does not exist or is another task's, cannot be made, or there is no such preset.
    DeviceError
        There is no such device.
    """
    metric = options.metric
    settle_device(options.device, options.dask)
    refuse_unknown_metric(metric)
    refuse_odd_views(options)
    refuse_odd_doubt(options)
    refuse_odd_tables(options)
    check_task(options.task)
    possible = [name for name in METRICS_OF if metric is None or metric in METRICS_OF[name]]
    faults = [_find_fault(named, options, task) for task in ([options.task] if options.task else possible)]
    if faults[0] is not None and None not in faults:
        raise faults[0]


def refuse_odd_doubt(options: FitOptions) -> None:
    """Refuse a coverage that no set can have, and a way of doubting where none is asked for.

    Raises
    ------
    JobError
        That is so.
    """
    for name, known in (("conformal", SET_METHODS), ("outlier", OUTLIER_METHODS)):
        if getattr(options, name) not in known:
            raise JobError(f"{name} is {getattr(options, name)!r}, expected one of {', '.join(known)}")
    for name in ("coverage", "false_alarms"):
        share = getattr(options, name)
        if share is not None and not 0 < share < 1:
            raise JobError(f"{name} is {share!r}, expected a share above 0 and below 1, such as 0.9")
    for name in ("conformal", "by_class", "outlier", "false_alarms"):
        if options.coverage is None and getattr(options, name) != getattr(FitOptions, name):
            option = f"--{name.replace('_', '-')}"
            raise JobError(f"{option} is a way of --coverage: say --coverage 0.9, too, or leave it out")


class _AsksForViews(Protocol):
    @property
    def views(self) -> bool: ...
    @property
    def average_views(self) -> bool: ...


def refuse_lone_average(options: _AsksForViews) -> None:
    """Refuse to average views where there are to be none.

    Raises
    ------
    JobError
        That is asked for.
    """
    if options.average_views and not options.views:
        raise JobError("--average-views is a way to score views: say --views, too, or leave it out")


def refuse_odd_views(options: FitOptions) -> None:
    """Refuse what cannot be averaged.

    Raises
    ------
    JobError
        That is asked for.
    """
    refuse_lone_average(options)
    if options.average_views and options.calibrate:
        raise JobError(
            "--calibrate mends the probabilities of one row, and --average-views takes the mean of several: leave one "
            "of the two out"
        )


def _find_fault(named: Heads, options: FitOptions, task: str) -> JobError | HeadError | None:
    """Return why a task cannot use all of this; None where it can."""
    if options.metric is not None and options.metric not in METRICS_OF[task]:
        return JobError(
            f"task {task!r} has no metric {options.metric!r}; expected one of {', '.join(METRICS_OF[task])}"
        )
    if (options.few_shot or options.calibrate or options.coverage) and task == "regress":
        return JobError(f"few_shot, calibrate and coverage are for classes, and task {task!r} predicts numbers")
    if _weighs_classes(options) and task == "regress":
        return JobError(f"class_weight, threshold and costs are for classes, and task {task!r} predicts numbers")
    try:
        for asked in choose_heads(named, options, task):
            check_head(task, asked)
    except HeadError as error:
        return error
    return None


def _weighs_classes(options: FitOptions) -> bool:
    return any(one is not None for one in (options.class_weight, options.threshold, options.costs))


def choose_folder(name: str, options: FitOptions) -> Path:
    """Return the folder for the results of what is called `name`; it need not exist.

    Raises
    ------
    JobError
        It holds something else, such as the images or the cache, or the run can have no such name in it.
    """
    folder = Path(options.out) if options.out else Path(f"{name}.results")
    refuse_foreign(folder, [UNFINISHED])
    if options.name is not None:
        refuse_name(folder, options.name, RESERVED)
    return folder
