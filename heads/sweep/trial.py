"""One candidate through every fold: a plain function, whoever runs it and wherever."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.isolation import isolated_job
from headstart.heads.prediction import predict, predict_numbers
from headstart.heads.scoring import Predictions, added_by_images, keep_draws, measure, score_together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator

    from headstart.heads.registry import Candidate, Head
    from headstart.heads.scoring import Score
    from headstart.heads.splits import SplitPlan
from headstart.heads.features import contiguous_rows

History = list[dict[str, float | int | None]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """Data and settings that all candidates of a sweep share.

    Parameters
    ----------
    y : ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1, as int; or numbers as float64.
    n_classes : int
        0 where `y` holds numbers: heads are regressors then.
    plan : SplitPlan
    groups : int ndarray of shape (n_images,) or None
        Images that intervals draw together.
    seed : int
    most_kept : int
        A result has the probability of every class up to so many numbers.
    """

    y: NDArray[Any]
    n_classes: int
    plan: SplitPlan
    groups: NDArray[Any] | None
    seed: int
    most_kept: int = 0


@dataclass
class Held:
    """Probabilities of every class (n_scored, n_classes), fold after fold; None once another candidate was better."""

    probability: NDArray[np.float64] | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """Outcome of one candidate.

    Parameters
    ----------
    candidate : Candidate
    scores : dict of str to Score or None
        Every metric over the predictions of all folds together; empty where fitting failed.
    per_fold : list of dict of str to float or None
        Every metric within each fold.
    fit_seconds : float
        Wall-clock seconds of fitting, all folds together.
    history : list of dict or None
        The first fold's training curve, of heads that have one.
    error : str or None
        Why fitting failed.
    warnings : list of str
        What scikit-learn warned of, each text once.
    predictions : Predictions or None
        Of the images that were scored, fold after fold, for paired comparisons: classes, the probability of the true
        class, and what images add to metrics of ranks; or numbers, where `classes` stands, as float64.
    held : Held or None
        More of the best, where there are not too many numbers.
    """

    candidate: Candidate
    scores: dict[str, Score | None] = field(default_factory=dict)
    per_fold: list[dict[str, float | None]] = field(default_factory=list)
    fit_seconds: float = 0.0
    history: History | None = None
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    predictions: Predictions | None = field(default=None, repr=False)
    held: Held | None = field(default=None, repr=False)

    @property
    def probability(self) -> NDArray[np.float64] | None:
        """Of every class (n_scored, n_classes), fold after fold, where the sweep kept it."""
        return self.held.probability if self.held else None


@dataclass(frozen=True, kw_only=True)
class PredictedInFolds:
    """Predictions of a candidate for every fold's images, with the seconds, training curve and warnings of fitting.

    Parameters
    ----------
    candidate : Candidate
    parts : sequence of (ndarray of shape (n_scored,), ndarray of shape (n_scored, n_classes) or None)
        By fold: classes, and probabilities where the head gives them; or numbers and None.
    fit_seconds, history, warnings
        As `Result` has them.
    """

    candidate: Candidate
    parts: Sequence[tuple[NDArray[Any], NDArray[np.float64] | None]] = field(repr=False)
    fit_seconds: float
    history: History | None = None
    warnings: list[str]


def run_trial(candidate: Candidate, head: Head, features: object, task: Task) -> Result:
    """Fit and score a candidate in every fold; a candidate that fails gives a result with its reason.

    Parameters
    ----------
    candidate : Candidate
    head : Head
        The candidate's, as itself: a worker process may not have registered it.
    features : array-like of shape (n_images, n_features)
        The candidate's, wherever they are for this worker.
    task : Task
    """
    texts: list[str] = []
    try:
        model = head.make(candidate.params, task.seed)  # loads what the head needs, before threads are counted
        with isolated_job() as texts:
            return _run(candidate, head, model, np.asarray(features), task, texts)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever one candidate raises must not end the others; it is reported
        return Result(candidate=candidate, error=f"{type(error).__name__}: {error}", warnings=texts)


def _run(
    candidate: Candidate, head: Head, model: BaseEstimator, X: NDArray[Any], task: Task, texts: list[str]
) -> Result:
    parts, fit_seconds, history = [], 0.0, None
    for number, (fit_rows, score_rows) in enumerate(task.plan.folds):
        if number:
            model = head.make(candidate.params, task.seed + task.plan.round_of(number))
        start = time.perf_counter()
        views = task.plan.views
        model.fit(contiguous_rows(X, views.to_fit(fit_rows)), views.labels(task.y[fit_rows]))
        fit_seconds += time.perf_counter() - start
        history = training_curve(model) if number == 0 else history
        scored = X[views.to_score(score_rows)]
        parts.append(
            views.joined(*predict(model, scored, task.n_classes))
            if task.n_classes
            else (views.mean(predict_numbers(model, scored)), None)
        )
    predicted = PredictedInFolds(
        candidate=candidate, parts=parts, fit_seconds=fit_seconds, history=history, warnings=texts
    )
    return score_folds([predicted], task)[0]


def score_folds(predicted: Sequence[PredictedInFolds], task: Task) -> list[Result]:
    """Score what candidates said of every fold's images; one whose probabilities are not finite gives its reason."""
    results: dict[int, Result] = {}
    measured: dict[int, _Measured] = {}
    for number, one in enumerate(predicted):
        try:
            measured[number] = _measure_folds(one, task)
        except DataError as error:
            reason = f"{type(error).__name__}: {error}"
            results[number] = Result(candidate=one.candidate, error=reason, warnings=one.warnings)
    every_row = np.concatenate([rows for _, rows in task.plan.folds])
    scores = score_together(
        task.y[every_row],
        [(own.of_true, own.classes) for own in measured.values()],
        task.n_classes,
        groups=_drawn_together(task, every_row),
        seed=task.seed,
        added=[own.added for own in measured.values()] if task.n_classes else None,
    )
    for (number, own), scored in zip(measured.items(), scores, strict=True):
        of_true = None if own.of_true is None else own.of_true.astype(np.float32)
        values = own.classes.astype(np.int32) if task.n_classes else own.classes
        results[number] = Result(
            candidate=predicted[number].candidate,
            scores=scored,
            per_fold=own.per_fold,
            fit_seconds=predicted[number].fit_seconds,
            history=predicted[number].history,
            warnings=predicted[number].warnings,
            predictions=Predictions(
                classes=values,
                probability=of_true,
                added={name: added.astype(np.float32) for name, added in own.added.items()},
            ),
            held=_of_every_class(predicted[number], task),
        )
    return [results[number] for number in range(len(predicted))]


def _of_every_class(predicted: PredictedInFolds, task: Task) -> Held | None:
    """Return the probabilities of all folds' images, one after the other, where there are few."""
    parts = [probability for _, probability in predicted.parts if probability is not None]
    return Held(np.concatenate(parts)) if 0 < sum(part.size for part in parts) <= task.most_kept else None


def draw_ahead(task: Task, _loaded: object = None) -> Task:
    """Return the task when the resamples that its scores' intervals go by are drawn, and kept for this process's jobs.

    A job of its own, which a worker does while others still fit; for what scores first would let the others wait.
    """
    rows = np.concatenate([rows for _, rows in task.plan.folds])
    keep_draws(_drawn_together(task, rows), len(rows), task.seed)
    return task


class _Measured(NamedTuple):
    """Metrics by fold; fold after fold classes or numbers (n_scored,), and what is known of each by probabilities."""

    per_fold: list[dict[str, float | None]]
    classes: NDArray[Any]
    of_true: NDArray[np.float64] | None
    added: dict[str, NDArray[np.float64]]


def _measure_folds(predicted: PredictedInFolds, task: Task) -> _Measured:
    per_fold, of_true = [], []
    for number, ((classes, probability), (_, rows)) in enumerate(zip(predicted.parts, task.plan.folds, strict=True)):
        y = task.y[rows]
        if probability is not None and not np.isfinite(probability).all():
            raise DataError(
                f"fold {number + 1}: {(~np.isfinite(probability).all(axis=1)).sum()} of {len(probability)} images have "
                "probabilities that are not finite; try other hyper-parameters"
            )
        per_fold.append(measure(y, probability, classes, task.n_classes))
        if probability is not None:
            of_true.append(probability[np.arange(len(y)), y])
    every_class = np.concatenate([classes for classes, _ in predicted.parts])
    if not of_true:
        return _Measured(per_fold, every_class, None, {})
    true = task.y[np.concatenate([rows for _, rows in task.plan.folds])]
    every_probability = np.concatenate([probability for _, probability in predicted.parts if probability is not None])
    return _Measured(per_fold, every_class, np.concatenate(of_true), added_by_images(true, every_probability))


def _drawn_together(task: Task, rows: NDArray[np.intp]) -> NDArray[Any] | None:
    """Return the units that intervals draw as one: groups, or all scores of an image where it has several."""
    if task.groups is not None:
        return task.groups[rows]
    return rows if task.plan.repeats > 1 else None


def training_curve(model: Any) -> History | None:
    """Return the `history_` of a fitted head, or of the last step of a fitted pipeline; None where it has none."""
    last = model[-1] if hasattr(model, "steps") else model
    return getattr(last, "history_", None)
