"""Predictions of the winner for the images that chose it, each by a model that was not fitted on it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from headstart.flows.problem import Problem
from headstart.heads.analysis import fit_temperature_on_oof
from headstart.heads.errors import DataError
from headstart.heads.folds import cross_validate
from headstart.heads.registry import Candidate
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import Task, predict_folds

_FOLDS = 5  # where a val split chose the winner


@dataclass(frozen=True)
class OutOfFold:
    """Predictions for images that the winner was not fitted on: `probability` (n_rows, n_classes) for these `rows`."""

    rows: npt.NDArray[np.intp]
    probability: npt.NDArray[np.float64]
    temperature: float
    notes: list[str]


def predict_out_of_fold(
    problem: Problem,
    plan: SplitPlan,
    candidate: Candidate,
    features: npt.NDArray[np.float32],
    seed: int,
    known: npt.NDArray[np.float64] | None = None,
    *,
    decisions: bool = False,
) -> OutOfFold | None:
    """Fit the winner without each of its training images in turn, fold by fold; None if it gives no probabilities.

    Where a val split chose, the training images are folded here, and val is predicted by a fit on all of them. With
    `decisions`, a head without probabilities gives the softmax of its decisions, and None if it has none either.
    Where the folds are those of the sweep, what is `known` of them, (n_scored, n_classes), is taken in place of fits.
    """
    folds, notes = list(plan.first_folds), []
    if plan.selection == "val":
        try:
            folds += cross_validate(problem.y, problem.groups, plan.train, _FOLDS, seed, problem.class_names)
        except DataError as error:
            notes = [f"labels in train were not looked at for mistakes: {error}"]
    task = Task(
        y=problem.y.astype(np.intp),
        n_classes=len(problem.class_names),
        plan=replace(plan, folds=folds, repeats=1),
        groups=problem.groups,
        seed=seed,
    )
    rows = np.concatenate([score for _, score in folds])
    if known is None or plan.selection == "val":
        probability = predict_folds(candidate, features, task, decisions=decisions)
    else:
        probability = known[: len(rows)]  # of the first round
    if probability is None:
        return None
    chose = len(np.concatenate([score for _, score in plan.first_folds]))  # what comes after saw no choice of anything
    temperature = fit_temperature_on_oof(problem.y[rows[:chose]], probability[:chose])
    return OutOfFold(rows, probability, temperature, notes)
