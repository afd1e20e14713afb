"""The winner, fitted on all of train and scored once; its features are in memory or read in blocks."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning

from headstart.heads.errors import DataError
from headstart.heads.isolation import single_threaded_if_small
from headstart.heads.prediction import predict, predict_numbers
from headstart.heads.registry import find_head
from headstart.heads.scoring import LargeScores, Predictions, Score, score_predictions
from headstart.heads.solvers.sums import Stream
from headstart.heads.sweep.streamed import fit_streamed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from headstart.heads.registry import Candidate
    from headstart.heads.scoring import Decision
    from headstart.heads.splits import SplitPlan


@dataclass(frozen=True, kw_only=True)
class FinalScore:
    """Predictions of a fitted head for the test images, and their scores.

    Parameters
    ----------
    rows : int ndarray of shape (n_test,)
        The plan's test rows.
    predictions : ndarray of shape (n_test,)
        Classes, 0 … n_classes - 1, as int; or numbers as float64.
    probability : float64 ndarray of shape (n_test, n_classes), or None
        None for heads without probabilities.
    scores : dict of str to Score or None
        Every metric with its interval.
    """

    rows: NDArray[np.intp]
    predictions: NDArray[Any]
    probability: NDArray[np.float64] | None
    scores: dict[str, Score | None]


def fit_final(candidate: Candidate, X: ArrayLike | Stream, y: ArrayLike, plan: SplitPlan, seed: int = 0) -> Any:
    """Return the candidate's head, fitted on train: all its views in `X` (n_rows, n_features), and `y` (n_images,)."""
    if isinstance(X, Stream):
        with _no_convergence_warnings():
            return fit_streamed(candidate, X, np.asarray(y).astype(np.intp), plan, seed)
    rows = np.ascontiguousarray(np.asarray(X)[plan.views.to_fit(plan.train)], dtype=np.float32)
    model: Any = find_head(candidate.head, candidate.task).make(candidate.params, seed)
    with single_threaded_if_small(rows.nbytes), _no_convergence_warnings():
        return model.fit(rows, plan.views.labels(np.asarray(y)[plan.train]))


@contextmanager
def _no_convergence_warnings() -> Iterator[None]:
    """Keep quiet of what the sweep's result has reported for the candidate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def score_test(
    model: Any,
    X: ArrayLike | Stream,
    y: ArrayLike,
    plan: SplitPlan,
    *,
    groups: ArrayLike | None = None,
    seed: int = 0,
) -> FinalScore:
    """Score a fitted head on the plan's test rows: once, after everything has been chosen.

    Parameters
    ----------
    model : fitted scikit-learn classifier or regressor
    X : array-like of shape (n_rows, n_features), or Stream
        Of a stream the intervals are those of `LargeScores`.
    y : array of shape (n_images,)
        Classes as int, or numbers for a regressor.
    plan : SplitPlan
    groups : int array of shape (n_images,) or None
        Images that intervals draw together.
    seed : int
        Of the intervals.
    """
    rows = plan.test
    together = None if groups is None else np.asarray(groups)[rows]
    probability = None
    if is_regressor(model):
        true, n_classes = np.asarray(y)[rows], 0
        predictions: NDArray[Any] = plan.views.mean(predict_numbers(model, np.asarray(X)[plan.views.to_score(rows)]))
    else:
        labels = np.asarray(y).astype(np.intp)
        true, n_classes = labels[rows], int(labels.max()) + 1
        if isinstance(X, Stream):
            return _score_stream(model, X, true, n_classes, rows, together)
        of_rows = predict(model, np.asarray(X)[plan.views.to_score(rows)], n_classes)
        predictions, probability = plan.views.joined(*of_rows)
    scores = score_predictions(true, probability, predictions, n_classes, groups=together, seed=seed)
    return FinalScore(rows=rows, predictions=predictions, probability=probability, scores=scores)


def decide_test(
    score: FinalScore, decision: Decision, y: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0
) -> FinalScore:
    """Return the score of the same probabilities where classes are made of them by a decision; others as for it.

    Raises
    ------
    DataError
        There are no probabilities.
    """
    if score.probability is None:
        raise DataError(
            "there are no probabilities to decide by; leave out --threshold and --costs, or try other heads"
        )
    true, classes = np.asarray(y)[score.rows], decision.classes(score.probability)
    together = None if groups is None else np.asarray(groups)[score.rows]
    n_classes = score.probability.shape[1]
    scores = score_predictions(true, score.probability, classes, n_classes, groups=together, seed=seed)
    return replace(score, predictions=classes, scores=scores)


def _score_stream(
    model: Any,
    stream: Stream,
    true: NDArray[np.intp],
    n_classes: int,
    rows: NDArray[np.intp],
    groups: NDArray[Any] | None,
) -> FinalScore:
    parts = [predict(model, block.features, n_classes)[1] for block in stream.blocks(rows)]
    probability = np.concatenate([part for part in parts if part is not None])
    predictions = Predictions(classes=probability.argmax(axis=1), probability=probability)
    scores = LargeScores(true, n_classes, groups).scores(predictions)
    return FinalScore(rows=rows, predictions=predictions.classes, probability=probability, scores=scores)
