"""Candidates x folds → results, in parallel on Dask; then the winner, fitted and scored once."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning

from headstart.heads.errors import DataError, WorkerLostError
from headstart.heads.features import feature_matrix
from headstart.heads.isolation import quiet_and_single_threaded
from headstart.heads.prediction import predict, predict_numbers
from headstart.heads.registry import find_head
from headstart.heads.scoring import METRICS, REGRESSION_METRICS, Score, score_numbers, score_predictions
from headstart.heads.sweep.cluster import ReadOnce, gather, open_client, place
from headstart.heads.sweep.jobs import SweepSize, submit_jobs
from headstart.heads.sweep.trial import Result, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator

    from headstart.heads.registry import Candidate, Head
    from headstart.heads.splits import SplitPlan


_LOST = (
    "every process that fitted it ended without a word, at last with no other job beside it: it needs more memory than "
    "there is, or its code ends the process"
)
_HIGHER_IS_BETTER = {**METRICS, **REGRESSION_METRICS}


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
    finished: Sequence[Result] = (),
) -> list[Result]:
    """Fit every candidate in every fold; return results, best first (of equals the lowest log-loss), failed ones last.

    Parameters
    ----------
    candidates : sequence of Candidate
    y : array of shape (n_images,)
        Classes, 0 … n_classes - 1, of the whole image set; or numbers, where the metric is one of numbers.
    plan : SplitPlan
        Its folds compare the candidates; its test rows are not touched.
    metric : {"accuracy", "balanced_accuracy", "macro_f1", "log_loss"} or {"r2", "mae", "rmse"}
        What orders the results, and says whether heads tell classes apart or predict numbers.
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
    finished : sequence of Result
        Of an earlier sweep of the same candidates, data and plan, which was interrupted: these are not fitted again.

    Raises
    ------
    DataError
        Features cannot be used (see `feature_matrix`), every candidate failed, or an argument is unknown.
    UnknownHeadError
        A candidate's head is not registered.
    """
    labels = _checked_labels(y, metric, candidates)
    task = Task(
        y=labels,
        n_classes=0 if metric in REGRESSION_METRICS else int(labels.max()) + 1,
        plan=plan,
        groups=None if groups is None else np.asarray(groups),
        seed=seed,
    )
    heads = {candidate.head: find_head(candidate.head, candidate.task) for candidate in candidates}
    results, known = list(finished), {id(result.candidate) for result in finished}

    def receive(candidate: Candidate, outcome: Result | BaseException) -> None:
        if isinstance(outcome, BaseException):  # Dask's; what a head raises is in its result
            outcome = Result(candidate=candidate, error=f"{type(outcome).__name__}: {outcome}")
        results.append(replace(outcome, candidate=candidate))
        if on_result is not None:
            on_result(results[-1])

    if rest := [candidate for candidate in candidates if id(candidate) not in known]:
        _run_jobs(rest, heads, task, dask, workers, receive)
    return order_results(results, candidates, metric)


def order_results(results: Sequence[Result], candidates: Sequence[Candidate], metric: str) -> list[Result]:
    """Return results best first, of equals the lowest log-loss and then in the order of the candidates; failed last.

    Raises
    ------
    DataError
        All failed.
    """
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
    model = find_head(candidate.head, candidate.task).make(candidate.params, seed)
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
    predictions : ndarray of shape (n_test,)
        Classes, 0 … n_classes - 1, as int; or numbers as float64.
    probability : float64 ndarray of shape (n_test, n_classes), or None
        None for heads without probabilities.
    scores : dict of str to Score or None
        Every metric with its interval.
    """

    rows: NDArray[np.intp]
    predictions: NDArray[Any]
    probability: NDArray[np.float64] | None
    scores: dict[str, Score | None]


def score_test(
    model: Any, X: ArrayLike, y: ArrayLike, plan: SplitPlan, *, groups: ArrayLike | None = None, seed: int = 0
) -> FinalScore:
    """Score a fitted head on the plan's test rows: once, after everything has been chosen.

    Parameters
    ----------
    model : fitted scikit-learn classifier or regressor
    X : array-like of shape (n_images, n_features)
    y : array of shape (n_images,)
        Classes as int, or numbers for a regressor.
    plan : SplitPlan
    groups : int array of shape (n_images,) or None
        Images that intervals draw together.
    seed : int
        Of the intervals.
    """
    together = None if groups is None else np.asarray(groups)[plan.test]
    if is_regressor(model):
        numbers = predict_numbers(model, np.asarray(X)[plan.test])
        found = score_numbers(np.asarray(y)[plan.test], numbers, groups=together, seed=seed)
        return FinalScore(rows=plan.test, predictions=numbers, probability=None, scores=found)
    labels = np.asarray(y).astype(np.intp)
    n_classes = int(labels.max()) + 1
    predictions, probability = predict(model, np.asarray(X)[plan.test], n_classes)
    scores = score_predictions(labels[plan.test], probability, predictions, n_classes, groups=together, seed=seed)
    return FinalScore(rows=plan.test, predictions=predictions, probability=probability, scores=scores)


def _checked_labels(y: ArrayLike, metric: str, candidates: Sequence[Candidate]) -> NDArray[Any]:
    """Return classes as int or numbers as float64, as the metric wants them, if the candidates' heads want the same."""
    if metric not in _HIGHER_IS_BETTER:
        raise DataError(f"no metric is called {metric!r}; expected one of {', '.join(_HIGHER_IS_BETTER)}")
    task = "regress" if metric in REGRESSION_METRICS else "classify"
    if any(candidate.task != task for candidate in candidates):
        raise DataError(f"the metric {metric} is for heads that {task}; choose another metric, or other heads")
    return np.asarray(y).astype(np.float64 if task == "regress" else np.intp)


def _rank(result: Result, metric: str) -> tuple[int, float, float]:
    """Return what sorts results: scored before unscored before failed, better before worse.

    On few images many candidates are right equally often; of these, the one surer where it was right comes first.
    """
    if result.error is not None:
        return 2, 0.0, 0.0
    score, loss = result.scores[metric], result.scores.get("log_loss")
    if not _is_finite(score):
        return 1, 0.0, 0.0
    return 0, -score.value if _HIGHER_IS_BETTER[metric] else score.value, loss.value if _is_finite(loss) else math.inf


def _is_finite(score: Score | None) -> TypeGuard[Score]:
    """Say whether there is a score to compare; one that is not finite would leave the order to chance."""
    return score is not None and math.isfinite(score.value)


def _run_jobs(
    candidates: Sequence[Candidate],
    heads: Mapping[str, Head],
    task: Task,
    dask: str,
    workers: int | None,
    receive: Callable[[Candidate, Result | BaseException], None],
) -> None:
    shared = dask == "threads"
    sources, width = _checked_sources(candidates, len(task.y), shared=shared)
    with quiet_and_single_threaded(), open_client(dask, workers) as client:

        def start(some: Sequence[Candidate]) -> dict[Any, Candidate]:
            used = dict.fromkeys(id(candidate.features) for candidate in some)
            return submit_jobs(
                partial(client.submit, pure=False),
                some,
                heads,
                {number: place(client, sources[number], in_process=shared) for number in used},
                place(client, task, in_process=shared),
                SweepSize.of(task, width, max(1, sum(client.nthreads().values()))),
            )

        lost = gather(client, start(candidates), receive)
        for candidate in lost:  # one at a time: so the one that ends its worker is told from those that ran beside it
            if gather(client, start([candidate]), receive):
                receive(candidate, WorkerLostError(_LOST))


def _checked_sources(candidates: Sequence[Candidate], n_images: int, *, shared: bool) -> tuple[dict[int, object], int]:
    """Check each feature set once and return what workers get, by identity of its features, and the most columns.

    Threads share one float32 matrix. Processes get the object itself where it pickles small, read it once each, and
    cast fold by fold.
    """
    sources: dict[int, object] = {}
    widths = []
    for candidate in candidates:
        if id(candidate.features) not in sources:
            X = feature_matrix(candidate.features, n_images, f"{candidate.backbone}/{candidate.tap}")
            widths.append(X.shape[1])
            by_value = shared or isinstance(candidate.features, np.ndarray | list | tuple)
            sources[id(candidate.features)] = X if by_value else ReadOnce(candidate.features)
    return sources, max(widths)
