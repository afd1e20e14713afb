"""The report of a fit that tells classes apart, from what was found and from pictures of its images."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import number_digests
from headstart.flows.problem import Problem
from headstart.flows.reporting.analysis import Analysis
from headstart.flows.reporting.exhibits import (
    show_copies,
    show_mistakes,
    show_outliers,
    show_right,
    show_suspects,
)
from headstart.flows.reporting.labelling import LabelFile, offer_labels
from headstart.flows.reporting.map import DescribedMap, map_rows
from headstart.heads.report import Curve, Labelling, ReportData, params_text, render_report
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore, Result

if TYPE_CHECKING:
    from headstart.flows.fit_summary import FitSummary


def write_report(
    summary: "FitSummary",
    problem: Problem,
    plan: SplitPlan,
    results: Sequence[Result],
    winner: Result,
    test_score: FinalScore,
    found: Analysis,
    shown: DescribedMap,
) -> None:
    """Write ``report.html`` where the summary says; `shown` is on the map."""
    data = ReportData(
        title=problem.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        class_names=problem.class_names,
        metric=summary.winner.metric,
        selection=plan.selection,
        test_name=plan.test_name,
        notes=summary.notes,
        leaderboard=summary.leaderboard,
        winner=summary.winner,
        test=summary.test,
        y_test=problem.y[test_score.rows],
        predicted=test_score.predictions,
        probability=test_score.probability,
        curves=_curves(summary, results),
        provenance=_provenance(summary, problem, winner),
        controls=summary.controls,
        few_shot=found.few_shot,
        few_shot_others=found.few_shot_others,
        reliability=found.reliability,
        doubt=summary.doubt,
        classes=summary.classes,
        command=summary.command,
        files={name: Path(file).name for name, file in _files(summary).items() if file},
        mistakes=show_mistakes(problem, test_score),
        right=show_right(problem, test_score, [one.name for one in summary.classes]),
        suspects=show_suspects(problem, found),
        outliers=show_outliers(problem, found),
        near_copies=show_copies(problem, found.near_copies),
        labelling=_labelling(problem, plan, [one.row for one in found.suspects], summary.command),
        **vars(shown),
    )
    write_atomically(Path(summary.report), render_report(data).encode())


def _labelling(problem: Problem, plan: SplitPlan, suspects: list[int], command: str) -> Labelling:
    """Let a reader label the images of the map, and suspects; splits and groups that may have come with labels stay."""
    on_map, aside = map_rows(plan, len(problem.y)), problem.set_aside
    names = [*problem.class_names, *dict.fromkeys(one.label for one in aside)]
    columns = {}
    if problem.split is not None:
        columns["split"] = _followed_by(problem.split, [one.split for one in aside])
    contents = number_digests(problem.images.digest)
    if len(np.unique(problem.groups)) < len(np.unique(contents)):  # more belongs together than copies of one image
        columns["group"] = _followed_by(problem.groups, [None] * len(aside))

    def paths_of(rows: npt.NDArray[np.intp]) -> list[str]:
        listed = rows[rows < len(problem.y)]
        return [
            *problem.images.files["path"].take(listed).to_pylist(),
            *(aside[row].path for row in (rows[len(listed) :] - len(problem.y))),
        ]

    return offer_labels(
        paths_of,
        _followed_by(problem.y, [names.index(one.label) for one in aside]),
        names,
        np.append(on_map, np.setdiff1d(suspects, on_map)).astype(np.intp),
        file=LabelFile(problem.target, problem.name, shlex.split(command)),
        digests=problem.images.digest,
        columns=columns,
    )


def _followed_by(values: npt.NDArray[Any], few: list[Any]) -> npt.NDArray[Any]:
    """Values and a few more; of millions no copy where there are none."""
    return np.append(values, np.array(few)) if few else values


def _files(summary: "FitSummary") -> dict[str, str | None]:
    return {
        "model": summary.model,
        "predictions (CSV)": summary.predictions,
        "candidates (CSV)": summary.table,
        "labels to check (CSV)": summary.suspects,
    }


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
    views = f", {summary.views} views of each" if summary.views > 1 else ""
    return [
        ("run", " · ".join(filter(None, (summary.run, summary.name, summary.note)))),
        ("images", f"{len(problem.images)} of {problem.root}"),
        ("target", f"{problem.target}: {len(problem.class_names)} classes"),
        ("trained on", f"{summary.test.n_train} images{views}"),
        ("embedding key", key.key.id),
        ("backbone", key.key.backbone),
        ("weights", f"{key.about['weights_name']}, {key.key.weights}"),
        ("taps", ", ".join(key.key.taps)),
        ("preprocessing", preprocessing),
        ("computed in", f"{key.key.computed_in}, stored as {key.key.dtype}"),
        ("versions", versions),
        ("candidates", f"{len(summary.leaderboard)} in {summary.seconds:.1f} s, chosen by {summary.winner.split}"),
        ("seed", str(summary.seed)),
    ]
