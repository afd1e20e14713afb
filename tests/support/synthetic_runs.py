"""Runs that no fit made: a history with known settings, scores and predictions."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.spec.key import EmbeddingKey
from headstart.extractors.spec.preprocessing import Preprocessing
from headstart.flows.history.record import RUN_FILE
from headstart.flows.history.run import Run, RunData, RunSettings
from headstart.flows.history.runs import append_run
from headstart.heads.report.rows import NO_SCORE, CandidateRow, ScoreRow, TestResult

NAMES = np.array(["cat", "dog", "owl"], dtype=object)


KEY = EmbeddingKey(
    backbone="torchvision/resnet18",
    weights="sha256:0123",
    taps=("penultimate",),
    preprocessing=Preprocessing(resize=232),
)
SETTINGS = RunSettings(heads=["logreg"], sweep=None, metric="accuracy", folds=5, test_size=0.2, seed=0, target="label")
DATA = RunData(
    cache="birds.headstart",
    name="birds",
    target="label",
    n_images=1000,
    n_classes=3,
    n_test=200,
    images="cccc",
    train="bbbb",
    test="aaaa",
)


def score(value: float) -> ScoreRow:
    return ScoreRow(value, value - 0.02, min(1.0, value + 0.02))


def row(head: str = "logreg", accuracy: float | None = 0.9, **changes: Any) -> CandidateRow:
    """Give a row of the leaderboard; without accuracy, of one that failed."""
    scores = {} if accuracy is None else {"accuracy": score(accuracy), "log_loss": score(1 - accuracy)}
    ends = scores.get("accuracy", NO_SCORE)
    given: dict[str, Any] = {
        "backbone": "torchvision/resnet18",
        "weights": "IMAGENET1K_V1",
        "label": "resnet18",
        "key": "resnet18-0123456789abcdef",
        "tap": "penultimate",
        "head": head,
        "params": {"C": 0.01},
        "metric": "accuracy",
        "score": ends.value,
        "low": ends.low,
        "high": ends.high,
        "split": "5-fold CV",
        "scores": scores,
        "fit_seconds": 0.25,
        "error": None if accuracy is not None else "ValueError: C must be positive",
    }
    return CandidateRow(**(given | changes))


def run_of(
    number: int = 0,
    *,
    head: str = "logreg",
    accuracy: float = 0.9,
    test: str = "aaaa",
    settings: dict[str, Any] | None = None,
    **changes: Any,
) -> Run:
    """Make the run of second `number`."""
    scores = {"accuracy": score(accuracy), "log_loss": score(1 - accuracy)}
    given: dict[str, Any] = {
        "id": f"20260102-0304{number:02d}-{number:04x}",
        "time": f"2026-01-02T03:04:{number:02d}+00:00",
        "settings": replace(SETTINGS, **(settings or {})),
        "versions": {"headstart": "0.1.0"},
        "data": replace(DATA, test=test),
        "embedding": KEY,
        "winner": row(head, accuracy - 0.01),
        "test": TestResult(split="test", n_images=200, n_train=800, scores=scores),
        "results": "birds.results",
        "n_candidates": 5,
        "seconds": 1.5,
    }
    return Run(**(given | changes))


def predictions_of(n_wrong: int, *, start: int = 0, n_images: int = 200, sure: float = 0.8) -> pd.DataFrame:
    """Predict images `start` … of three classes in turn, the first `n_wrong` of them wrongly."""
    numbers = start + np.arange(n_images)
    true = numbers % 3
    predicted = np.where(np.arange(n_images) < n_wrong, (true + 1) % 3, true)
    return pd.DataFrame(
        {
            "digest": [hashlib.sha256(f"image {number}".encode()).hexdigest() for number in numbers],
            "true": pd.Series(NAMES[true], dtype="category"),
            "predicted": pd.Series(NAMES[predicted], dtype="category"),
            "probability_of_true": np.where(true == predicted, sure, 0.1).astype(np.float32),
            "group": numbers,
        }
    )


def keep(history: Path, run: Run, predictions: pd.DataFrame | None = None, results: Path | None = None) -> Run:
    """Add a run to a history, and to a results folder if one is named."""
    append_run(history, run, predictions_of(20) if predictions is None else predictions)
    if results is not None:
        results.mkdir(exist_ok=True)
        write_atomically(results / RUN_FILE, run.as_line().encode())
    return run
