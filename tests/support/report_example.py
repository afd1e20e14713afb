"""A small experiment as the report sees it, and parts of it to vary."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from headstart.heads.report.page import ReportData

HEADLINE = "mobilenet_v2 · penultimate · logreg (C = 0.01): 83.3 % accuracy [50.0, 97.8] on val, 6 images, scored once"


def candidate(
    head: str = "logreg", score: float | None = 0.9, *, backbone: str = "mobilenet_v2", **params: Any
) -> dict[str, Any]:
    """Return a row of the leaderboard; without a score, one that failed."""
    low, high = (None, None) if score is None else (score - 0.05, min(1.0, score + 0.04))
    return {
        "backbone": backbone,
        "tap": "penultimate",
        "head": head,
        "params": params,
        "metric": "accuracy",
        "score": score,
        "low": low,
        "high": high,
        "split": "cv",
        "scores": {} if score is None else {"accuracy": (score, low, high), "log_loss": None},
        "fit_seconds": 0.25,
        "error": "DataError: too few images" if score is None else None,
    }


def thumbnail(colour: str = "teal") -> bytes:
    """Return a JPEG."""
    file = BytesIO()
    Image.new("RGB", (32, 24), colour).save(file, "JPEG")
    return file.getvalue()


def mistake(**changes: Any) -> dict[str, Any]:
    """Return an entry of the gallery."""
    given = {
        "path": "val/ants/a.jpg",
        "true": "ants",
        "predicted": "bees",
        "probability": 0.97,
        "thumbnail": thumbnail(),
    }
    return given | changes


def everything(name: str = "bees", path: str = "train/bees/b.jpg") -> dict[str, Any]:
    """Return one entry of each part that a report may lack, with a class and a path of choice."""
    share = {"value": 0.7, "low": 0.6, "high": 0.8}
    names = ("low", "high", "count", "confidence", "accuracy", "accuracy_low", "accuracy_high")
    bins = [
        dict(zip(names, values, strict=True))
        for values in ((0.5, 0.7, 40, 0.6, 0.5, 0.35, 0.65), (0.7, 1.0, 44, 0.9, 0.91, 0.78, 0.97))
    ]
    pair = {"left": path, "right": f"{path}2", "left_side": "train", "right_side": name, "cosine": 0.987}
    return {
        "controls": [candidate("knn", 0.8, backbone=name) | {"scores": {"accuracy": (0.75, 0.7, 0.8)}}],
        "few_shot": [
            {"images_per_class": 1, "n_train": 2, **share},
            {"images_per_class": None, "n_train": 244, "value": 0.954, "low": 0.91, "high": 0.978},
        ],
        "reliability": {"bins": bins, "error": 0.043, "by_chance": 0.021, "temperature": 1.25},
        "suspects": [{"path": path, "given": "ants", "likely": name, "probability": 0.91, "thumbnail": thumbnail()}],
        "outliers": [{"path": path, "label": name, "score": 3.21, "thumbnail": None}],
        "near_copies": {
            "n_found": 3,
            "threshold": 0.92,
            "pairs": [pair | {"left_thumbnail": thumbnail("olive"), "right_thumbnail": None}],
        },
        "embedding_paths": [f"{path}{number}" for number in range(8)],
        "embedding_thumbnails": [thumbnail("navy"), *[None] * 7],
    }


def history(*val_losses: float | None) -> list[dict[str, Any]]:
    """Return a training curve with these validation losses."""
    return [
        {"epoch": epoch, "loss": 1 / epoch, "val_loss": loss, "val_accuracy": None if loss is None else 0.9}
        for epoch, loss in enumerate(val_losses, start=1)
    ]


def report_data(**changes: Any) -> ReportData:
    """Return two classes, three candidates, six test images of which one is wrong, and eight points on the map."""
    winner = candidate("logreg", 0.95, C=0.01)
    scores = {
        "accuracy": {"value": 5 / 6, "low": 0.5, "high": 0.978},
        "log_loss": {"value": 0.31, "low": 0.1, "high": 0.6},
    }
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
        "test": {"n_images": 6, "split": "val", "scores": scores},
        "y_test": np.array([0, 0, 0, 1, 1, 1]),
        "predicted": np.array([0, 0, 1, 1, 1, 1]),
        "probability": np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9], [0.4, 0.6]]),
        "embedding": np.random.default_rng(0).normal(size=(8, 5)),
        "embedding_labels": np.array([0, 1] * 4),
        "embedding_is_test": np.array([True] * 3 + [False] * 5),
        "mistakes": [mistake()],
        "curves": [{"name": "mlp (hidden 512)", "history": history(0.9, 0.4, 0.5)}],
        "provenance": [("key", "7f3a" * 16), ("command", "headstart run hymenoptera.toml")],
    }
    return ReportData(**given | changes)
