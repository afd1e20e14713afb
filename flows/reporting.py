"""The report's ingredients: only here do scores meet image files, as thumbnails."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from extractors.atomic import write_atomically
from extractors.decode import thumbnail
from extractors.errors import NotReadError, UnreadableImage
from extractors.images import image_sources, read_bytes
from flows.problem import Problem
from heads.report import ReportData, render_report
from heads.report_text import interval_text, params_text, score_text
from heads.splits import SplitPlan
from heads.sweep import FinalScore
from heads.trial import Result

if TYPE_CHECKING:
    from flows.fit_summary import FitSummary

_MOST_POINTS = 2000
_MOST_MISTAKES = 24
_THUMBNAIL = 200  # pixels, sharp at the gallery's size on a dense screen


def write_report(
    summary: "FitSummary",
    problem: Problem,
    plan: SplitPlan,
    results: Sequence[Result],
    winner: Result,
    test_score: FinalScore,
    *,
    metric: str,
) -> None:
    """Write ``report.html`` and ``leaderboard.csv`` where the summary says."""
    shown = _map_rows(plan)
    winner_embedded = problem.find(winner.candidate.key, winner.candidate.tap)
    features = np.asarray(winner_embedded.features.take(shown), dtype=np.float32)
    data = ReportData(
        title=problem.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        class_names=problem.class_names,
        metric=metric,
        selection=plan.selection,
        test_name=plan.test_name,
        notes=[*summary.notes, *_comparisons(summary, metric)],
        leaderboard=[_shown(row) for row in summary.leaderboard],
        winner=_shown(summary.winner),
        test=summary.test,
        y_test=problem.y[plan.test],
        predicted=test_score.predictions,
        probability=test_score.probability,
        embedding=features.reshape(len(features), -1),
        embedding_labels=problem.y[shown],
        embedding_is_test=np.isin(shown, plan.test),
        mistakes=_mistakes(problem, plan, test_score),
        curves=_curves(summary, results),
        provenance=_provenance(summary, problem, winner),
    )
    write_atomically(Path(summary.report), render_report(data).encode())
    flat = [
        {name: value for name, value in row.items() if name not in ("scores", "params")} for row in summary.leaderboard
    ]
    table = pd.DataFrame(flat).assign(params=[params_text(row["params"]) for row in summary.leaderboard])
    write_atomically(Path(summary.table), table.to_csv(index=False).encode())


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    scores = {metric: (score["value"], score["low"], score["high"]) for metric, score in row["scores"].items()}
    return row | {"backbone": row["label"], "scores": scores}


def _comparisons(summary: "FitSummary", metric: str) -> list[str]:
    """Say how the best candidate of every other embedding does on the same test images."""
    return [
        f"for comparison, scored on the same {summary.test['n_images']} images after the choice: "
        f"{row['label']} · {row['head']} {score_text(metric, score['value'])} "
        f"{interval_text(metric, score['low'], score['high'])}"
        for row in summary.controls
        for score in [row["scores"][metric]]
    ]


def _map_rows(plan: SplitPlan) -> npt.NDArray[np.intp]:
    """Draw the images on the map from all that took part, at most `_MOST_POINTS`."""
    rows = np.union1d(np.union1d(plan.train, plan.test), np.concatenate([score for _, score in plan.folds]))
    if len(rows) <= _MOST_POINTS:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, _MOST_POINTS, replace=False))


def _mistakes(problem: Problem, plan: SplitPlan, test_score: FinalScore) -> list[dict[str, Any]]:
    true, predicted, probability = problem.y[plan.test], test_score.predictions, test_score.probability
    wrong = np.flatnonzero(true != predicted)
    confidence = None if probability is None else probability[wrong, predicted[wrong]]
    if confidence is not None:
        order = np.argsort(-confidence, kind="stable")
        wrong, confidence = wrong[order], confidence[order]
    wrong = wrong[:_MOST_MISTAKES]
    images = problem.images.iloc[plan.test[wrong]]
    return [
        {
            "path": source.path,
            "true": problem.class_names[true[at]],
            "predicted": problem.class_names[predicted[at]],
            "probability": None if confidence is None else float(confidence[place]),
            "thumbnail": _thumbnail(problem.root, source),
        }
        for place, (at, source) in enumerate(zip(wrong, image_sources(images), strict=True))
    ]


def _thumbnail(root: Path, source: Any) -> bytes | None:
    try:
        return thumbnail(read_bytes(root, source), _THUMBNAIL)
    except (UnreadableImage, NotReadError):
        return None  # the images may be gone long after they were embedded; the page says so in the picture's place


def _curves(summary: "FitSummary", results: Sequence[Result]) -> list[dict[str, Any]]:
    """Take the training curve of the best candidate of each head that has one."""
    best: dict[str, dict[str, Any]] = {}
    for row, result in zip(summary.leaderboard, results, strict=True):
        if result.history:
            name = f"{row['label']} · {row['head']} ({params_text(row['params'])})"
            best.setdefault(row["head"], {"name": name, "history": result.history})
    return list(best.values())


def _provenance(summary: "FitSummary", problem: Problem, winner: Result) -> list[tuple[str, str]]:
    key = problem.find(winner.candidate.key, winner.candidate.tap).store
    preprocessing = ", ".join(f"{name} {value}" for name, value in key.key.preprocessing.as_dict().items())
    libraries = key.about["versions"] | {name: version(name) for name in ("headstart", "scikit-learn", "numpy")}
    versions = ", ".join(f"{name} {number}" for name, number in libraries.items())
    return [
        ("images", f"{len(problem.images)} of {problem.root}"),
        ("target", f"{problem.target}: {len(problem.class_names)} classes"),
        ("trained on", f"{summary.test['n_train']} images"),
        ("embedding key", key.key.id),
        ("backbone", key.key.backbone),
        ("weights", f"{key.about['weights_name']}, {key.key.weights}"),
        ("taps", ", ".join(key.key.taps)),
        ("preprocessing", preprocessing),
        ("computed in", f"{key.key.precision}, stored as {key.key.dtype}"),
        ("versions", versions),
        ("candidates", f"{len(summary.leaderboard)} in {summary.seconds:.1f} s, chosen by {summary.winner['split']}"),
        ("seed", str(summary.seed)),
    ]
