"""A grid of one head on one fold or several at once, where the head's arithmetic lets all of it share the work."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.features import contiguous_rows
from headstart.heads.isolation import isolated_job
from headstart.heads.prediction import widen_classes
from headstart.heads.sweep.trial import PredictedInFolds, Result, Task, run_trial, score_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.heads.registry import Candidate, GridSolver, Head


Cells = Mapping[int, Mapping[int, Mapping[str, Any]]]
"""Hyper-parameters that a job tries, by fold, then by number in the grid."""


@dataclass(frozen=True, kw_only=True)
class SolvedPart:
    """Probabilities that one head gives to some folds' images, for some of its hyper-parameters.

    Parameters
    ----------
    probabilities : dict of (int, int) to float64 ndarray of shape (n_scored, n_classes)
        By fold and number in the grid; a column for each class of the whole image set.
    seconds : float
        Of fitting and predicting, for all of them together.
    warnings : list of str
    error : str or None
        Why fitting failed; then there are none.
    """

    probabilities: dict[tuple[int, int], NDArray[np.float64]] = field(default_factory=dict, repr=False)
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    error: str | None = None


def load_solver(solver: GridSolver) -> None:
    """Load what a solver needs; where it cannot be loaded, its jobs say why."""
    with suppress(Exception, SystemExit):
        solver.load()


def run_solver(
    solver: GridSolver, cells: Cells, features: object, task: Task, _loaded: object = None, n_threads: int = 1
) -> SolvedPart:
    """Fit a part of a grid on some folds in one go; what fails gives its reason.

    Parameters
    ----------
    solver : GridSolver
    cells : mapping
        By fold in the task's plan, by number in the grid, the hyper-parameters.
    features : array-like of shape (n_images, n_features)
        Wherever they are for this worker.
    task : Task
    _loaded : object
        Of a job that comes before this one, `load_solver`.
    n_threads : int
        Of OpenMP.
    """
    texts: list[str] = []
    try:
        solve = solver.load()  # loads what the head needs, before threads are counted
        with isolated_job(n_threads) as texts:
            start = time.perf_counter()
            solve_cells = _solve_across if solver.across_folds else _solve_each
            found = solve_cells(solve, cells, np.asarray(features), task)
            by_cell = {
                (fold, number): task.plan.views.mean(probability)
                for (fold, some), probabilities in zip(cells.items(), found, strict=True)
                for number, probability in zip(some, probabilities, strict=True)
            }
            return SolvedPart(probabilities=by_cell, seconds=time.perf_counter() - start, warnings=texts)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as in run_trial
        return SolvedPart(error=f"{type(error).__name__}: {error}", warnings=texts)


def _solve_across(solve: Any, cells: Cells, X: NDArray[Any], task: Task) -> list[list[NDArray[np.float64]]]:
    views = task.plan.views
    folds = [(views.to_fit(fit), views.to_score(score)) for fit, score in (task.plan.folds[fold] for fold in cells)]
    grids = [list(some.values()) for some in cells.values()]
    found: list[list[NDArray[np.float64]]] = solve(X, views.labels(task.y), task.n_classes, folds, grids)
    return found


def _solve_each(solve: Any, cells: Cells, X: NDArray[Any], task: Task) -> Iterator[list[NDArray[np.float64]]]:
    for fold, some in cells.items():
        fit_rows, score_rows = task.plan.folds[fold]
        views = task.plan.views
        present, codes = np.unique(views.labels(task.y[fit_rows]), return_inverse=True)
        seed = task.seed + task.plan.round_of(fold)
        known, asked = contiguous_rows(X, views.to_fit(fit_rows)), contiguous_rows(X, views.to_score(score_rows))
        found = solve(known, codes, asked, [_numbered(params, present) for params in some.values()], seed)
        yield [widen_classes(probability, present, task.n_classes) for probability in found]


def _numbered(params: Mapping[str, Any], present: NDArray[np.intp]) -> Mapping[str, Any]:
    """Return hyper-parameters whose weights of classes go by their numbers among those that a fold has."""
    weights = params.get("class_weight")
    if not isinstance(weights, Mapping):
        return params
    return {**params, "class_weight": {n: weights.get(code, 1.0) for n, code in enumerate(present.tolist())}}


def score_group(candidates: Mapping[int, Candidate], parts: Sequence[SolvedPart], task: Task) -> dict[int, Result]:
    """Score candidates that went through the folds together, by their numbers in the grid.

    Where they failed together, which may be the fault of one of them, there are no results.

    Parameters
    ----------
    candidates : mapping of int to Candidate
        By number in the grid.
    parts : sequence of SolvedPart
        All that have these numbers: of what is in one, each took the same share of the time.
    task : Task
    """
    if any(part.error for part in parts):
        return {}
    texts = list(dict.fromkeys(text for part in parts for text in part.warnings))
    predicted = []
    for number, candidate in candidates.items():
        own = {cell: part for part in parts for cell in part.probabilities if cell[1] == number}
        probabilities = [own[cell].probabilities[cell] for cell in sorted(own)]
        predicted.append(
            PredictedInFolds(
                candidate=candidate,
                parts=[(probability.argmax(axis=1), probability) for probability in probabilities],
                fit_seconds=sum(part.seconds / len(part.probabilities) for part in own.values()),
                warnings=texts,
            )
        )
    return dict(zip(candidates, score_folds(predicted, task), strict=True))


def pick_result(
    results: Mapping[int, Result], number: int, candidate: Candidate, head: Head, features: object, task: Task
) -> Result:
    """Return one of a group's results; without any, let the candidate go through the folds by itself.

    Parameters
    ----------
    results : mapping of int to Result
        Those of `score_group`.
    number : int
        In the grid.
    candidate, head, features, task
        As for `run_trial`.
    """
    return results[number] if results else run_trial(candidate, head, features, task)
