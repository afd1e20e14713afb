"""Candidates x folds → results, in threads or on Dask, or in few passes over features that are read in blocks."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from joblib import cpu_count

from headstart.heads.errors import DataError, WorkerLostError
from headstart.heads.features import feature_matrix
from headstart.heads.isolation import quiet_and_single_threaded
from headstart.heads.registry import find_head
from headstart.heads.scoring import find_metric
from headstart.heads.solvers.sums import Stream
from headstart.heads.sweep.jobs import SweepSize, submit_jobs
from headstart.heads.sweep.read_once import ReadOnce
from headstart.heads.sweep.streamed import refuse_unstreamed, run_streamed
from headstart.heads.sweep.threads import Threads
from headstart.heads.sweep.trial import Result, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from headstart.heads.registry import Candidate, Head
    from headstart.heads.scoring import Metric, Score
    from headstart.heads.splits import SplitPlan
    from headstart.heads.sweep.cluster import DaskWorkers


_MOST_KEPT = 2**20  # numbers: of every candidate for a moment, then of the best
_LOST = (
    "every process that fitted it ended without a word, at last with no other job beside it: it needs more memory than "
    "there is, or its code ends the process"
)


@dataclass(frozen=True, kw_only=True)
class Running:
    """How a sweep is run, which changes none of its results.

    Parameters
    ----------
    dask : str
        "threads" share the features; "processes" start a local cluster (a script must guard its main part by
        `if __name__ == "__main__"`); a scheduler's address such as "tcp://10.0.0.5:8786" is used and left running.
    workers : int or None
        Threads or processes; None takes every core. A scheduler at an address has its own.
    on_result : callable or None
        Called in the sweep's thread with each result as it arrives.
    finished : sequence of Result
        Of an earlier sweep of the same candidates, data and plan, which was interrupted: these are not fitted again.
    """

    dask: str = "threads"
    workers: int | None = None
    on_result: Callable[[Result], None] | None = None
    finished: Sequence[Result] = ()


def sweep(
    candidates: Sequence[Candidate],
    y: ArrayLike,
    plan: SplitPlan,
    *,
    metric: str = "accuracy",
    groups: ArrayLike | None = None,
    seed: int = 0,
    running: Running | None = None,
) -> list[Result]:
    """Fit every candidate in every fold; return results, best first (of equals the lowest log-loss), failed ones last.

    Parameters
    ----------
    candidates : sequence of Candidate
        Whose features are in memory, or a `Stream`: these are read in blocks, in this thread, for heads that can.
    y : array of shape (n_images,)
        Classes, 0 … n_classes - 1, of the whole image set; or numbers, where the metric is one of numbers.
    plan : SplitPlan
        Its folds compare the candidates; its test rows are not touched. With views, features have a row for each.
    metric : str
        What orders the results, and says whether heads tell classes apart or predict numbers.
    groups : int array of shape (n_images,) or None
        Images that intervals draw together.
    seed : int
        Of the heads and of the intervals.
    running : Running, optional

    Raises
    ------
    DataError
        Features cannot be used (see `feature_matrix`), a candidate cannot be streamed, every candidate failed, or an
        argument is unknown.
    UnknownHeadError
        A candidate's head is not registered.
    """
    running = running or Running()
    labels = _checked_labels(y, metric, candidates)
    task = Task(
        y=labels,
        n_classes=0 if labels.dtype.kind == "f" else int(labels.max()) + 1,
        plan=plan,
        groups=None if groups is None else np.asarray(groups),
        seed=seed,
        most_kept=_MOST_KEPT if running.dask == "threads" else 0,
    )
    heads = {candidate.head: find_head(candidate.head, candidate.task) for candidate in candidates}
    refuse_unstreamed([candidate for candidate in candidates if _is_streamed(candidate)])
    best: Result | None = None
    results, known = list(running.finished), {result.candidate.identity for result in running.finished}

    def receive(candidate: Candidate, outcome: Result | BaseException) -> None:
        nonlocal best
        if isinstance(outcome, BaseException):  # Dask's; what a head raises is in its result
            outcome = Result(candidate=candidate, error=f"{type(outcome).__name__}: {outcome}")
        results.append(replace(outcome, candidate=candidate))
        if outcome.held:
            best = _better(best, results[-1], find_metric(metric))
        if running.on_result is not None:
            running.on_result(results[-1])

    rest = [candidate for candidate in candidates if candidate.identity not in known]
    if streamed := [one for one in rest if _is_streamed(one)]:
        for result in run_streamed(streamed, task):
            receive(result.candidate, result)
    if held := [one for one in rest if not _is_streamed(one)]:
        _run_jobs(held, heads, task, running, receive)
    return order_results(results, candidates, metric)


def _better(one: Result | None, other: Result, metric: Metric) -> Result:
    """Return the better of two results that hold probabilities of every class, the first of equals; the other's go."""
    if one is None:
        return other
    best, rest = (one, other) if rank_of(one, metric) <= rank_of(other, metric) else (other, one)
    if rest.held:
        rest.held.probability = None
    return best


def order_results(results: Sequence[Result], candidates: Sequence[Candidate], metric: str) -> list[Result]:
    """Return results best first, of equals the lowest log-loss and then in the order of the candidates; failed last.

    Raises
    ------
    DataError
        All failed, or there is no such metric.
    """
    if all(result.error is not None for result in results):
        reason = results[0].error if results else "there is none"
        raise DataError(f"none of {len(results)} candidates could be fitted; the first reason: {reason}")
    order = {candidate.identity: place for place, candidate in enumerate(candidates)}
    kind = find_metric(metric)
    return sorted(results, key=lambda result: (*rank_of(result, kind), order[result.candidate.identity]))


def select(results: Sequence[Result], metric: str = "accuracy") -> Result:
    """Return the best result by `metric`; of equal ones that with the lowest log-loss, then the first.

    Raises
    ------
    DataError
        There is no such metric, or no result has it, because all failed or, for the log-loss, none gives probabilities.
    """
    kind = find_metric(metric)
    best = min(results, key=lambda result: rank_of(result, kind), default=None)
    if best is None or not _is_finite(best.scores.get(metric)):
        silent = sorted({result.candidate.head for result in results if not result.error})
        lack = f", which needs probabilities that {', '.join(silent)} do not give" if silent else ""
        lack = lack if kind.needs_probability else ""
        raise DataError(
            f"none of {len(results)} results has a {metric}{lack}; choose by another metric or try other heads"
        )
    return best


def _is_streamed(candidate: Candidate) -> bool:
    return isinstance(candidate.features, Stream)


def _checked_labels(y: ArrayLike, metric: str, candidates: Sequence[Candidate]) -> NDArray[Any]:
    """Return classes as int or numbers as float64, as the metric wants them, if the candidates' heads want the same."""
    task = find_metric(metric).task
    if any(candidate.task != task for candidate in candidates):
        raise DataError(f"the metric {metric} is for heads that {task}; choose another metric, or other heads")
    return np.asarray(y).astype(np.float64 if task == "regress" else np.intp)


def rank_of(result: Result, metric: Metric) -> tuple[int, float, float]:
    """Return the sort key of a result: scored before unscored before failed, better before worse.

    On few images many candidates are right equally often; of these, the one surer where it was right comes first.
    """
    if result.error is not None:
        return 2, 0.0, 0.0
    score, loss = result.scores.get(metric.name), result.scores.get("log_loss")
    if not _is_finite(score):
        return 1, 0.0, 0.0
    return 0, metric.better(score.value), loss.value if _is_finite(loss) else math.inf


def _is_finite(score: Score | None) -> TypeGuard[Score]:
    """Say whether there is a score to compare; one that is not finite would leave the order to chance."""
    return score is not None and math.isfinite(score.value)


def _run_jobs(
    candidates: Sequence[Candidate],
    heads: Mapping[str, Head],
    task: Task,
    running: Running,
    receive: Callable[[Candidate, Result | BaseException], None],
) -> None:
    shared = running.dask == "threads"
    sources, width = _checked_sources(candidates, len(task.y) * task.plan.views.n, shared=shared)
    with quiet_and_single_threaded(), _opened(running) as workers:

        def start(some: Sequence[Candidate]) -> dict[Any, Candidate]:
            used = dict.fromkeys(candidate.place for candidate in some)
            return submit_jobs(
                workers.submit,
                some,
                heads,
                {name: workers.place(sources[name]) for name in used},
                workers.place(task),
                SweepSize.of(task, width, workers.n_workers, loads_once=shared),
            )

        lost = workers.gather(start(candidates), receive)
        for candidate in lost:  # one at a time: so the one that ends its worker is told from those that ran beside it
            if workers.gather(start([candidate]), receive):
                receive(candidate, WorkerLostError(_LOST))


@contextmanager
def _opened(running: Running) -> Iterator[Threads | DaskWorkers]:
    if running.dask == "threads":
        with Threads(cpu_count() if running.workers is None else running.workers) as threads:
            yield threads
        return
    from headstart.heads.sweep.cluster import DaskWorkers, open_client  # noqa: PLC0415 - loads Dask

    with open_client(running.dask, running.workers) as client:
        yield DaskWorkers(client)


def _checked_sources(
    candidates: Sequence[Candidate], n_rows: int, *, shared: bool
) -> tuple[dict[tuple[str, str], object], int]:
    """Check each feature set once and return what workers get, by key and tap, and the most columns.

    Threads share one float32 matrix. Processes get the object itself where it pickles small, read it once each, and
    cast fold by fold.
    """
    sets = {candidate.place: candidate for candidate in candidates}
    for candidate in candidates:
        if candidate.features is not sets[candidate.place].features:
            raise DataError(f"two feature sets have the key and tap {candidate.place}; give each a name of its own")
    sources: dict[tuple[str, str], object] = {}
    widths = []
    for name, candidate in sets.items():
        X = feature_matrix(candidate.features, n_rows, f"{candidate.backbone}/{candidate.tap}")
        widths.append(X.shape[1])
        by_value = shared or isinstance(candidate.features, np.ndarray | list | tuple)
        sources[name] = X if by_value else ReadOnce(candidate.features)
    return sources, max(widths)
