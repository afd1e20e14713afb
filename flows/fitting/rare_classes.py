"""Classes that are too rare to be fitted, left out with a note, so that one of them does not stop the others."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.flows.errors import JobError
from headstart.flows.fitting.nested import plan_fit
from headstart.flows.options import FitOptions
from headstart.flows.problem import Problem, SetAside, count_splits
from headstart.heads.errors import RareClassError
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import NestedPlan

_FEWEST_CLASSES = 2  # that a head can tell apart
_SHOWN = 5


def plan_without_rare(problem: Problem, options: FitOptions) -> tuple[Problem, SplitPlan, NestedPlan | None]:
    """Plan a fit as `flows.fitting.nested.plan_fit` does, without the classes that are too rare for it.

    Raises
    ------
    JobError, DataError
        As `plan_fit`; also where fewer than two classes would be left.
    """
    if options.min_images is not None:
        kept = _without_fewer_than(problem, options.min_images)
        return kept, *plan_fit(kept, options)
    kept = problem
    while True:
        try:
            planned = plan_fit(kept, options)
        except RareClassError as error:
            if len(kept.class_names) - len(error.classes) < _FEWEST_CLASSES:
                raise
            kept = leave_out(kept, error.classes)
        else:
            return _noted(kept, f"the {_folds_of(options)} cannot have one image of each"), *planned


def leave_out(problem: Problem, classes: npt.ArrayLike) -> Problem:
    """Return a problem without the images of some classes, which are given by their numbers."""
    counts = np.bincount(problem.y, minlength=len(problem.class_names))
    gone = np.isin(np.arange(len(counts)), classes)
    keep = ~gone[problem.y]
    left_out = {problem.class_names[code]: int(counts[code]) for code in np.flatnonzero(gone)}
    split = None if problem.split is None else problem.split[keep]
    understood = problem.understood.without(left_out)
    aside = problem.images.keep(~keep).files["path"].to_pylist()
    names, splits = [problem.class_names[code] for code in problem.y[~keep]], _splits(problem)[~keep].tolist()
    number = np.cumsum(~gone) - 1  # of each class among those that stay
    return replace(
        problem,
        class_names=[name for name, out in zip(problem.class_names, gone, strict=True) if not out],
        y=number[problem.y[keep]],
        split=split,
        groups=np.unique(problem.groups[keep], return_inverse=True)[1].astype(np.int64),
        images=problem.images.keep(keep),
        embedded=[one.take(keep) for one in problem.embedded],
        understood=replace(understood, images=int(keep.sum()), splits={} if split is None else count_splits(split)),
        set_aside=[*problem.set_aside, *map(SetAside, aside, names, splits)],
    )


def _splits(problem: Problem) -> npt.NDArray[Any]:
    return np.full(len(problem.y), None) if problem.split is None else problem.split


def _without_fewer_than(problem: Problem, least: int) -> Problem:
    if problem.task != "classify":
        return problem
    counts = np.bincount(problem.y, minlength=len(problem.class_names))
    rare = np.flatnonzero(counts < least)
    if len(counts) - len(rare) < _FEWEST_CLASSES:
        raise JobError(
            f"{len(counts) - len(rare)} of {len(counts)} classes of {problem.target!r} have {least} images or more, "
            "expected at least two; use a smaller --min-images"
        )
    return _noted(leave_out(problem, rare), f"they have fewer than {least} images") if len(rare) else problem


def _noted(problem: Problem, why: str) -> Problem:
    left_out = problem.understood.left_out
    if not left_out:
        return problem
    shown = [f"{name} ({left_out[name]})" for name in sorted(left_out)[:_SHOWN]]
    more = ", …" if len(left_out) > _SHOWN else ""
    note = (
        f"{len(left_out)} of {len(left_out) + len(problem.class_names)} classes are left out: {', '.join(shown)}{more};"
        f" {why} (--min-images says how many a class needs)"
    )
    return replace(problem, notes=[*problem.notes, note])


def _folds_of(options: FitOptions) -> str:
    return f"{options.folds} folds" + (f" inside {options.nested} outer ones" if options.nested else "")
