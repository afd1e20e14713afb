"""From a finished fit to its entry in the history of runs."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import atomic_file
from headstart.extractors.cache import PIECE_ROWS, as_hex, sort_digests
from headstart.extractors.errors import CacheError
from headstart.flows.history.run import Run, RunData, RunSettings
from headstart.flows.history.runs import FOLDER, PROBABILITIES, append_run
from headstart.flows.output import log_event, nearby
from headstart.heads.report import NO_SCORE

if TYPE_CHECKING:  # 'headstart results' reads what is kept here, and should wait for neither scikit-learn nor Dask
    from headstart.flows.fit_summary import FitSummary
    from headstart.flows.problem import Problem
    from headstart.heads.splits import SplitPlan
    from headstart.heads.sweep import FinalScore

RUN_FILE = "run.json"
_MOST_PROBABILITIES = 5_000_000  # 20 MB in the history, which a night may add


def keep_run(run: Run, predictions: pd.DataFrame) -> list[str]:
    """Add a run to the history of its cache.

    Parameters
    ----------
    run : Run
        As `describe_run` gives it; its folder is there.
    predictions : DataFrame
        As `tabulate_predictions` gives them.

    Returns
    -------
    list of str
        A note, if the cache cannot be written and the history is in the run's folder instead, or nowhere.
    """
    beside = Path(run.results) / FOLDER
    try:
        append_run(Path(run.data.cache) / FOLDER, run, predictions)
    except CacheError as error:
        try:
            append_run(beside, run, predictions)
        except CacheError as worse:  # its folder is whole, and 'headstart results' finds it there
            return [f"{error}: the run is in no history, since that is so of its own folder, too ({worse})"]
        return [f"{error}: the run is kept in {nearby(str(beside))} instead"]
    return []


def describe_run(
    summary: "FitSummary",
    problem: "Problem",
    plan: "SplitPlan",
    test_score: "FinalScore",
    settings: RunSettings,
) -> Run:
    """Gather what the history keeps of a fit."""
    in_order = _sort_lines(problem)
    store = problem.find(summary.winner.key, summary.winner.tap).store
    libraries = ("headstart", "scikit-learn", "numpy", "torch")
    return Run(
        id=summary.run,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=settings,
        versions={name: version(name) for name in libraries},
        data=RunData(
            cache=str(problem.cache.resolve()),
            name=problem.name,
            target=problem.target,
            task=problem.task,
            n_images=len(problem.y),
            n_classes=len(problem.class_names),
            n_test=len(test_score.rows),
            images=_digest(problem, in_order),
            train=_digest(problem, in_order, plan.train),
            test=_digest(problem, in_order, test_score.rows),
        ),
        embedding=store.key,
        winner=summary.winner,
        test=summary.test,
        results=str(Path(summary.model).parent.resolve()),
        n_candidates=len(summary.leaderboard),
        seconds=summary.seconds,
    )


def tabulate_predictions(problem: "Problem", test_score: "FinalScore") -> pd.DataFrame:
    """Return the winner's predictions for each test image, as `append_run` wants it."""
    true, probability = problem.y[test_score.rows], test_score.probability
    answers: list[Any] = [true, test_score.predictions]
    if problem.task == "classify":
        answers = [_named(classes, problem.class_names) for classes in answers]
    of_true = np.full(len(true), np.nan) if probability is None else probability[np.arange(len(true)), true]
    table = pd.DataFrame(
        {
            "digest": np.array(as_hex(problem.images.digest[test_score.rows]), dtype=object),
            "true": answers[0],
            "predicted": answers[1],
            "probability_of_true": of_true.astype(np.float32),
            "group": problem.groups[test_score.rows],
        }
    )
    if probability is not None and probability.size <= _MOST_PROBABILITIES:
        table[PROBABILITIES] = list(probability.astype(np.float32))
        table.attrs["classes"] = list(problem.class_names)
    return table


def write_predictions(path: Path, problem: "Problem", test_score: "FinalScore", run: str) -> None:
    """Write the winner's predictions for the test images as CSV: ``path, true, predicted, probability, run``.

    The probability is that of the prediction, and is missing where the head gives none; a number to predict has none.

    Raises
    ------
    CacheError
        The file cannot be written.
    """
    n_images = len(test_score.rows)
    with atomic_file(path) as file:
        for start in range(0, n_images, PIECE_ROWS):
            of = slice(start, start + PIECE_ROWS)
            piece = _predicted(problem, test_score, of).assign(run=run)
            text = piece.to_csv(index=False, header=not start)
            file.write(text.encode(errors="backslashreplace"))


def _predicted(problem: "Problem", test_score: "FinalScore", of: slice) -> pd.DataFrame:
    rows, predicted = test_score.rows[of], test_score.predictions[of]
    answers: list[Any] = [problem.y[rows], predicted]
    if problem.task == "classify":
        names = np.array(problem.class_names, dtype=object)
        answers = [names[classes] for classes in answers]
    table = {"path": problem.images.paths(rows), "true": answers[0], "predicted": answers[1]}
    if problem.task == "classify":
        found = test_score.probability
        table["probability"] = (
            np.nan if found is None else found[of][np.arange(len(rows)), predicted].astype(np.float64).round(4)
        )
    return pd.DataFrame(table)


def _named(classes: npt.NDArray[Any], names: Sequence[str]) -> "pd.Series[Any]":
    return pd.Series(np.array(names, dtype=object)[classes], dtype="category")


def _digest(problem: "Problem", in_order: npt.NDArray[np.intp], rows: npt.NDArray[np.intp] | None = None) -> str:
    """Return one digest of which images these are and what they are labelled, in whatever order they are listed."""
    if rows is not None:
        wanted = np.zeros(len(in_order), bool)
        wanted[rows] = True
        in_order = in_order[wanted[in_order]]
    found = hashlib.sha256()
    for start in range(0, len(in_order), PIECE_ROWS):  # the lines of millions of images would take a gigabyte
        lines = "\n".join(_lines(problem, in_order[start : start + PIECE_ROWS]))
        found.update(f"\n{lines}".encode() if start else lines.encode())
    return found.hexdigest()[:16]


def _sort_lines(problem: "Problem") -> npt.NDArray[np.intp]:
    """Return all rows, sorted as their `_lines` would be: by digest and, of copies of one image, by label."""
    order, number = sort_digests(problem.images.digest)
    copied = np.flatnonzero((np.bincount(number) > 1)[number])
    lines = _lines(problem, order[copied])
    order[copied] = order[copied][sorted(range(len(lines)), key=lines.__getitem__)]
    return order


def _lines(problem: "Problem", rows: npt.NDArray[np.intp]) -> list[str]:
    names = problem.class_names
    labels = [names[y] if names else repr(float(y)) for y in problem.y[rows]]
    return [f"{digest} {label}" for digest, label in zip(as_hex(problem.images.digest[rows]), labels, strict=True)]


def log_run(run: Run) -> None:
    """Log a fit that has come to its winner."""
    metric = run.winner.metric
    score = run.test.scores.get(metric, NO_SCORE)
    log_event(
        "fit",
        f"{run.winner.head} won of {run.n_candidates}: {metric} {score.value} on {run.test.n_images} images",
        run=run.id,
        cache=run.data.cache,
        results=run.results,
        key=run.winner.key,
        head=run.winner.head,
        metric=metric,
        score=score.value,
        low=score.low,
        high=score.high,
        images=run.test.n_images,
        candidates=run.n_candidates,
        seconds=run.seconds,
    )
