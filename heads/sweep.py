"""Candidates x folds → results, in parallel on Dask; then the winner, fitted and scored once."""

from __future__ import annotations

import logging
import math
import signal
import threading
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, as_completed
from sklearn.exceptions import ConvergenceWarning

from heads.errors import DataError
from heads.evaluate import METRICS, Score, score_predictions
from heads.features import feature_matrix
from heads.isolation import quiet_and_single_threaded
from heads.prediction import predict
from heads.registry import find_head
from heads.sweep_jobs import submit_jobs
from heads.trial import Result, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator

    from heads.candidates import Candidate
    from heads.splits import SplitPlan


_SILENT = logging.CRITICAL + 1  # a cancelled job may find its connection closed, which Dask calls critical


def sweep(
    candidates: Sequence[Candidate],
    y: ArrayLike,
    plan: SplitPlan,
    *,
    metric: str = "accuracy",
    groups: ArrayLike | None = None,
    seed: int = 0,
    dask: str = "threads",
    workers: int | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> list[Result]:
    """Fit every candidate in every fold; return results, best first (of equals the lowest log-loss), failed ones last.

    Parameters
    ----------
    candidates : sequence of Candidate
    y : int array of shape (n_images,)
        Classes, 0 … n_classes - 1, of the whole image set.
    plan : SplitPlan
        Its folds compare the candidates; its test rows are not touched.
    metric : {"accuracy", "balanced_accuracy", "macro_f1", "log_loss"}
        What orders the results.
    groups : int array of shape (n_images,) or None
        Images that intervals draw together.
    seed : int
        Of the heads and of the intervals.
    dask : str
        "threads" share the features; "processes" start a local cluster (a script must guard its main part by
        `if __name__ == "__main__"`); a scheduler's address such as "tcp://10.0.0.5:8786" is used and left running.
    workers : int or None
        Threads or processes; None takes every core. A scheduler at an address has its own.
    on_result : callable or None
        Called in this thread with each result as it arrives.

    Raises
    ------
    DataError
        Features cannot be used (see `feature_matrix`), every candidate failed, or an argument is unknown.
    UnknownHeadError
        A candidate's head is not registered.
    """
    if metric not in METRICS:
        raise DataError(f"no metric is called {metric!r}; expected one of {', '.join(METRICS)}")
    labels = np.asarray(y).astype(np.intp)
    task = Task(
        y=labels,
        n_classes=int(labels.max()) + 1,
        plan=plan,
        groups=None if groups is None else np.asarray(groups),
        seed=seed,
    )
    heads = {name: find_head(name) for name in {candidate.head for candidate in candidates}}
    sources = _checked_sources(candidates, len(labels), shared=dask == "threads")
    with quiet_and_single_threaded(), _client(dask, workers) as client:
        task_there = client.scatter([task], hash=False)[0]
        there = {number: client.scatter([source], hash=False)[0] for number, source in sources.items()}
        futures = submit_jobs(
            partial(client.submit, pure=False),
            candidates,
            heads,
            there,
            task_there,
            n_folds=len(plan.folds),
            n_workers=max(1, sum(client.nthreads().values())),
        )
        results = _collect(client, futures, on_result)
    if all(result.error is not None for result in results):
        reason = results[0].error if results else "there is none"
        raise DataError(f"none of {len(results)} candidates could be fitted; the first reason: {reason}")
    order = {id(candidate): place for place, candidate in enumerate(candidates)}
    return sorted(results, key=lambda result: (*_rank(result, metric), order[id(result.candidate)]))


def select(results: Sequence[Result], metric: str = "accuracy") -> Result:
    """Return the best result by `metric`; of equal ones that with the lowest log-loss, then the first.

    Raises
    ------
    DataError
        No result has this metric, because all failed or, for the log-loss, none gives probabilities.
    """
    best = min(results, key=lambda result: _rank(result, metric), default=None)
    if best is None or not _is_finite(best.scores.get(metric)):
        raise DataError(f"none of {len(results)} results has a {metric}; choose by another metric or try other heads")
    return best


def fit_final(candidate: Candidate, X: ArrayLike, y: ArrayLike, plan: SplitPlan, seed: int = 0) -> BaseEstimator:
    """Return the candidate's head, fitted on the train rows of `X` (n_images, n_features) and `y` (n_images,)."""
    rows = np.ascontiguousarray(np.asarray(X)[plan.train], dtype=np.float32)
    model = find_head(candidate.head).make(candidate.params, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the sweep's result has reported it for this candidate
        return model.fit(rows, np.asarray(y)[plan.train])


@dataclass(frozen=True, kw_only=True)
class FinalScore:
    """What a fitted head says about the test images.

    Parameters
    ----------
    rows : int ndarray of shape (n_test,)
        The plan's test rows.
    predictions : int ndarray of shape (n_test,)
        Classes, 0 … n_classes - 1.
    probability : float64 ndarray of shape (n_test, n_classes), or None
        None for heads without probabilities.
    scores : dict of str to Score or None
        Every metric with its interval.
    """

    rows: NDArray[np.intp]
    predictions: NDArray[np.intp]
    probability: NDArray[np.float64] | None
    scores: dict[str, Score | None]


def score_test(
    model: Any, X: ArrayLike, y: ArrayLike, plan: SplitPlan, *, groups: ArrayLike | None = None, seed: int = 0
) -> FinalScore:
    """Score a fitted head on the plan's test rows: once, after everything has been chosen.

    Parameters
    ----------
    model : fitted scikit-learn classifier
    X : array-like of shape (n_images, n_features)
    y : int array of shape (n_images,)
    plan : SplitPlan
    groups : int array of shape (n_images,) or None
        Images that intervals draw together.
    seed : int
        Of the intervals.
    """
    labels = np.asarray(y).astype(np.intp)
    n_classes = int(labels.max()) + 1
    predictions, probability = predict(model, np.asarray(X)[plan.test], n_classes)
    together = None if groups is None else np.asarray(groups)[plan.test]
    scores = score_predictions(labels[plan.test], probability, predictions, n_classes, groups=together, seed=seed)
    return FinalScore(rows=plan.test, predictions=predictions, probability=probability, scores=scores)


def _rank(result: Result, metric: str) -> tuple[int, float, float]:
    """Return what sorts results: scored before unscored before failed, better before worse.

    On few images many candidates are right equally often; of these, the one surer where it was right comes first.
    """
    if result.error is not None:
        return 2, 0.0, 0.0
    score, loss = result.scores[metric], result.scores["log_loss"]
    if not _is_finite(score):
        return 1, 0.0, 0.0
    return 0, -score.value if METRICS[metric] else score.value, loss.value if _is_finite(loss) else math.inf


def _is_finite(score: Score | None) -> TypeGuard[Score]:
    """Say whether there is a score to compare; one that is not finite would leave the order to chance."""
    return score is not None and math.isfinite(score.value)


def _checked_sources(candidates: Sequence[Candidate], n_images: int, *, shared: bool) -> dict[int, object]:
    """Check each feature set once and return what workers get, by the identity of the candidates' features.

    Threads share one float32 matrix. Processes get the object itself where it pickles small; they cast fold by fold.
    """
    sources: dict[int, object] = {}
    for candidate in candidates:
        if id(candidate.features) not in sources:
            X = feature_matrix(candidate.features, n_images, f"{candidate.backbone}/{candidate.tap}")
            by_value = shared or isinstance(candidate.features, np.ndarray | list | tuple)
            sources[id(candidate.features)] = X if by_value else candidate.features
    return sources


@contextmanager
def _client(dask: str, workers: int | None) -> Iterator[Client]:
    """Open a Dask client; what was started here is closed with it."""
    count = CPU_COUNT if workers is None else workers
    # A scheduler serves HTTP also without a dashboard, on port 8787 unless told otherwise, and warns where it is taken.
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": _SILENT, "memory_limit": 0}
    if count < 1:
        raise DataError(f"workers is {workers!r}, expected at least 1")
    if dask == "threads":
        cluster = LocalCluster(processes=False, n_workers=1, threads_per_worker=count, **quiet)
        with cluster, Client(cluster) as client:
            yield client
    elif dask == "processes":
        with _interrupts_for_this_process_alone():
            cluster = LocalCluster(processes=True, n_workers=count, threads_per_worker=1, **quiet)
        with cluster, Client(cluster) as client:
            yield client
    elif "://" in dask:
        with Client(dask) as client:
            yield client
    else:
        raise DataError(
            f"dask is {dask!r}, expected 'threads', 'processes' or a scheduler's address such as tcp://host:8786"
        )


@contextmanager
def _interrupts_for_this_process_alone() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which a terminal sends to all: this one ends them, and they print nothing."""
    if threading.current_thread() is not threading.main_thread():  # others may not set signals, nor do they get Ctrl-C
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _collect(client: Client, futures: dict[Any, Candidate], on_result: Callable[[Result], None] | None) -> list[Result]:
    results = []
    try:
        for future in as_completed(futures):
            lost = future.exception()  # run_trial reports its own failures; this one is a worker that died
            result = (
                Result(candidate=futures[future], error=f"{type(lost).__name__}: {lost}") if lost else future.result()
            )
            results.append(replace(result, candidate=futures[future]))
            if on_result is not None:
                on_result(results[-1])
    except BaseException:
        client.cancel(list(futures), force=True)
        raise
    return results
