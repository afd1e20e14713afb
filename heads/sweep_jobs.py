"""Which jobs a sweep is made of: a candidate through all folds, or a head's whole grid on one fold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from heads.grid_paths import PATHS
from heads.grid_trial import join_folds, run_path
from heads.trial import run_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from heads.candidates import Candidate
    from heads.grid_paths import GridPath
    from heads.registry import Head

_JOBS_A_WORKER = 2  # with fewer, the last job to end leaves the other workers waiting; with more, parts share less


def submit_jobs(
    submit: Callable[..., Any],
    candidates: Sequence[Candidate],
    heads: Mapping[str, Head],
    sources: Mapping[int, Any],
    task: Any,
    *,
    n_folds: int,
    n_workers: int,
) -> dict[Any, Candidate]:
    """Return each candidate by the future of its result.

    Parameters
    ----------
    submit : callable
        A Dask client's: a function and its arguments → a future, which may be an argument of another.
    candidates : sequence of Candidate
    heads : mapping of str to Head
        By name.
    sources : mapping of int to Future
        Features by the identity of a candidate's `features`: results travel without them.
    task : Future
        What all candidates have in common.
    n_folds, n_workers : int
    """
    together, alone = _grouped(candidates)
    n_jobs = len(together) * n_folds + len(alone)
    futures: dict[Any, Candidate] = {}
    for group, path in together:
        for part in _divided(group, path, n_workers, -(-_JOBS_A_WORKER * n_workers // n_jobs)):
            features = sources[id(part[0].features)]
            futures |= _submit_together(submit, part, path, heads[part[0].head], features, task, n_folds)
    for candidate in alone:
        bare, features = replace(candidate, features=None), sources[id(candidate.features)]
        futures[submit(run_trial, bare, heads[candidate.head], features, task)] = candidate
    return futures


def _grouped(
    candidates: Sequence[Candidate],
) -> tuple[list[tuple[list[Candidate], GridPath]], list[Candidate]]:
    """Return the candidates that share a head's path, and those that go by themselves."""
    groups: dict[tuple[int, str], tuple[list[Candidate], GridPath]] = {}
    alone = []
    for candidate in candidates:
        path = PATHS.get(candidate.head) if candidate.task == "classify" else None
        if path is not None and candidate.params.keys() <= path.params:
            groups.setdefault((id(candidate.features), candidate.head), ([], path))[0].append(candidate)
        else:
            alone.append(candidate)
    together = [(group, path) for group, path in groups.values() if len(group) > 1]
    return together, alone + [group[0] for group, _ in groups.values() if len(group) == 1]


def _divided(group: list[Candidate], path: GridPath, n_workers: int, n_wanted: int) -> Iterator[list[Candidate]]:
    """Cut a group where workers would have too few jobs; neighbours, which take equally long, go to different parts."""
    n_parts = min(n_wanted, n_workers, len(group)) if path.divisible else 1
    return (group[first::n_parts] for first in range(n_parts))


def _submit_together(
    submit: Callable[..., Any],
    group: list[Candidate],
    path: GridPath,
    head: Head,
    features: Any,
    task: Any,
    n_folds: int,
) -> dict[Any, Candidate]:
    grid = [candidate.params for candidate in group]
    parts = [submit(run_path, path, grid, features, fold, task) for fold in range(n_folds)]
    return {
        submit(join_folds, replace(candidate, features=None), number, len(group), parts, head, features, task): (
            candidate
        )
        for number, candidate in enumerate(group)
    }
