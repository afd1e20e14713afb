"""Predictions of a head for images that it was not fitted on, with the probability of every class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.features import contiguous_rows
from headstart.heads.isolation import isolated_job
from headstart.heads.prediction import class_scores
from headstart.heads.registry import find_head, solver_of
from headstart.heads.sweep.grid_trial import run_solver

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headstart.heads.registry import Candidate
    from headstart.heads.sweep.trial import Task

    Doubles = NDArray[np.float64]


def predict_folds(
    candidate: Candidate, features: NDArray[np.float32], task: Task, *, decisions: bool = False
) -> Doubles | None:
    """Fit a candidate again in every fold and return its probabilities for the images that the folds score.

    A sweep keeps the probability of the true class alone: of every class, for every candidate, would fill the memory.

    Parameters
    ----------
    candidate : Candidate
    features : float32 ndarray of shape (n_rows, n_features)
    task : Task
        Of the sweep.
    decisions : bool
        Of a head without probabilities, give the softmax of its decisions.

    Returns
    -------
    float64 ndarray of shape (n_scored, n_classes), or None
        Fold after fold; None for heads without probabilities, or without decisions either.
    """
    solver = solver_of(candidate)
    if solver:
        part = run_solver(solver, {fold: {0: candidate.params} for fold in range(len(task.plan.folds))}, features, task)
        if not part.error:
            return np.concatenate(list(part.probabilities.values()))
    found = [_fit_fold(candidate, features, fold, task, decisions=decisions) for fold in range(len(task.plan.folds))]
    given = [probability for probability in found if probability is not None]
    return np.concatenate(given) if given else None


def _fit_fold(
    candidate: Candidate, features: NDArray[np.float32], fold: int, task: Task, *, decisions: bool
) -> Doubles | None:
    fit_rows, score_rows = task.plan.folds[fold]
    model = find_head(candidate.head).make(candidate.params, task.seed)
    with isolated_job():  # what it warns of, the sweep's result has reported for this candidate
        views = task.plan.views
        model.fit(contiguous_rows(features, views.to_fit(fit_rows)), views.labels(task.y[fit_rows]))
        if not decisions and not hasattr(model, "predict_proba"):
            return None
        scores = class_scores(model, features[views.to_score(score_rows)], task.n_classes)
        return None if scores is None else views.mean(scores)
