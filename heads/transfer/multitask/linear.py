"""A linear head of one column: logistic regression or ridge regression, the field's default."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.heads.prediction import predict, predict_numbers
from headstart.heads.registry import find_head
from headstart.heads.scoring import find_metric, measure

HEAD_OF = {"classify": "logreg", "regress": "ridge"}
"""Name of the head by task."""


def fit_linear(
    X: NDArray[np.float32],
    y: NDArray[Any],
    n_classes: int,
    metric: str,
    choosing: Sequence[NDArray[np.bool_]],
    seed: int,
) -> tuple[Any, dict[str, Any]]:
    """Return the head, fitted on all these images, and the parameters of its grid that were chosen.

    Parameters
    ----------
    X, y : array of shape (n_images, n_features), (n_images,)
        Classes as int, or numbers.
    n_classes : int
        0 of numbers.
    metric : str
        What chooses.
    choosing : sequence of bool ndarray of shape (n_images,)
        Images that are scored by fits without them; what all such fits say together chooses.
    seed : int
    """
    head = find_head(HEAD_OF["classify" if n_classes else "regress"], "classify" if n_classes else "regress")
    grid: list[dict[str, Any]] = [dict(zip(head.grid, values, strict=True)) for values in product(*head.grid.values())]
    masks = [mask for mask in choosing if mask.any() and len(np.unique(y[~mask])) > 1]
    truth = np.concatenate([y[mask] for mask in masks]) if masks else y[:0]
    best: dict[str, Any] = {}
    if len(np.unique(truth)) > 1:
        scores = []
        for params in grid:
            found = [answer(head.make(params, seed).fit(X[~mask], y[~mask]), X[mask], n_classes) for mask in masks]
            scores.append(find_metric(metric).better(score(metric, truth, np.concatenate(found), n_classes)))
        best = grid[int(np.argmin(scores))]
    return head.make(best, seed).fit(X, y), best


def answer(model: Any, X: NDArray[np.float32], n_classes: int) -> NDArray[np.float64]:
    """Return probabilities (n_images, n_classes), or numbers (n_images,)."""
    if not n_classes:
        return predict_numbers(model, X)
    classes, probability = predict(model, X, n_classes)
    return np.eye(n_classes)[classes] if probability is None else probability


def score(metric: str, truth: NDArray[Any], answers: NDArray[np.float64], n_classes: int) -> float:
    """Return a metric of answers as `answer` gives them."""
    if n_classes:
        value = measure(truth, answers, answers.argmax(axis=1), n_classes)[metric]
    else:
        value = measure(truth, None, answers, 0)[metric]
    return float("nan") if value is None else value
