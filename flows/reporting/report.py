"""The report's ingredients: only here do scores meet image files, as thumbnails."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.flows.problem import Problem
from headstart.flows.reporting.analysis import Analysis
from headstart.flows.reporting.thumbnails import read_thumbnails
from headstart.heads.analysis import FewShotPoint
from headstart.heads.report import ReportData, params_text, render_report
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore, Result

if TYPE_CHECKING:
    from headstart.flows.fit_summary import FitSummary

_MOST_POINTS = 2000
_MOST_MISTAKES = 120
_MOST_OF_A_PAIR = 12  # mistakes that take one class for one other
_MOST_SUSPECTS = 24
_MOST_HOVERED = 300  # points of the map with a picture
_THUMBNAIL, _SMALL = 200, 96  # pixels, sharp at the gallery's and at the map's size on a dense screen


def write_report(
    summary: "FitSummary",
    problem: Problem,
    plan: SplitPlan,
    results: Sequence[Result],
    winner: Result,
    test_score: FinalScore,
    found: Analysis,
    *,
    metric: str,
) -> None:
    """Write ``report.html`` and ``leaderboard.csv`` where the summary says."""
    shown = _map_rows(plan, len(problem.y))
    winner_embedded = problem.find(winner.candidate.key, winner.candidate.tap)
    features = np.asarray(winner_embedded.features.take(shown), dtype=np.float32)
    data = ReportData(
        title=problem.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        class_names=problem.class_names,
        metric=metric,
        selection=plan.selection,
        test_name=plan.test_name,
        notes=summary.notes,
        leaderboard=[_shown(row) for row in summary.leaderboard],
        winner=_shown(summary.winner),
        test=summary.test,
        y_test=problem.y[test_score.rows],
        predicted=test_score.predictions,
        probability=test_score.probability,
        embedding=features.reshape(len(features), -1),
        embedding_labels=problem.y[shown],
        embedding_is_test=np.isin(shown, plan.test),
        mistakes=_mistakes(problem, test_score),
        curves=_curves(summary, results),
        provenance=_provenance(summary, problem, winner),
        controls=[_shown(row) for row in summary.controls],
        few_shot=[_few_shot_point(point) for point in found.few_shot],
        reliability=_reliability(found),
        suspects=_suspects(problem, found),
        outliers=_outliers(problem, found),
        near_copies=_near_copies(problem, found),
        embedding_paths=problem.images.paths(shown),
        embedding_thumbnails=_hovered(problem, shown),
    )
    write_atomically(Path(summary.report), render_report(data).encode())


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    scores = {metric: (score["value"], score["low"], score["high"]) for metric, score in row["scores"].items()}
    return row | {"backbone": row["label"], "scores": scores}


def _map_rows(plan: SplitPlan, n_images: int) -> npt.NDArray[np.intp]:
    """Draw the images on the map from all that took part, at most `_MOST_POINTS`."""
    took_part = np.zeros(n_images, bool)
    for some in (plan.train, plan.test, *(score for _, score in plan.folds)):
        took_part[some] = True
    rows = np.flatnonzero(took_part)
    if len(rows) <= _MOST_POINTS:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, _MOST_POINTS, replace=False))


def _mistakes(problem: Problem, test_score: FinalScore) -> list[dict[str, Any]]:
    """Show the most confident mistakes, of each pair of classes some."""
    true, predicted, probability = problem.y[test_score.rows], test_score.predictions, test_score.probability
    wrong = np.flatnonzero(true != predicted)
    confidence = None if probability is None else probability[wrong, predicted[wrong]]
    if confidence is not None:
        wrong = wrong[np.argsort(-confidence, kind="stable")]
    place = pd.DataFrame({"true": true[wrong], "predicted": predicted[wrong]}).groupby(["true", "predicted"]).cumcount()
    wrong = wrong[place.to_numpy() < _MOST_OF_A_PAIR][:_MOST_MISTAKES]
    rows = test_score.rows[wrong]
    return [
        {
            "path": path,
            "true": problem.class_names[true[at]],
            "predicted": problem.class_names[predicted[at]],
            "probability": None if probability is None else float(probability[at, predicted[at]]),
            "thumbnail": picture,
        }
        for at, path, picture in zip(wrong, _paths(problem, rows), _pictures(problem, rows), strict=True)
    ]


def _few_shot_point(point: FewShotPoint) -> dict[str, Any]:
    return {
        "images_per_class": point.images_per_class,
        "n_train": point.n_train,
        "value": point.accuracy,
        "low": point.low,
        "high": point.high,
    }


def _reliability(found: Analysis) -> dict[str, Any] | None:
    if found.reliability is None:
        return None
    names = {"low": "accuracy_low", "high": "accuracy_high"}
    bins = [{names.get(name, name): value for name, value in one.items()} for one in found.reliability["bins"]]
    return found.reliability | {"bins": bins, "temperature": found.temperature}


def _suspects(problem: Problem, found: Analysis) -> list[dict[str, Any]]:
    shown = found.suspects[:_MOST_SUSPECTS]
    rows = np.array([one["row"] for one in shown], dtype=np.intp)
    return [
        {
            "path": path,
            "given": problem.class_names[one["given"]],
            "likely": problem.class_names[one["suggested"]],
            "probability": one["probability"],
            "thumbnail": picture,
        }
        for one, path, picture in zip(shown, _paths(problem, rows), _pictures(problem, rows), strict=True)
    ]


def _outliers(problem: Problem, found: Analysis) -> list[dict[str, Any]]:
    rows = np.array([one["row"] for one in found.outliers], dtype=np.intp)
    return [
        {
            "path": path,
            "label": problem.class_names[problem.y[one["row"]]],
            "score": one["score"],
            "thumbnail": picture,
        }
        for one, path, picture in zip(found.outliers, _paths(problem, rows), _pictures(problem, rows), strict=True)
    ]


def _near_copies(problem: Problem, found: Analysis) -> dict[str, Any] | None:
    if found.near_copies is None or not found.near_copies["pairs"]:
        return None
    columns = {
        side: np.array([pair[side] for pair in found.near_copies["pairs"]], dtype=np.intp) for side in ("left", "right")
    }
    shown = {side: (_paths(problem, rows), _pictures(problem, rows)) for side, rows in columns.items()}
    pairs = [
        pair
        | {
            name: column[number]
            for side, (paths, pictures) in shown.items()
            for name, column in ((side, paths), (f"{side}_thumbnail", pictures))
        }
        for number, pair in enumerate(found.near_copies["pairs"])
    ]
    return found.near_copies | {"pairs": pairs}


def _hovered(problem: Problem, shown: npt.NDArray[np.intp]) -> list[bytes | None]:
    """Return small pictures for some points of the map, evenly drawn, and None for the others."""
    pictures: list[bytes | None] = [None] * len(shown)
    places = np.unique(np.linspace(0, len(shown) - 1, min(len(shown), _MOST_HOVERED)).astype(np.intp))
    for place, picture in zip(places, _pictures(problem, shown[places], _SMALL), strict=True):
        pictures[place] = picture
    return pictures


def _paths(problem: Problem, rows: npt.NDArray[np.intp]) -> list[str]:
    return problem.images.paths(rows)


def _pictures(problem: Problem, rows: npt.NDArray[np.intp], size: int = _THUMBNAIL) -> list[bytes | None]:
    return read_thumbnails(problem.root, problem.images.sources(rows), size)


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
