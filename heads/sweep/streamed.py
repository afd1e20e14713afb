"""A sweep over features that do not fit in memory: few passes over them, for the heads that can."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from headstart.heads.errors import DataError
from headstart.heads.prediction import predict, widen_classes
from headstart.heads.registry import StreamedFit, streamed_fit_of, streamed_heads
from headstart.heads.scoring import LargeScores, Predictions
from headstart.heads.solvers.streamed import StreamedData, gather
from headstart.heads.solvers.sums import (
    BLOCK_BYTES,
    SAMPLE_BYTES,
    Parts,
    Stream,
    part_of_train,
    parts_of_folds,
    split_by_part,
)
from headstart.heads.sweep.run import FinalScore, order_results
from headstart.heads.sweep.trial import Result, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from headstart.heads.registry import Candidate
    from headstart.heads.splits import SplitPlan


def sweep_streamed(
    candidates: Sequence[Candidate],
    y: ArrayLike,
    plan: SplitPlan,
    *,
    metric: str = "accuracy",
    groups: ArrayLike | None = None,
    seed: int = 0,
    block_bytes: int = BLOCK_BYTES,
    sample_bytes: int = SAMPLE_BYTES,
    on_result: Callable[[Result], None] | None = None,
    finished: Sequence[Result] = (),
) -> list[Result]:
    """Do what `heads.sweep.run.sweep` does, reading features in blocks; return results, best first.

    Parameters
    ----------
    candidates : sequence of Candidate
        Of `streamed_heads`. Their features are arrays, or have `shape` and a `take(rows)` that is array-like.
    y, plan, metric, groups, seed, on_result, finished
        As for `sweep`.
    block_bytes, sample_bytes : int
        Of features that are held in float32: of those being read, and of those that temperatures are fitted on and
        L-BFGS begins with.

    Raises
    ------
    DataError
        Features cannot be used, a candidate cannot be streamed, or every candidate failed.
    """
    unable = sorted({candidate.head for candidate in candidates if not streamed_fit_of(candidate)})
    if unable:
        raise DataError(
            f"{', '.join(unable)} cannot be fitted on streamed features; these can: {', '.join(streamed_heads())}"
        )
    labels = np.asarray(y).astype(np.intp)
    task = Task(
        y=labels,
        n_classes=int(labels.max()) + 1,
        plan=plan,
        groups=None if groups is None else np.asarray(groups),
        seed=seed,
    )
    parts = parts_of_folds(plan, len(labels))
    scored = np.concatenate([rows for _, rows in plan.folds])
    scores = LargeScores(labels[scored], task.n_classes, None if task.groups is None else task.groups[scored])
    results, known = list(finished), {id(result.candidate) for result in finished}
    for group in _by_features([candidate for candidate in candidates if id(candidate) not in known]):
        stream = _stream_of(group[0], block_bytes)
        data = gather(stream, labels, task.n_classes, parts, with_gram=_needs_gram(group), sample_bytes=sample_bytes)
        fitted, failed = _fit_heads(data, group, seed)
        for result in [*failed, *score_streamed_folds(stream, fitted, task, scores)]:
            results.append(result)
            if on_result is not None:
                on_result(result)
    return order_results(results, candidates, metric)


def fit_streamed(
    candidate: Candidate,
    y: ArrayLike,
    plan: SplitPlan,
    seed: int = 0,
    *,
    block_bytes: int = BLOCK_BYTES,
    sample_bytes: int = SAMPLE_BYTES,
) -> Any:
    """Do what `heads.sweep.run.fit_final` does, reading features in blocks; arguments as for `sweep_streamed`."""
    labels = np.asarray(y).astype(np.intp)
    data = gather(
        _stream_of(candidate, block_bytes),
        labels,
        int(labels.max()) + 1,
        part_of_train(plan, len(labels)),
        with_gram=_needs_gram([candidate]),
        sample_bytes=sample_bytes,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the sweep's result has reported it for this candidate
        return _way_of(candidate).fit(data, [candidate.params], seed)[0][0]


def score_test_streamed(
    model: Any,
    candidate: Candidate,
    y: ArrayLike,
    plan: SplitPlan,
    *,
    groups: ArrayLike | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> FinalScore:
    """Do what `heads.sweep.run.score_test` does, reading the candidate's features in blocks."""
    labels = np.asarray(y).astype(np.intp)
    n_classes = int(labels.max()) + 1
    blocks = _stream_of(candidate, block_bytes).blocks(plan.test)
    parts = [predict(model, block.features, n_classes)[1] for block in blocks]
    probability = np.concatenate([part for part in parts if part is not None])
    true = labels[plan.test]
    said = Predictions(classes=probability.argmax(axis=1), probability=probability[np.arange(len(true)), true])
    scores = LargeScores(true, n_classes, None if groups is None else np.asarray(groups)[plan.test]).scores(said)
    return FinalScore(rows=plan.test, predictions=said.classes, probability=probability, scores=scores)


def _by_features(candidates: Sequence[Candidate]) -> Iterable[list[Candidate]]:
    groups: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        groups.setdefault(id(candidate.features), []).append(candidate)
    return groups.values()


def _stream_of(candidate: Candidate, block_bytes: int) -> Stream:
    name = f"{candidate.backbone}/{candidate.tap}"
    return Stream(features=candidate.features, name=name, block_bytes=block_bytes)


def _needs_gram(candidates: Sequence[Candidate]) -> bool:
    return any(candidate.head == "ridge" for candidate in candidates)


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
