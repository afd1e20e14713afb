"""The report of a fit that predicts numbers: only here do its scores meet the images' paths."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from headstart.extractors.atomic import write_atomically
from headstart.flows.fit_summary import FitSummary
from headstart.flows.problem import Problem
from headstart.heads.report import NumberReport, render_number_report
from headstart.heads.sweep import FinalScore

_MOST_WORST = 20


def write_number_report(summary: FitSummary, problem: Problem, test_score: FinalScore) -> None:
    """Write ``report.html`` and ``leaderboard.csv`` where the summary says."""
    true, predicted = problem.y[test_score.rows], test_score.predictions
    worst = np.argsort(-np.abs(predicted - true), kind="stable")[:_MOST_WORST]
    paths = problem.images.paths(test_score.rows[worst])
    page = NumberReport(
        title=problem.name,
        target=problem.target,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        metric=summary.winner.metric,
        leaderboard=summary.leaderboard,
        test=summary.test,
        true=true,
        predicted=predicted,
        worst=[(path, float(true[at]), float(predicted[at])) for path, at in zip(paths, worst, strict=True)],
        notes=summary.notes,
        provenance=_provenance(summary, problem),
    )
    write_atomically(Path(summary.report), render_number_report(page).encode())


def _provenance(summary: FitSummary, problem: Problem) -> dict[str, str]:
    winner = summary.winner
    return {
        "run": " · ".join(filter(None, (summary.run, summary.name, summary.note))),
        "backbone": f"{winner.backbone}, weights {winner.weights}, tap {winner.tap}",
        "embedding": winner.key,
        "images": f"{len(problem.y)} with a {problem.target}",
        "seed": str(summary.seed),
        "seconds": f"{summary.seconds:.1f}",
        "versions": ", ".join(f"{name} {version(name)}" for name in ("headstart", "scikit-learn", "numpy", "torch")),
    }
