"""What a fit found, as plain values: rows of the leaderboard, and the card of the saved model."""

from dataclasses import asdict
from typing import Any

from flows.problem import Problem
from heads.candidates import Candidate
from heads.evaluate import Score
from heads.trial import Result


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
        "score": score.value if score else None,
        "low": score.low if score else None,
        "high": score.high if score else None,
        "split": split,
        "scores": plain_scores(result.scores),
        "fit_seconds": round(result.fit_seconds, 4),
        "error": result.error,
        "warnings": result.warnings,
    }


def plain_scores(scores: dict[str, Score | None]) -> dict[str, dict[str, float]]:
    """Write scores as plain values: metric to ``value, low, high``, without the metrics that a head cannot have."""
    return {metric: asdict(score) for metric, score in scores.items() if score}


def model_card(problem: Problem, candidate: Candidate, row: dict[str, Any], test: dict[str, Any]) -> dict[str, Any]:
    """Gather what `predict` needs beside the head, and what a person would ask of a saved model."""
    store = problem.find(candidate.key, candidate.tap).store
    return {
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
