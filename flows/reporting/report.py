"""The report's ingredients: only here do scores meet image files, as thumbnails."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.flows.problem import Problem
from headstart.flows.reporting.analysis import Analysis, CopiesAcross
from headstart.flows.reporting.thumbnails import read_thumbnails
from headstart.heads.report import (
    CopyPair,
    CopyPairs,
    Curve,
    Mistake,
    OutlierRow,
    ReportData,
    SuspectRow,
    params_text,
    render_report,
)
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
        leaderboard=summary.leaderboard,
        winner=summary.winner,
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
        controls=summary.controls,
        few_shot=found.few_shot,
        few_shot_others=found.few_shot_others,
        reliability=found.reliability,
        suspects=_suspects(problem, found),
        outliers=_outliers(problem, found),
        near_copies=_near_copies(problem, found.near_copies),
        embedding_paths=problem.images.paths(shown),
        embedding_thumbnails=_hovered(problem, shown),
    )
    write_atomically(Path(summary.report), render_report(data).encode())


def _map_rows(plan: SplitPlan, n_images: int) -> npt.NDArray[np.intp]:
    """Draw the images on the map from all that took part, at most `_MOST_POINTS`."""
    took_part = np.zeros(n_images, bool)
    for some in (plan.train, plan.test, *(score for _, score in plan.folds)):
        took_part[some] = True
    rows = np.flatnonzero(took_part)
    if len(rows) <= _MOST_POINTS:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, _MOST_POINTS, replace=False))


def _mistakes(problem: Problem, test_score: FinalScore) -> list[Mistake]:
    """Show the most confident mistakes, of each pair of classes some."""
    true, predicted, probability = problem.y[test_score.rows], test_score.predictions, test_score.probability
    wrong = np.flatnonzero(true != predicted)
    confidence = None if probability is None else probability[wrong, predicted[wrong]]
    if confidence is not None:
        wrong = wrong[np.argsort(-confidence, kind="stable")]
    place = pd.DataFrame({"true": true[wrong], "predicted": predicted[wrong]}).groupby(["true", "predicted"]).cumcount()
    wrong = wrong[place.to_numpy() < _MOST_OF_A_PAIR][:_MOST_MISTAKES]
    return [
        Mistake(
            path=path,
            true=problem.class_names[true[at]],
            predicted=problem.class_names[predicted[at]],
            probability=None if probability is None else float(probability[at, predicted[at]]),
            thumbnail=picture,
        )
        for at, (path, picture) in zip(wrong, _pictured(problem, test_score.rows[wrong]), strict=True)
    ]


def _suspects(problem: Problem, found: Analysis) -> list[SuspectRow]:
    shown = found.suspects[:_MOST_SUSPECTS]
    return [
        SuspectRow(
            path=path,
            given=problem.class_names[one.given],
            likely=problem.class_names[one.suggested],
            probability=one.probability,
            thumbnail=picture,
        )
        for one, (path, picture) in zip(shown, _pictured(problem, [one.row for one in shown]), strict=True)
    ]


def _outliers(problem: Problem, found: Analysis) -> list[OutlierRow]:
    pictured = _pictured(problem, [one.row for one in found.outliers])
    return [
        OutlierRow(path=path, label=problem.class_names[problem.y[one.row]], score=one.score, thumbnail=picture)
        for one, (path, picture) in zip(found.outliers, pictured, strict=True)
    ]


def _near_copies(problem: Problem, across: CopiesAcross | None) -> CopyPairs | None:
    if across is None or not across.found.n_found:
        return None
    rows, names, of_image = across.found.rows, across.sides.names, across.sides.of_image
    pairs = [
        CopyPair(
            left=left[0],
            right=right[0],
            left_side=names[of_image[left_row]],
            right_side=names[of_image[right_row]],
            cosine=float(cosine),
            left_thumbnail=left[1],
            right_thumbnail=right[1],
        )
        for (left_row, right_row), cosine, left, right in zip(
            rows, across.found.cosine, _pictured(problem, rows[:, 0]), _pictured(problem, rows[:, 1]), strict=True
        )
    ]
    return CopyPairs(n_found=across.found.n_found, threshold=across.threshold, pairs=pairs)


def _hovered(problem: Problem, shown: npt.NDArray[np.intp]) -> list[bytes | None]:
    """Return small pictures for some points of the map, evenly drawn, and None for the others."""
    pictures: list[bytes | None] = [None] * len(shown)
    places = np.unique(np.linspace(0, len(shown) - 1, min(len(shown), _MOST_HOVERED)).astype(np.intp))
    for place, picture in zip(places, _pictures(problem, shown[places], _SMALL), strict=True):
        pictures[place] = picture
    return pictures


def _pictured(problem: Problem, rows: Sequence[int] | npt.NDArray[np.intp]) -> list[tuple[str, bytes | None]]:
    """Return path and picture of images."""
    at = np.asarray(rows, dtype=np.intp)
    return list(zip(problem.images.paths(at), _pictures(problem, at), strict=True))


def _pictures(problem: Problem, rows: npt.NDArray[np.intp], size: int = _THUMBNAIL) -> list[bytes | None]:
    ends = problem.embedded[0].store.key.range
    return read_thumbnails(problem.root, problem.images.sources(rows), size, ends)


def _curves(summary: "FitSummary", results: Sequence[Result]) -> list[Curve]:
    """Take the training curve of the best candidate of each head that has one."""
    best: dict[str, Curve] = {}
    for row, result in zip(summary.leaderboard, results, strict=True):
        if result.history:
            name = f"{row.label} · {row.head} ({params_text(row.params)})"
            best.setdefault(row.head, Curve(name, result.history))
    return list(best.values())


def _provenance(summary: "FitSummary", problem: Problem, winner: Result) -> list[tuple[str, str]]:
    key = problem.find(winner.candidate.key, winner.candidate.tap).store
    preprocessing = ", ".join(f"{name} {value}" for name, value in key.key.preprocessing.as_dict().items())
    libraries = key.about["versions"] | {name: version(name) for name in ("headstart", "scikit-learn", "numpy")}
    versions = ", ".join(f"{name} {number}" for name, number in libraries.items())
    return [
        ("run", " · ".join(filter(None, (summary.run, summary.name, summary.note)))),
        ("images", f"{len(problem.images)} of {problem.root}"),
        ("target", f"{problem.target}: {len(problem.class_names)} classes"),
        ("trained on", f"{summary.test.n_train} images"),
        ("embedding key", key.key.id),
        ("backbone", key.key.backbone),
        ("weights", f"{key.about['weights_name']}, {key.key.weights}"),
        ("taps", ", ".join(key.key.taps)),
        ("preprocessing", preprocessing),
        ("computed in", f"{key.key.precision}, stored as {key.key.dtype}"),
        ("versions", versions),
        ("candidates", f"{len(summary.leaderboard)} in {summary.seconds:.1f} s, chosen by {summary.winner.split}"),
        ("seed", str(summary.seed)),
    ]
