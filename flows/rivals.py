"""Which candidates the images of a selection cannot tell from the winner."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.flows.problem.problem import Problem
from headstart.heads.report.text import params_text
from headstart.heads.scoring.paired import RunnerUp, tied_with_winner
from headstart.heads.scoring.paired_numbers import tied_numbers
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep.trial import Result

_MOST_NAMED = 3


def compare_with_winner(
    problem: Problem, plan: SplitPlan, results: Sequence[Result], winner: Result, *, metric: str, seed: int
) -> dict[int, RunnerUp]:
    """Compare the winner with every other candidate that has the metric, on the images that chose it.

    Returns
    -------
    dict of int to RunnerUp
        By the `id` of the result.
    """
    others = [one for one in results if one is not winner and one.predictions is not None and one.scores.get(metric)]
    if winner.predictions is None or not others:
        return {}
    rows = np.concatenate([scored for _, scored in plan.folds])
    numbers = problem.groups[rows]
    groups = numbers if len(np.unique(numbers)) < len(numbers) else None
    said = [one.predictions for one in others if one.predictions is not None]
    if problem.task == "regress":
        values = [one.classes for one in said]
        found = tied_numbers(metric, problem.y[rows], winner.predictions.classes, values, groups=groups, seed=seed)
    else:
        found = tied_with_winner(metric, problem.y[rows], winner.predictions, said, groups=groups, seed=seed)
    return {id(one): runner_up for one, runner_up in zip(others, found, strict=True)}


def describe_rival(runner_up: RunnerUp | None) -> dict[str, Any]:
    """Return what the leaderboard says of a comparison with the winner."""
    if runner_up is None:
        return {"tied": None, "p_value": None}
    return {"tied": runner_up.tied, "p_value": runner_up.p_adjusted}


def tell_ties(leaderboard: Sequence[dict[str, Any]]) -> list[str]:
    """Say of a leaderboard, for people, which of its rows are tied with the winner."""
    tied = [row for row in leaderboard if row["tied"]]
    if not tied:
        return []
    names = [f"{row['head']} ({params_text(row['params'])})" if row["params"] else row["head"] for row in tied]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    told = (
        f"{len(names)} of {len(leaderboard) - 1} other candidates are tied with the winner (paired test, p ≥ 0.05): "
        f"{', '.join(names[:_MOST_NAMED])}{more}"
    )
    return [told]
