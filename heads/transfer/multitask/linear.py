"""A linear head of one column: logistic regression or ridge regression, the field's default."""

from collections.abc import Mapping, Sequence
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
) -> tuple[Any, Mapping[str, Any]]:
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
    grid = [dict(zip(head.grid, values, strict=True)) for values in product(*head.grid.values())]
    masks = [mask for mask in choosing if mask.any() and len(np.unique(y[~mask])) > 1]
    truth = np.concatenate([y[mask] for mask in masks]) if masks else y[:0]
    best: Mapping[str, Any] = {}
    if len(np.unique(truth)) > 1:
        folds = [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks]
        if head.solver and head.solver.across_folds:  # the whole grid in all folds at once
            each = head.solver.load()(X, y, n_classes, folds, [grid] * len(folds))
        else:
            each = [[answer(head.make(one, seed).fit(X[fit], y[fit]), X[left], n_classes) for one in grid]
                    for fit, left in folds]  # fmt: skip
        together = [np.concatenate(found) for found in zip(*each, strict=True)]
        scores = [find_metric(metric).better(score(metric, truth, one, n_classes)) for one in together]
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
