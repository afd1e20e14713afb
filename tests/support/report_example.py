"""A small experiment as the report sees it, and parts of it to vary."""

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from headstart.heads.analysis.calibration import Bin, CalibrationError
from headstart.heads.analysis.few_shot import FewShotPoint
from headstart.heads.coverage.measured import ClassCoverage, MeasuredDoubt
from headstart.heads.coverage.risk_coverage import risk_coverage
from headstart.heads.coverage.share import Share
from headstart.heads.report.exhibits import (
    CopyPair,
    CopyPairs,
    Curve,
    Mistake,
    OutlierRow,
    Reliability,
    RightAnswer,
    SuspectRow,
)
from headstart.heads.report.page import ReportData
from headstart.heads.report.rows import CandidateRow, ScoreRow, TestResult
from headstart.heads.scoring import ClassScore

HEADLINE = "mobilenet_v2 · penultimate · logreg (C = 0.01): 83.3 % accuracy [50.0, 97.8] on val, 6 images, scored once"


def candidate(
    head: str = "logreg", score: float | None = 0.9, *, backbone: str = "mobilenet_v2", **params: Any
) -> CandidateRow:
    """Return a row of the leaderboard; without a score, one that failed."""
    low, high = (None, None) if score is None else (score - 0.05, min(1.0, score + 0.04))
    return CandidateRow(
        backbone=f"torchvision/{backbone}",
        weights="IMAGENET1K_V1",
        label=backbone,
        key=f"{backbone}-0123456789abcdef",
        tap="penultimate",
        head=head,
        params=params,
        metric="accuracy",
        score=score,
        low=low,
        high=high,
        split="cv",
        scores={} if score is None else {"accuracy": ScoreRow(score, low, high)},
        fit_seconds=0.25,
        error="DataError: too few images" if score is None else None,
    )


def thumbnail(colour: str = "teal") -> bytes:
    """Return a JPEG."""
    file = BytesIO()
    Image.new("RGB", (32, 24), colour).save(file, "JPEG")
    return file.getvalue()


def mistake(**changes: Any) -> Mistake:
    """Return an entry of the gallery."""
    given = {
        "path": "val/ants/a.jpg",
        "true": "ants",
        "predicted": "bees",
        "probability": 0.97,
        "thumbnail": thumbnail(),
    }
    return Mistake(**(given | changes))


def point(size: int | None, n_train: int, accuracy: float, low: float, high: float) -> FewShotPoint:
    """Return a point of the curve of few labels."""
    return FewShotPoint(
        images_per_class=size,
        n_train=n_train,
        n_short=0,
        accuracy=accuracy,
        low=low,
        high=high,
        per_draw=(accuracy,),
    )


def everything(name: str = "bees", path: str = "train/bees/b.jpg") -> dict[str, Any]:
    """Return one entry of each part that a report may lack, with a class and a path of choice."""
    bins = [Bin(0.6, 0.5, 40, 0.35, 0.65), Bin(0.9, 0.91, 44, 0.78, 0.97)]
    control = candidate("knn", 0.8, backbone=name)
    pair = CopyPair(
        left=path,
        right=f"{path}2",
        left_side="train",
        right_side=name,
        cosine=0.987,
        left_thumbnail=thumbnail("olive"),
        right_thumbnail=None,
    )
    return {
        "controls": [replace(control, scores={"accuracy": ScoreRow(0.75, 0.7, 0.8)})],
        "few_shot": [point(1, 2, 0.7, 0.6, 0.8), point(None, 244, 0.954, 0.91, 0.978)],
        "doubt": measured(name),
        "reliability": Reliability(bins=bins, error=CalibrationError(0.043, 0.021), temperature=1.25),
        "suspects": [
            SuspectRow(path=path, given="ants", likely=name, probability=0.91, thumbnail=thumbnail()),
        ],
        "outliers": [OutlierRow(path=path, label=name, score=3.21, thumbnail=None)],
        "near_copies": CopyPairs(n_found=3, threshold=0.92, pairs=[pair]),
        "embedding_paths": [f"{path}{number}" for number in range(8)],
        "embedding_thumbnails": [thumbnail("navy"), *[None] * 7],
        "embedding_right": np.array([1, 0, 1, -1, -1, -1, -1, -1]),
        "classes": [class_score(name, 0.5, 2), class_score("ants", 0.75, 4, average_precision=None)],
        "right": [
            RightAnswer(path=path, true=name, kind="surest", probability=0.99, thumbnail=thumbnail()),
            RightAnswer(path=path, true=name, kind="least sure", probability=0.51, thumbnail=None),
        ],
        "command": f"headstart fit {path}",
        "files": {"model": "model", "predictions (CSV)": "predictions.csv"},
    }


def measured(name: str = "bees", **changes: Any) -> MeasuredDoubt:
    """Return measured sets and outliers of six test images of two classes."""
    given: dict[str, Any] = {
        "coverage": 0.9,
        "method": "raps",
        "by_class": False,
        "outlier": "mahalanobis",
        "false_alarms": 0.05,
        "threshold": 41.25,
        "n_calibrated": 244,
        "held_out": False,
        "covered": Share.counted([1, 1, 1, 1, 1, 0]),
        "classes": [
            ClassCoverage(name, Share.counted([1, 1, 0]), 1.25, Share.counted([1, 0, 0])),
            ClassCoverage("ants", Share.counted([1, 1, 1]), 1.0, Share.counted([1, 1, 0])),
        ],
        "sizes": [1, 3, 2],
        "mean_size": 1.125,
        "flagged": Share.counted([1, 0, 0, 0, 0, 0]),
        "answered": Share.counted([1, 1, 1, 0, 0, 0]),
        "right": Share.counted([1, 1, 1]),
        "by_fold": [],
        "curve": risk_coverage([0.9, 0.8, 0.7, 0.8, 0.9, 0.6], [1, 1, 0, 1, 1, 1]),
    }
    return MeasuredDoubt(**given | changes)


def class_score(name: str, recall: float | None, support: int, **changes: Any) -> ClassScore:
    """Return the scores of a class."""
    low, high = (None, None) if recall is None else (recall - 0.2, recall + 0.2)
    given: dict[str, Any] = {"name": name, "support": support, "recall": recall, "low": low, "high": high}
    return ClassScore(**(given | {"precision": 0.8, "f1": 0.6, "average_precision": 0.7} | changes))


def history(*val_losses: float | None) -> list[dict[str, float | int | None]]:
    """Return a training curve with these validation losses."""
    return [
        {"epoch": epoch, "loss": 1 / epoch, "val_loss": loss, "val_accuracy": None if loss is None else 0.9}
        for epoch, loss in enumerate(val_losses, start=1)
    ]


def score_of_val(n_images: int = 6, **scores: ScoreRow) -> TestResult:
    """Return the winner's scores on the images of val."""
    return TestResult(split="val", n_images=n_images, n_train=244, scores=scores)


def report_data(**changes: Any) -> ReportData:
    """Return two classes, three candidates, six test images of which one is wrong, and eight points on the map."""
    winner = candidate("logreg", 0.95, C=0.01)
    given: dict[str, Any] = {
        "title": "hymenoptera",
        "created": "2026-11-21T07:40:12+00:00",
        "class_names": ["ants", "bees"],
        "metric": "accuracy",
        "selection": "cv",
        "test_name": "val",
        "notes": ["3 duplicates of test images were dropped from train"],
        "leaderboard": [winner, candidate("knn", 0.9, k=5), candidate("dummy", 0.55)],
        "winner": winner,
        "test": score_of_val(accuracy=ScoreRow(5 / 6, 0.5, 0.978), log_loss=ScoreRow(0.31, 0.1, 0.6)),
        "y_test": np.array([0, 0, 0, 1, 1, 1]),
        "predicted": np.array([0, 0, 1, 1, 1, 1]),
        "probability": np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9], [0.4, 0.6]]),
        "embedding": np.random.default_rng(0).normal(size=(8, 5)),
        "embedding_labels": np.array([0, 1] * 4),
        "embedding_is_test": np.array([True] * 3 + [False] * 5),
        "mistakes": [mistake()],
        "curves": [Curve("mlp (hidden 512)", history(0.9, 0.4, 0.5))],
        "provenance": [("key", "7f3a" * 16), ("command", "headstart run hymenoptera.toml")],
    }
    return ReportData(**given | changes)
