"""A whole grid of one head on one fold at once, where the head's arithmetic lets all of it share the work."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from heads.errors import DataError
from heads.isolation import isolated_job
from heads.trial import Result, Task, contiguous_rows, run_trial, score_folds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from heads.candidates import Candidate
    from heads.grid_paths import GridPath
    from heads.registry import Head


@dataclass(frozen=True, kw_only=True)
class FoldPart:
    """What one head said of one fold's images, for some of its hyper-parameters.

    Parameters
    ----------
    probabilities : list of float64 ndarray of shape (n_scored, n_classes)
        One for each choice of hyper-parameters; a column for each class of the whole image set.
    seconds : float
        Of fitting and predicting, for all of them together.
    warnings : list of str
    error : str or None
        Why fitting failed; then there are none.
    """

    probabilities: list[NDArray[np.float64]] = field(default_factory=list, repr=False)
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
    error: str | None = None


def run_path(path: GridPath, grid: Sequence[Mapping[str, Any]], features: object, fold: int, task: Task) -> FoldPart:
    """Fit a whole grid on one fold in one go; what fails gives its reason.

    Parameters
    ----------
    path : GridPath
    grid : sequence of mappings
        Hyper-parameters.
    features : array-like of shape (n_images, n_features)
        Wherever they are for this worker.
    fold : int
        Number of the fold in the task's plan.
    task : Task
    """
    texts: list[str] = []
    fit_rows, score_rows = task.plan.folds[fold]
    try:
        solve = path.load()  # loads what the head needs, before threads are counted
        with isolated_job() as texts:
            start = time.perf_counter()
            X = np.asarray(features)
            present, codes = np.unique(task.y[fit_rows], return_inverse=True)
            seed = task.seed + task.plan.round_of(fold)
            found = solve(contiguous_rows(X, fit_rows), codes, contiguous_rows(X, score_rows), grid, seed)
            wide = [_widened(probability, present, task.n_classes) for probability in found]
            return FoldPart(probabilities=wide, seconds=time.perf_counter() - start, warnings=texts)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - as in run_trial
        return FoldPart(error=f"{type(error).__name__}: {error}", warnings=texts)


def join_folds(
    candidate: Candidate,
    number: int,
    n_together: int,
    parts: Sequence[FoldPart],
    head: Head,
    features: object,
    task: Task,
) -> Result:
    """Score one of the candidates that went through the folds together.

    Where they failed together, which may be the fault of one of them, the candidate goes through the folds by itself.

    Parameters
    ----------
    candidate : Candidate
    number, n_together : int
        Which of the choices of hyper-parameters in `parts` it is, and how many there are: they share the time.
    parts : sequence of FoldPart
        Fold after fold.
    head, features, task
        As for `run_trial`.
    """
    if any(part.error for part in parts):
        return run_trial(candidate, head, features, task)
    probabilities = [part.probabilities[number] for part in parts]
    said = [(probability.argmax(axis=1), probability) for probability in probabilities]
    seconds = sum(part.seconds for part in parts) / n_together
    texts = list(dict.fromkeys(text for part in parts for text in part.warnings))
    try:
        return score_folds(candidate, task, said, fit_seconds=seconds, history=None, warnings=texts)
    except DataError as error:
        return Result(candidate=candidate, error=f"{type(error).__name__}: {error}", warnings=texts)


def _widened(probability: NDArray[np.float64], present: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """Return one column a class, whatever classes the fold held."""
    widened = np.zeros((len(probability), n_classes))
    widened[:, present] = probability
    return widened
