"""Fit a winner on all of train and score it once, and the best of every other embedding for comparison."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.memory import give_back_freed_memory
from headstart.flows.fitting.imbalance import choose_decision, describe_choice, goal_of
from headstart.flows.fitting.streamed import Streaming
from headstart.flows.options import FitOptions
from headstart.flows.problem import Problem
from headstart.flows.reporting import OutOfFold, fit_doubt, judge_test, predict_out_of_fold
from headstart.heads.analysis import ChosenDecision, with_temperature
from headstart.heads.coverage import Doubt, Judged
from headstart.heads.errors import DataError
from headstart.heads.registry import Candidate
from headstart.heads.report import DecisionRows
from headstart.heads.solvers.sums import Stream
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore, Result, decide_test, fit_final, score_test

Embedding = tuple[str, str]
"""Id of the key, and tap."""


@dataclass(frozen=True)
class Scored:
    """Winner fitted on all of train, and its score on the test images.

    If asked, its predictions for its own images and its doubt, judging the test images too unless their score is known.
    Where a decision was chosen, the score is with it, and `plain` is without it.
    """

    final: Any
    test: FinalScore
    features: npt.NDArray[np.float32] | None = None
    out_of_fold: OutOfFold | None = None
    doubt: Doubt | None = None
    judged: Judged | None = None
    chosen: ChosenDecision | None = None
    plain: FinalScore | None = None


def score_winner(
    problem: Problem,
    plan: SplitPlan,
    winner: Result,
    streaming: Streaming | None,
    *,
    options: FitOptions,
    known: FinalScore | None = None,
) -> Scored:
    """Fit the winner on all of train and, unless its score is `known` from nested folds, score it on test.

    Parameters
    ----------
    problem, plan, streaming
        The same as for `flows.fitting.conclusion.conclude`.
    winner : Result
    options : FitOptions
        Of these the seed, whether to calibrate probabilities, sets and outliers, and what a decision is chosen for.
    known : FinalScore or None
        Score of the models of nested folds; the winner is then fitted on all images, and none is left to score it.

    Raises
    ------
    DataError
        The winner cannot be calibrated, or gives no probabilities to decide by.
    """
    candidate = winner.candidate
    seed, calibrate, doubts = options.seed, options.calibrate, options.coverage is not None
    goal = goal_of(problem, options)
    if streaming:
        return Scored(*_fit_and_score(problem, plan, candidate, seed))
    features = np.asarray(candidate.features, dtype=np.float32)
    final = fit_final(candidate, features, problem.y, plan, seed)
    wanted = calibrate or goal is not None or (doubts and hasattr(final, "predict_proba"))
    oof = predict_out_of_fold(problem, plan, candidate, features, seed, winner.probability) if wanted else None
    if calibrate:
        final = _calibrated(final, oof, candidate.head)
    chosen = choose_decision(problem, plan, oof, goal, candidate.head, calibrated=calibrate) if goal else None
    test = known or score_test(final, features, problem.y, plan, groups=problem.groups, seed=seed)
    doubt = fit_doubt(problem, plan, candidate, features, oof, options) if doubts else None
    judged = judge_test(problem, plan, doubt, final, features) if doubt and not known else None
    plain = test if chosen and not known else None
    if chosen and plain:
        test = decide_test(plain, chosen.decision, problem.y, groups=problem.groups, seed=seed)
    return Scored(final, test, features, oof, doubt, judged, chosen, plain)


def describe_decision(
    problem: Problem, scored: Scored, plain: FinalScore | None, options: FitOptions
) -> DecisionRows | None:
    """Say what the winner's decision does to its score, given the score without it; None where none was chosen."""
    goal = goal_of(problem, options)
    if goal is None or scored.chosen is None or plain is None:
        return None
    return describe_choice(problem, scored.chosen, goal, plain, scored.test, options.seed)


def score_others(
    problem: Problem,
    plan: SplitPlan,
    results: Sequence[Result],
    winner: Result,
    metric: str,
    seed: int,
) -> dict[Embedding, FinalScore]:
    """Score on the test images, after the choice, the best candidate of every embedding except the winner's."""
    best = best_of_embeddings(results, metric)
    return {
        place: _fit_and_score(problem, plan, result.candidate, seed)[1]
        for place, result in best.items()
        if place != (winner.candidate.key, winner.candidate.tap)
    }


def best_of_embeddings(results: Sequence[Result], metric: str) -> dict[Embedding, Result]:
    """Return the best result of every embedding; `results` are sorted, best first."""
    best: dict[Embedding, Result] = {}
    for result in results:
        if not result.error and result.scores[metric]:
            best.setdefault((result.candidate.key, result.candidate.tap), result)
    return best


def _fit_and_score(problem: Problem, plan: SplitPlan, candidate: Candidate, seed: int) -> tuple[Any, FinalScore]:
    """Fit a candidate on all of train, and score it on the test images."""
    features: Any = candidate.features
    if isinstance(features, Stream):
        give_back_freed_memory()  # of the sweep
    else:
        features = np.asarray(features, dtype=np.float32)
    final = fit_final(candidate, features, problem.y, plan, seed)
    return final, score_test(final, features, problem.y, plan, groups=problem.groups, seed=seed)


def _calibrated(final: Any, oof: OutOfFold | None, head: str) -> Any:
    if oof is None:
        raise DataError(f"{head} gives no probabilities to calibrate; leave out --calibrate, or try other heads")
    return with_temperature(final, oof.temperature)
