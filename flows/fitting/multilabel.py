"""Scores of several columns of 0 and 1 taken together: each on its own test images, and their means."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from headstart.flows.history import find_run, read_predictions


@dataclass(frozen=True, kw_only=True)
class ColumnScore:
    """The winner of one column of 0 and 1 on its test images; without probabilities there is no average precision."""

    target: str
    n_test: int
    n_positive: int
    accuracy: float
    f1: float
    average_precision: float | None


@dataclass(frozen=True, kw_only=True)
class Multilabel:
    """Means over columns of 0 and 1, which count alike; None where a column has no such score."""

    n_columns: int
    accuracy: float | None
    macro_f1: float | None
    average_precision: float | None
    columns: list[ColumnScore]


_POSITIVE = ("1", "True")


def score_columns(folders: Mapping[str, Path]) -> Multilabel | None:
    """Score the winners of several columns of 0 and 1, each on its own test images; the means count columns alike.

    Accuracy, F1 of the ones and average precision are scikit-learn's.

    Parameters
    ----------
    folders : mapping of str to Path
        Results folder of each column.

    Returns
    -------
    Multilabel or None
        None of fewer than two columns.
    """
    if len(folders) < 2:
        return None
    columns = [_score_column(name, folder) for name, folder in folders.items()]
    return Multilabel(
        n_columns=len(columns),
        accuracy=_mean([column.accuracy for column in columns]),
        macro_f1=_mean([column.f1 for column in columns]),
        average_precision=_mean([column.average_precision for column in columns]),
        columns=columns,
    )


def _score_column(target: str, folder: Path) -> ColumnScore:
    kept = find_run(str(folder), [])
    table = read_predictions(kept.history, kept.run)
    true, predicted = (table[name].astype(str).isin(_POSITIVE).to_numpy() for name in ("true", "predicted"))
    of_true = table["probability_of_true"].to_numpy(dtype=np.float64)
    ranked = bool(np.isfinite(of_true).all() and true.any())  # without a single one there is no precision
    score = np.where(true, of_true, 1.0 - of_true)
    return ColumnScore(
        target=target,
        n_test=len(table),
        n_positive=int(true.sum()),
        accuracy=float(accuracy_score(true, predicted)),
        f1=float(f1_score(true, predicted, zero_division=0.0)),
        average_precision=float(average_precision_score(true, score)) if ranked else None,
    )


def _mean(values: list[Any]) -> float | None:
    return None if any(value is None for value in values) else float(np.mean(values))
