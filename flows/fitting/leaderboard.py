"""What a fit found, as plain values: rows of the leaderboard, and the card of the saved model."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.flows.problem import Problem
from headstart.heads.registry import Candidate
from headstart.heads.report import params_text
from headstart.heads.scoring import RunnerUp, Score, tied_numbers, tied_with_winner
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import Result


def leaderboard_row(problem: Problem, result: Result, metric: str, split: str) -> dict[str, Any]:
    """Describe what a candidate reached, as the leaderboard, its CSV and the JSON have it."""
    candidate, score = result.candidate, result.scores.get(metric)
    embedded = problem.find(candidate.key, candidate.tap)
    return {
        "backbone": embedded.backbone,
        "weights": embedded.store.about["weights_name"],
        "label": embedded.label,
        "key": candidate.key,
        "tap": candidate.tap,
        "head": candidate.head,
        "params": candidate.params,
        "metric": metric,
        **(_plain(score, "score") if score else {"score": None, "low": None, "high": None}),
        "split": split,
        "scores": plain_scores(result.scores),
        "fit_seconds": round(result.fit_seconds, 4),
        "error": result.error,
        "warnings": result.warnings,
    }


def plain_scores(scores: dict[str, Score | None]) -> dict[str, dict[str, float | None]]:
    """Write scores as plain values: metric to ``value, low, high``, without the metrics that a head cannot have.

    An end of an interval that is infinite, as with a single group, is None: JSON has no such number.
    """
    return {metric: _plain(score, "value") for metric, score in scores.items() if score}


def _plain(score: Score, name: str) -> dict[str, float | None]:
    return {
        (name if field == "value" else field): number if math.isfinite(number) else None
        for field, number in asdict(score).items()
    }


def write_leaderboard(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a leaderboard as CSV, without the metrics that did not order it.

    Raises
    ------
    CacheError
        It cannot be written.
    """
    flat = [{name: value for name, value in row.items() if name not in ("scores", "params")} for row in rows]
    table = pd.DataFrame(flat).assign(params=[params_text(row["params"]) for row in rows])
    write_atomically(path, table.to_csv(index=False).encode())


def model_card(problem: Problem, candidate: Candidate, row: dict[str, Any], test: dict[str, Any]) -> dict[str, Any]:
    """Gather what `predict` needs beside the head, and what a person would ask of a saved model."""
    store = problem.find(candidate.key, candidate.tap).store
    return {
        "task": problem.task,
        "class_names": problem.class_names,
        "target": problem.target,
        "head": candidate.head,
        "params": candidate.params,
        "tap": candidate.tap,
        "embedding": store.key.as_dict(),
        "weights_name": store.about["weights_name"],
        "weights_source": store.about["weights_source"],
        "scores": {
            "selection": {name: row[name] for name in ("metric", "score", "low", "high", "split")},
            "test": test,
        },
    }


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
