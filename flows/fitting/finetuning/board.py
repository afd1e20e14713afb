"""Leaderboard of a sweep over tails, with the linear heads among them: all by the same folds."""

from collections.abc import Sequence
from dataclasses import replace

from headstart.extractors.spec import short_name
from headstart.flows.fitting import compare_with_winner, leaderboard_row
from headstart.flows.fitting.finetuning.linear import LinearHeads
from headstart.flows.fitting.finetuning.sweep import Compared
from headstart.flows.fitting.finetuning.trainer import HEAD
from headstart.flows.problem import Problem
from headstart.heads.report import CandidateRow
from headstart.heads.scoring import RunnerUp, find_metric
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import Result, rank_of


def describe_candidates(
    compared: Sequence[Compared], linear: LinearHeads, problem: Problem, plan: SplitPlan, metric: str, seed: int
) -> list[CandidateRow]:
    """Return a row for each tail and linear head, best first; none where no tails were compared.

    What was dropped on the way stands below all that went through every fold, and is tested against nothing.
    """
    tails = [one.result for one in compared if one.result]
    if not tails:
        return []
    n_folds, kind = len(plan.folds), find_metric(metric)
    every = sorted(
        [*tails, *linear.results],
        key=lambda one: (bool(one.error), -len(one.per_fold), rank_of(one, kind)),
    )
    whole = [one if len(one.per_fold) == n_folds else replace(one, predictions=None) for one in every]
    rivals = compare_with_winner(problem, plan, whole, whole[0], metric=metric, seed=seed)
    return [_row(problem, one, metric, plan, rival) for one, rival in zip(whole, rivals, strict=True)]


def _row(problem: Problem, result: Result, metric: str, plan: SplitPlan, rival: RunnerUp | None) -> CandidateRow:
    candidate, n_folds, n_done = result.candidate, len(plan.folds), len(result.per_fold)
    embedded = next(one for one in problem.embedded if one.store.key.id == candidate.key)
    split = "val" if plan.selection == "val" else f"{n_folds}-fold CV"
    split = split if n_done in (0, n_folds) else f"{n_done} of {n_folds} folds"
    views = problem.n_views if candidate.head == HEAD else 1
    row = leaderboard_row(embedded, result, metric, split, rival, views=views)
    return replace(row, label=short_name(embedded.backbone))
