"""Results of a fit: rows of the leaderboard, and the card of the saved model."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.flows.fit_summary import FitSummary
from headstart.flows.output import plain
from headstart.flows.problem import Embedded, Problem
from headstart.heads.registry import Candidate
from headstart.heads.report import NO_SCORE, CandidateRow, ScoreRow, params_text, score_rows
from headstart.heads.saving import Card
from headstart.heads.scoring import RunnerUp, find_metric, tied_with_winner
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import Result


def leaderboard_row(
    embedded: Embedded, result: Result, metric: str, split: str, rival: RunnerUp | None, *, views: int
) -> CandidateRow:
    """Describe what a candidate reached, and how it compares with the winner."""
    candidate, score = result.candidate, result.scores.get(metric)
    ends = ScoreRow.of(score) if score else NO_SCORE
    return CandidateRow(
        backbone=embedded.backbone,
        weights=embedded.store.about["weights_name"],
        label=embedded.label,
        key=candidate.key,
        tap=candidate.tap,
        head=candidate.head,
        params=candidate.params,
        metric=metric,
        score=ends.value,
        low=ends.low,
        high=ends.high,
        split=split,
        scores=score_rows(result.scores),
        fit_seconds=round(result.fit_seconds, 4),
        error=result.error,
        warnings=result.warnings,
        tied=rival.tied if rival else None,
        p_value=rival.p_adjusted if rival else None,
        views=views,
    )


def write_leaderboard(path: Path, rows: Sequence[CandidateRow], run: str) -> None:
    """Write the leaderboard of a run as CSV, without the metrics that did not order it.

    Raises
    ------
    CacheError
        It cannot be written.
    """
    flat = [{name: value for name, value in vars(row).items() if name not in ("scores", "params")} for row in rows]
    table = pd.DataFrame(flat).assign(params=[params_text(row.params) for row in rows], run=run)
    write_atomically(path, table.to_csv(index=False).encode())


def model_card(problem: Problem, candidate: Candidate, summary: FitSummary) -> Card:
    """Gather what `predict` needs beside the head, and what a person would ask of a saved model."""
    embedded, row = problem.find(candidate.key, candidate.tap), summary.winner
    store = embedded.store
    drawn = [asdict(view) for view in embedded.drawn]
    return {
        "run": summary.run,
        "task": problem.task,
        "class_names": problem.class_names,
        "target": problem.target,
        "head": candidate.head,
        "params": plain(candidate.params),
        "tap": candidate.tap,
        "embedding": store.key.as_dict(),
        "weights_name": store.about["weights_name"],
        "weights_source": store.about["weights_source"],
        "scores": {
            "selection": {name: getattr(row, name) for name in ("metric", "score", "low", "high", "split")},
            "test": plain(summary.test),
        },
        **({"views": {"drawn": drawn, "average": summary.average_views}} if drawn else {}),
    }


_MOST_NAMED = 3


def compare_with_winner(
    problem: Problem, plan: SplitPlan, results: Sequence[Result], winner: Result, *, metric: str, seed: int
) -> list[RunnerUp | None]:
    """Compare the winner with every other candidate that has the metric, on the images that chose it.

    Returns
    -------
    list of RunnerUp or None
        In the order of `results`; None for the winner and for what has no such score.
    """
    rivals: list[RunnerUp | None] = [None] * len(results)
    places = [
        place
        for place, one in enumerate(results)
        if one is not winner and one.predictions is not None and one.scores.get(metric)
    ]
    if winner.predictions is None or not places:
        return rivals
    rows = np.concatenate([scored for _, scored in plan.folds])
    numbers = problem.groups[rows]
    groups = numbers if len(np.unique(numbers)) < len(numbers) else None
    others = [one for place in places if (one := results[place].predictions) is not None]
    found = tied_with_winner(metric, problem.y[rows], winner.predictions, others, groups=groups, seed=seed)
    for place, runner_up in zip(places, found, strict=True):
        rivals[place] = runner_up
    return rivals


def tell_silent(leaderboard: Sequence[CandidateRow], metric: str) -> list[str]:
    """Say which heads could not be chosen because the metric needs probabilities, which they do not give."""
    silent = sorted({row.head for row in leaderboard if not row.error and metric not in row.scores})
    if not silent or not find_metric(metric).needs_probability:
        return []
    those = "gives" if len(silent) == 1 else "give"
    return [f"{', '.join(silent)} {those} no probabilities, which {metric} needs: not scored by it, and not chosen"]


def tell_ties(leaderboard: Sequence[CandidateRow]) -> list[str]:
    """Say of a leaderboard, for people, which of its rows are tied with the winner."""
    tied = [row for row in leaderboard if row.tied]
    if not tied:
        return []
    names = [f"{row.head} ({params_text(row.params)})" if row.params else row.head for row in tied]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    ties = (
        f"{len(names)} of {len(leaderboard) - 1} other candidates are tied with the winner (paired test, p ≥ 0.05): "
        f"{', '.join(names[:_MOST_NAMED])}{more}"
    )
    return [ties]
