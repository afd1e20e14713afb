"""A fit is kept in the history of its cache with what was asked, what was found, and on which images."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.synthetic_runs import SETTINGS

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.cache.digests import as_hex
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.job import fit
from headstart.flows.history.record import describe_run, keep_run, tabulate_predictions
from headstart.flows.history.run import Run, RunSettings
from headstart.flows.history.runs import FOLDER, read_predictions, read_runs, write_results
from headstart.flows.history.search import find_run
from headstart.flows.problem.problem import Problem, pose_problem
from headstart.flows.upkeep.verification import verify
from headstart.heads.splits import SplitPlan, plan_splits
from headstart.heads.sweep.final import FinalScore


@pytest.fixture
def fitted(embedded: Callable[..., Path], elsewhere: Path) -> tuple[FitSummary, Problem, SplitPlan, FinalScore]:
    """A real fit, with its problem and plan; the winner's predictions are made up, one of them wrong."""
    cache = embedded()
    summary, problem = fit(cache, ["centroid", "dummy"], no_report=True), pose_problem(EmbeddingCache(cache))
    plan = plan_splits(problem.y, groups=problem.groups)
    true = problem.y[plan.test]
    predicted = np.where(np.arange(len(true)) == 0, (true + 1) % 3, true)
    probability = np.full((len(true), 3), 0.1) + 0.7 * np.eye(3)[predicted]
    score = FinalScore(rows=plan.test, predictions=predicted, probability=probability, scores={})
    return summary, problem, plan, score


Fitted = tuple[FitSummary, Problem, SplitPlan, FinalScore]


def kept(
    summary: FitSummary, problem: Problem, plan: SplitPlan, score: FinalScore, settings: RunSettings
) -> tuple[Run, list[str]]:
    """Keep a run as a fit does when its folder is there."""
    run = describe_run(summary, problem, plan, score, settings)
    return run, keep_run(run, tabulate_predictions(problem, score))


def test_a_fit_is_kept_in_its_cache_with_what_was_asked_and_found(fitted: Fitted, tmp_path: Path) -> None:
    summary, problem, plan, score = fitted
    run, notes = kept(summary, problem, plan, score, SETTINGS)
    assert notes == []
    found, damaged = read_runs(tmp_path / "cache" / FOLDER)
    assert damaged == []
    (by_fit,) = [one for one in found if one != run]  # the fit's own entry, under the same id
    assert [one.id for one in found] == [summary.run] * 2
    assert by_fit.settings.heads == ["centroid", "dummy"]
    assert by_fit.winner.head == "centroid"
    assert run.settings == SETTINGS
    assert (run.winner.head, run.n_candidates) == ("centroid", len(summary.leaderboard))
    assert run.test.scores["accuracy"] == summary.test.scores["accuracy"]
    assert (run.data.n_images, run.data.n_classes, run.data.n_test) == (36, 3, 8)
    assert run.embedding == problem.embedded[0].store.key
    assert find_run(str(Path(summary.model).parent), []).run == by_fit
    assert verify(tmp_path / "cache").sound  # the history is no foreign body in a cache


def test_the_leaderboard_of_a_fit_becomes_a_table(fitted: Fitted, tmp_path: Path) -> None:
    summary = fitted[0]
    table = pd.read_parquet(write_results(tmp_path, summary.leaderboard))
    assert table["head"].tolist() == [row.head for row in summary.leaderboard]
    assert table["accuracy"].tolist() == [row.score for row in summary.leaderboard]


def test_predictions_are_kept_by_image_with_class_names(fitted: Fitted) -> None:
    _, problem, plan, score = fitted
    table = tabulate_predictions(problem, score)
    assert table["digest"].tolist() == as_hex(problem.images.digest[plan.test])
    assert table["true"].tolist() == [problem.class_names[y] for y in problem.y[plan.test]]
    assert (table["true"].astype(str) != table["predicted"].astype(str)).tolist() == [True] + [False] * 7
    assert table["probability_of_true"].tolist() == pytest.approx([0.1] + [0.8] * 7)


def test_other_labels_or_other_test_images_have_another_digest(fitted: Fitted) -> None:
    summary, problem, plan, score = fitted
    run, _ = kept(summary, problem, plan, score, SETTINGS)
    relabelled = replace(problem, y=(problem.y + 1) % 3)
    other, _ = kept(summary, relabelled, plan, score, SETTINGS)
    elsewhere = plan_splits(problem.y, groups=problem.groups, seed=1)
    moved, _ = kept(summary, problem, elsewhere, replace(score, rows=elsewhere.test), SETTINGS)
    assert len({run.data.images, other.data.images}) == 2
    assert run.data.images == moved.data.images
    assert len({run.data.test, other.data.test, moved.data.test}) == 3


def test_the_order_of_a_listing_does_not_change_the_digest_of_its_images(fitted: Fitted) -> None:
    summary, problem, plan, score = fitted
    turned = replace(problem, images=replace(problem.images, digest=problem.images.digest[::-1]), y=problem.y[::-1])
    runs = [kept(summary, posed, plan, score, SETTINGS)[0] for posed in (problem, turned)]
    assert runs[0].data.images == runs[1].data.images


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_the_digest_of_images_is_that_of_their_sorted_lines(
    fitted: Fitted, monkeypatch: pytest.MonkeyPatch, task: str
) -> None:
    """Histories that are there already are compared with it, whatever reads the images."""
    monkeypatch.setattr("headstart.flows.history.record.PIECE_ROWS", 5)
    summary, problem, plan, score = fitted
    digest = problem.images.digest[np.arange(36) // 3]  # three copies of each, with different labels
    copies = replace(problem, images=replace(problem.images, digest=digest), y=np.arange(36) % 3)
    if task == "regress":
        copies = replace(copies, y=np.arange(36) % 5 / 3 - 1, class_names=[], task=task)
    labels = [copies.class_names[y] for y in copies.y] if copies.class_names else [repr(float(y)) for y in copies.y]
    lines = [f"{row.tobytes().hex()} {label}" for row, label in zip(digest, labels, strict=True)]
    data = describe_run(summary, copies, plan, score, SETTINGS).data
    for name, rows in (("images", range(36)), ("train", plan.train), ("test", plan.test)):
        content = "\n".join(sorted(lines[row] for row in rows))
        assert getattr(data, name) == hashlib.sha256(content.encode()).hexdigest()[:16]


def test_a_cache_that_cannot_be_written_leaves_the_history_in_the_results_folder(
    fitted: Fitted, tmp_path: Path
) -> None:
    summary, problem, plan, score = fitted
    shutil.rmtree(tmp_path / "cache" / FOLDER)
    (tmp_path / "cache" / FOLDER).write_text("a file where the folder should be")
    run, notes = kept(summary, problem, plan, score, SETTINGS)
    results = Path(summary.model).parent
    assert f"the run is kept in cache.results/{run.id}/runs instead" in notes[0]
    assert read_runs(results / FOLDER) == ([run], [])
    assert find_run(str(results), []).history == results / FOLDER
    assert len(read_predictions(results / FOLDER, run)) == 8
