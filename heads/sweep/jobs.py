"""Jobs of a sweep: a candidate through all folds, or a head's whole grid on one fold or several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headstart.heads.registry import solver_of
from headstart.heads.scoring import most_together
from headstart.heads.sweep.grid_trial import load_solver, pick_result, run_solver, score_group
from headstart.heads.sweep.trial import draw_ahead, run_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from headstart.heads.registry import Candidate, GridSolver, Head
    from headstart.heads.sweep.grid_trial import Cells
    from headstart.heads.sweep.trial import Task

_BYTES = 2**29  # of what a search over several folds holds
_JOBS_A_WORKER = 2  # with fewer, the last job to end leaves the other workers waiting; with more, parts share less


@dataclass(frozen=True, kw_only=True)
class SweepSize:
    """Counts and limits that decide how a sweep is cut into jobs."""

    n_folds: int
    n_rounds: int
    n_workers: int
    most_cells: int
    most_scored: int
    loads_once: bool = False  # one process: what a solver imports is loaded while other jobs run, which need not wait
    n_numbers: int = 0  # images × features × classes

    @classmethod
    def of(cls, task: Task, n_features: int, n_workers: int, *, loads_once: bool = False) -> SweepSize:
        """Return the size of a task's sweep on features of up to so many columns."""
        # Of each fit on a fold: two scores an image and class, and of ten steps of L-BFGS their own and the gradients'.
        numbers = max(1, task.n_classes) * (2 * len(task.y) * task.plan.views.n + 22 * n_features)
        return cls(
            n_folds=len(task.plan.folds),
            n_rounds=task.plan.repeats,
            n_workers=n_workers,
            most_cells=max(1, _BYTES // (4 * numbers)),
            most_scored=most_together(sum(len(rows) for _, rows in task.plan.folds), task.n_classes),
            loads_once=loads_once,
            n_numbers=len(task.y) * task.plan.views.n * n_features * task.n_classes,
        )

    def is_one_job(self, solver: GridSolver) -> bool:
        """Say whether a solver that has all threads of this process to itself shares its work among them better."""
        return self.loads_once and 0 < solver.threads_from <= self.n_numbers


def submit_jobs(
    submit: Callable[..., Any],
    candidates: Sequence[Candidate],
    heads: Mapping[str, Head],
    sources: Mapping[tuple[str, str], Any],
    task: Any,
    size: SweepSize,
) -> dict[Any, Candidate]:
    """Submit a sweep's jobs and return each candidate by the future of its result.

    Parameters
    ----------
    submit : callable
        Takes a function and its arguments, and returns a future, which may be an argument of another, or in a list of
        these.
    candidates : sequence of Candidate
    heads : mapping of str to Head
        By name.
    sources : mapping of (str, str) to Future
        Features by a candidate's `place`: results travel without them.
    task : Future
        The `Task` that all candidates share.
    size : SweepSize
    """
    together, alone = _grouped(candidates)
    n_jobs = len(together) * size.n_folds + len(alone)
    futures: dict[Any, Candidate] = {}
    ready: Any = None
    for group, solver in together:
        features, head = sources[group[0].place], heads[group[0].head]
        jobs, n_threads = _cut(group, solver, size, len(candidates), n_jobs)
        loaded = [submit(load_solver, solver)] if size.loads_once else []
        parts = [submit(run_solver, solver, cells, features, task, loaded, n_threads) for cells in jobs]
        if ready is None:  # behind the first jobs that fit, of which one ends before the others
            ready = submit(draw_ahead, task, loaded)  # and not beside an import: thousands of short turns hold both up
        bare = {number: replace(candidate, features=None) for number, candidate in enumerate(group)}
        for places, numbers in _cut_scoring(jobs, len(group), size):
            some = {number: bare[number] for number in numbers}
            scored = submit(score_group, some, [parts[place] for place in places], ready)
            for number in numbers:
                future = submit(pick_result, scored, number, bare[number], head, features, task)
                futures[future] = group[number]
    for candidate in alone:
        features = sources[candidate.place]
        future = submit(run_trial, replace(candidate, features=None), heads[candidate.head], features, task)
        futures[future] = candidate
    return futures


def _grouped(
    candidates: Sequence[Candidate],
) -> tuple[list[tuple[list[Candidate], GridSolver]], list[Candidate]]:
    """Return groups of candidates that share features, class weights and a head's solver, and those by themselves."""
    groups: dict[tuple[object, ...], tuple[list[Candidate], GridSolver]] = {}
    alone = []
    for candidate in candidates:
        solver = solver_of(candidate)
        if solver:
            shared = candidate.place, candidate.head, repr(candidate.class_weight)
            groups.setdefault(shared, ([], solver))[0].append(candidate)
        else:
            alone.append(candidate)
    together = [(group, solver) for group, solver in groups.values() if len(group) > 1]
    return together, alone + [group[0] for group, _ in groups.values() if len(group) == 1]


def _cut(
    group: list[Candidate], solver: GridSolver, size: SweepSize, n_candidates: int, n_jobs: int
) -> tuple[list[Cells], int]:
    """Return what each job of a group tries, and its threads; all groups have `n_jobs` if cut by fold alone."""
    if len(group) == n_candidates and size.is_one_job(solver):
        return [{fold: {n: one.params for n, one in enumerate(group)} for fold in range(size.n_folds)}], size.n_workers
    if solver.across_folds:
        # Each part does again what its folds share, and the other candidates keep the other workers busy.
        share = -(-size.n_workers * len(group) // n_candidates)
        return _cut_across(group, solver, replace(size, n_workers=share)), 1
    return list(_cut_by_fold(group, solver, size, -(-_JOBS_A_WORKER * size.n_workers // n_jobs))), 1


def _cut_by_fold(group: list[Candidate], solver: GridSolver, size: SweepSize, n_wanted: int) -> Iterator[Cells]:
    """Yield a group's jobs, each of one fold, with the grid cut into parts where workers would have too few jobs.

    Neighbours in the grid, which take equally long, go to different parts.
    """
    n_parts = min(n_wanted, size.n_workers, len(group)) if solver.divisible else 1
    for first in range(n_parts):
        for fold in range(size.n_folds):
            yield {fold: {number: group[number].params for number in range(first, len(group), n_parts)}}


def _cut_across(group: list[Candidate], solver: GridSolver, size: SweepSize) -> list[Cells]:
    """Cut all folds of a group into parts of whole folds, the same number for each worker.

    Where folds are fewer than workers, they are cut too, and neighbours in the grid go to different parts, as in
    `_cut_by_fold`: a solver gets from one choice to the next sooner than from nothing to either.
    """
    order = [*range(0, len(group), 2), *range(1, len(group), 2)]
    # A part of more folds than a round has would be made of ever smaller stretches of images.
    fewest = size.n_rounds
    pieces = [(fold, order) for fold in range(size.n_folds)]
    if solver.divisible:
        fewest = max(fewest, -(-len(pieces) * len(group) // size.most_cells))
        if size.n_folds < size.n_workers:
            pieces = [(fold, [number]) for fold, _ in pieces for number in order]
    n_parts = min(len(pieces), -(-fewest // size.n_workers) * size.n_workers)
    jobs: list[dict[int, dict[int, Any]]] = [{} for _ in range(n_parts)]
    for at, (fold, numbers) in enumerate(pieces):
        jobs[at * n_parts // len(pieces)].setdefault(fold, {}).update({n: group[n].params for n in numbers})
    return list(jobs)


def _cut_scoring(
    jobs: Sequence[Cells], n_candidates: int, size: SweepSize
) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Yield groups to score together: places of jobs, and numbers of candidates, which all wait for these same jobs."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for number in range(n_candidates):
        places = tuple(place for place, cells in enumerate(jobs) if any(number in some for some in cells.values()))
        groups.setdefault(places, []).append(number)
    for places, numbers in groups.items():
        n_parts = max(-(-size.n_workers // len(groups)), -(-len(numbers) // size.most_scored))
        for first in range(min(n_parts, len(numbers))):
            yield places, numbers[first::n_parts]
