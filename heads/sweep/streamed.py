"""Candidates on features that do not fit in memory: few passes over them, for the heads that can."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from headstart.heads.errors import DataError
from headstart.heads.prediction import widen_classes
from headstart.heads.registry import StreamedFit, streamed_fit_of, streamed_heads
from headstart.heads.scoring import LargeScores, Predictions
from headstart.heads.solvers.streamed import StreamedData, gather
from headstart.heads.solvers.sums import (
    Parts,
    Stream,
    part_of_train,
    parts_of_folds,
    split_by_part,
)
from headstart.heads.sweep.trial import Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from headstart.heads.registry import Candidate
    from headstart.heads.splits import SplitPlan
    from headstart.heads.sweep.trial import Task


def run_streamed(candidates: Sequence[Candidate], task: Task) -> Iterator[Result]:
    """Fit and score candidates whose features are streams, those of one stream together; yield results as they come.

    Raises
    ------
    DataError
        Features cannot be used.
    """
    parts = parts_of_folds(task.plan, len(task.y))
    scored = np.concatenate([rows for _, rows in task.plan.folds])
    scores = LargeScores(task.y[scored], task.n_classes, None if task.groups is None else task.groups[scored])
    groups: dict[tuple[object, str], list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault((candidate.place, repr(candidate.class_weight)), []).append(candidate)
    for group in groups.values():
        stream = _stream_of(group[0])
        data = gather(
            stream,
            task.y,
            task.n_classes,
            parts,
            with_gram=_needs_gram(group),
            class_weight=group[0].class_weight,
            sample_bytes=stream.sample_bytes,
        )
        fitted, failed = _fit_heads(data, group, task.seed)
        yield from failed
        yield from score_streamed_folds(stream, fitted, task, scores)


def refuse_unstreamed(candidates: Sequence[Candidate]) -> None:
    """Tell of candidates that need all features at once.

    Raises
    ------
    DataError
        There are such.
    """
    unable = sorted({candidate.head for candidate in candidates if not streamed_fit_of(candidate)})
    if unable:
        raise DataError(
            f"{', '.join(unable)} cannot be fitted on streamed features; these can: {', '.join(streamed_heads())}"
        )


def fit_streamed(candidate: Candidate, stream: Stream, labels: NDArray[np.intp], plan: SplitPlan, seed: int) -> Any:
    """Return the candidate's head, fitted on the train rows of a stream; labels (n_images,) are 0 … n_classes - 1."""
    data = gather(
        stream,
        labels,
        int(labels.max()) + 1,
        part_of_train(plan, len(labels)),
        with_gram=_needs_gram([candidate]),
        class_weight=candidate.class_weight,
        sample_bytes=stream.sample_bytes,
    )
    return _way_of(candidate).fit(data, [candidate.params], seed)[0][0]


def _stream_of(candidate: Candidate) -> Stream:
    return replace(cast("Stream", candidate.features), name=f"{candidate.backbone}/{candidate.tap}")


def _needs_gram(candidates: Sequence[Candidate]) -> bool:
    return any(_way_of(candidate).needs_gram for candidate in candidates)


def _way_of(candidate: Candidate) -> StreamedFit:
    streamed = streamed_fit_of(candidate)
    if streamed is None:
        raise DataError(f"{candidate.head} cannot be fitted on streamed features")
    return streamed


def _fit_heads(
    data: StreamedData, candidates: Sequence[Candidate], seed: int
) -> tuple[list[FittedInFolds], list[Result]]:
    """Fit all candidates of one head together; where they fail, each by itself, for it may be the fault of one."""
    fitted: list[FittedInFolds] = []
    failed: list[Result] = []
    waiting = [[one for one in candidates if one.head == name] for name in dict.fromkeys(c.head for c in candidates)]
    while waiting:
        group = waiting.pop()
        start = time.perf_counter()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ConvergenceWarning)
                models = _way_of(group[0]).fit(data, [candidate.params for candidate in group], seed)
        except Exception as error:  # noqa: BLE001 - as in run_trial
            if len(group) > 1:
                waiting += [[candidate] for candidate in group]
            else:
                failed.append(Result(candidate=group[0], error=f"{type(error).__name__}: {error}"))
            continue
        seconds = (time.perf_counter() - start) / len(group)
        texts = list(dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in caught))
        for candidate, of_folds in zip(group, models, strict=True):
            fitted.append(FittedInFolds(candidate=candidate, models=of_folds, seconds=seconds, warnings=texts))
    return fitted, failed


@dataclass(frozen=True, kw_only=True)
class FittedInFolds:
    """A candidate's heads, one for each fold, and what fitting took and said."""

    candidate: Candidate
    models: Sequence[Any]
    seconds: float
    warnings: list[str]


def score_streamed_folds(
    stream: Stream, fitted: Sequence[FittedInFolds], task: Task, scores: LargeScores
) -> list[Result]:
    """Go through the images that folds score, once, and let each candidate's head of that fold say what they are."""
    ends = np.cumsum([len(rows) for _, rows in task.plan.folds])
    scored = np.concatenate([rows for _, rows in task.plan.folds])
    fold_of, place = np.full(len(task.y), -1, dtype=np.int16), np.zeros(len(task.y), dtype=np.int32)
    for number, (_, rows) in enumerate(task.plan.folds):
        fold_of[rows] = number
    place[scored] = np.arange(len(scored))
    classes = np.empty((len(fitted), len(scored)), dtype=np.min_scalar_type(-task.n_classes))  # signed, a byte mostly
    of_true = np.empty((len(fitted), len(scored)), dtype=np.float32)
    folds = Parts(of_image=fold_of, fits=np.eye(len(ends), dtype=bool))
    for block in stream.blocks(folds.rows):
        for fold, here in split_by_part(folds, block.rows):
            rows, shared = block.rows[here], _Transformed(block.features[here])
            for number, one in enumerate(fitted):
                probability = shared.predict(one.models[fold], task.n_classes)
                classes[number, place[rows]] = probability.argmax(axis=1)
                of_true[number, place[rows]] = probability[np.arange(len(rows)), task.y[rows]]
    slices = [slice(end - len(rows), end) for end, (_, rows) in zip(ends, task.plan.folds, strict=True)]
    return [
        _result(one, Predictions(classes=classes[number], probability=of_true[number]), slices, scores)
        for number, one in enumerate(fitted)
    ]


class _Transformed:
    """Features of some images, transformed once for all heads that share what transforms them."""

    def __init__(self, features: NDArray[np.float32]) -> None:
        self._features = features
        self._by_steps: dict[tuple[int, ...], Any] = {}

    def predict(self, model: Any, n_classes: int) -> NDArray[np.float64]:
        """Return probabilities (n_images, n_classes)."""
        last, features = model, self._features
        if hasattr(model, "steps"):
            steps = tuple(id(step) for _, step in model.steps[:-1])
            if steps not in self._by_steps:
                self._by_steps[steps] = model[:-1].transform(self._features)
            last, features = model[-1], self._by_steps[steps]
        return widen_classes(last.predict_proba(features), last.classes_, n_classes)


def _result(one: FittedInFolds, predictions: Predictions, folds: Sequence[slice], scores: LargeScores) -> Result:
    wrong = 0 if predictions.probability is None else int((~np.isfinite(predictions.probability)).sum())
    if wrong:
        reason = f"DataError: {wrong} images have probabilities that are not finite; try other hyper-parameters"
        return Result(candidate=one.candidate, error=reason, warnings=one.warnings)
    return Result(
        candidate=one.candidate,
        scores=scores.scores(predictions),
        per_fold=[scores.values(predictions, fold) for fold in folds],
        fit_seconds=one.seconds,
        warnings=one.warnings,
        predictions=predictions,
    )
