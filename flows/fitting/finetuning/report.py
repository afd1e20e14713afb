"""The page of a fine-tuning: it opens no image, so mistakes are named and not shown."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from headstart.extractors.atomic import write_atomically
from headstart.flows.fitting.finetuning.summary import FinetuneSummary, verdict
from headstart.flows.problem import Problem
from headstart.heads.report import TailReport, render_tail_report
from headstart.heads.sweep import FinalScore

_MOST_MISTAKES = 20


def write_tail_report(path: Path, summary: FinetuneSummary, problem: Problem, test: FinalScore) -> None:
    """Write ``report.html`` of a run."""
    page = TailReport(
        title=problem.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        winner=summary.winner,
        heads=summary.heads,
        test=summary.test,
        difference=summary.difference,
        verdict=verdict(summary.difference),
        metric=summary.winner.metric,
        class_names=problem.class_names,
        y_test=problem.y[test.rows],
        predicted=test.predictions,
        candidates=summary.candidates,
        history=summary.history,
        best_epoch=summary.best_epoch,
        blocks=[(one.name, one.parameters, one.learning_rate) for one in summary.blocks],
        mistakes=_mistakes(problem, test),
        notes=summary.notes,
        provenance=_provenance(summary, problem),
        command=summary.command,
    )
    write_atomically(path, render_tail_report(page).encode())


def _mistakes(problem: Problem, test: FinalScore) -> list[tuple[str, int, int, float]]:
    true, probability = problem.y[test.rows], test.probability
    assert probability is not None  # noqa: S101 - for the type checker: a tail gives them
    wrong = np.flatnonzero(true != test.predictions)
    sure = probability[wrong, test.predictions[wrong]]
    first = np.argsort(-sure, kind="stable")[:_MOST_MISTAKES]
    paths = problem.images.paths(test.rows[wrong[first]])
    return [
        (path, int(true[at]), int(test.predictions[at]), float(of_it))
        for path, at, of_it in zip(paths, wrong[first], sure[first], strict=True)
    ]


def _provenance(summary: FinetuneSummary, problem: Problem) -> list[tuple[str, str]]:
    store = next(one.store for one in problem.embedded if one.store.key.id == summary.winner.key)
    versions = store.about["versions"] | {name: version(name) for name in ("headstart", "scikit-learn", "numpy")}
    return [
        ("run", summary.run),
        ("images", f"{len(problem.images)} of {problem.root}"),
        ("target", f"{problem.target}: {len(problem.class_names)} classes"),
        ("trained on", f"{summary.test.n_train} images, from {summary.layer} on, on rows {summary.tap}"),
        ("computed in", f"{summary.precision}; rows in {store.key.precision}, stored as {store.key.dtype}"),
        ("embedding key", store.key.id),
        ("backbone", store.key.backbone),
        ("weights", f"{store.about['weights_name']}, {store.key.weights}"),
        ("epochs", f"{len(summary.history)}, {summary.seconds_an_epoch:.2g} s each"),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
        ("seed", str(summary.seed)),
    ]
