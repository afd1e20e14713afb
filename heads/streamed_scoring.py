"""The scores of streamed heads in their folds, from one pass over the images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.prediction import widen_classes
from headstart.heads.scoring.linearised import Predictions
from headstart.heads.solvers.sums.part_sums import Parts, split_by_part
from headstart.heads.trial import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headstart.heads.registry.candidates import Candidate
    from headstart.heads.scoring.linearised import LargeScores
    from headstart.heads.solvers.sums.blocks import Stream
    from headstart.heads.trial import Task


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
                said = shared.predict(one.models[fold], task.n_classes)
                classes[number, place[rows]] = said.argmax(axis=1)
                of_true[number, place[rows]] = said[np.arange(len(rows)), task.y[rows]]
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


def _result(one: FittedInFolds, said: Predictions, folds: Sequence[slice], scores: LargeScores) -> Result:
    wrong = 0 if said.probability is None else int((~np.isfinite(said.probability)).sum())
    if wrong:
        reason = f"DataError: {wrong} images have probabilities that are not finite; try other hyper-parameters"
        return Result(candidate=one.candidate, error=reason, warnings=one.warnings)
    return Result(
        candidate=one.candidate,
        scores=scores.scores(said),
        per_fold=[scores.values(said, fold) for fold in folds],
        fit_seconds=one.seconds,
        warnings=one.warnings,
        predictions=said,
    )
