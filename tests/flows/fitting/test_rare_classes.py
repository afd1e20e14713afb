"""A class that is too rare to be fitted is left out with a note, and does not stop the others."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.array_cache import cache_of

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.errors import JobError
from headstart.flows.experiment.tables import FitTable
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.job import fit
from headstart.flows.fitting.rare_classes import plan_without_rare
from headstart.flows.history.run import Run
from headstart.flows.options import FitOptions
from headstart.flows.problem.problem import Problem, pose_problem
from headstart.heads.errors import DataError, RareClassError
from headstart.heads.saving.card import read_card
from headstart.heads.splits import SplitPlan


def embedded(folder: Path, labels: Sequence[str], sides: Sequence[str] | None = None) -> Path:
    numbers = np.unique(labels, return_inverse=True)[1]
    noise = np.random.default_rng(0).normal(size=(len(labels), 8))
    return cache_of(folder, noise + 3 * np.eye(8)[numbers % 8], labels, sides)


def planned(
    folder: Path, labels: Sequence[str], sides: Sequence[str] | None = None, **options: Any
) -> tuple[Problem, SplitPlan]:
    problem = pose_problem(EmbeddingCache(embedded(folder, labels, sides)))
    return plan_without_rare(problem, FitOptions(**options))[:2]


def note_of(problem: Problem | FitSummary) -> str:
    return next((note for note in problem.notes if "left out" in note), "")


@pytest.mark.parametrize(
    ("rare", "options"),
    [
        ({"heron": 1}, {}),
        ({"heron": 1, "wren": 4}, {}),
        ({"heron": 5}, {}),  # five in all, and one of them held back
        ({f"rare {number}": 1 for number in range(30)}, {}),  # more classes than images held back
        ({f"rare {number}": 2 for number in range(30)}, {}),
        ({"heron": 2}, {"nested": 3, "folds": 2}),
        ({"heron": 3}, {"nested": 3, "folds": 3}),  # one for each outer fold, and too few inside
        ({"heron": 3}, {"repeats": 2, "folds": 4}),
    ],
    ids=["one image", "two classes", "one held back", "many", "many pairs", "outer folds", "inner folds", "rounds"],
)
def test_classes_that_the_folds_cannot_hold_are_left_out(
    tmp_path: Path, rare: dict[str, int], options: dict[str, Any]
) -> None:
    labels = ["cat"] * 20 + ["dog"] * 20 + [name for name, count in rare.items() for _ in range(count)]
    problem, _ = planned(tmp_path, labels, **options)
    assert problem.class_names == ["cat", "dog"]
    assert note_of(problem).startswith(f"{len(rare)} of {len(rare) + 2} classes are left out: ")
    assert "(--min-images" in note_of(problem)
    assert (problem.understood.classes, problem.understood.left_out) == ({"cat": 20, "dog": 20}, rare)


def test_a_class_that_is_rare_in_train_alone_goes_from_every_split(tmp_path: Path) -> None:
    labels = ["cat", "dog"] * 10 + ["heron"] * 6
    problem, plan = planned(tmp_path, labels, ["train"] * 14 + ["test"] * 6 + ["train"] * 2 + ["test"] * 4)
    assert (problem.class_names, len(plan.test), len(plan.train)) == (["cat", "dog"], 6, 14)
    assert problem.understood.splits == {"train": 14, "test": 6}


def test_what_the_folds_can_hold_stays_and_nothing_is_noted(tmp_path: Path) -> None:
    problem, _ = planned(tmp_path, ["cat"] * 20 + ["dog"] * 20 + ["heron"] * 4, folds=2)
    assert (problem.class_names, note_of(problem)) == (["cat", "dog", "heron"], "")


def test_a_minimum_that_is_asked_for_counts_images(tmp_path: Path) -> None:
    problem, _ = planned(tmp_path, ["cat"] * 20 + ["dog"] * 20 + ["heron"] * 10, min_images=11)
    assert problem.class_names == ["cat", "dog"]
    assert "heron (10); they have fewer than 11 images" in note_of(problem)


def test_a_minimum_of_one_keeps_every_class_or_says_why_not(tmp_path: Path) -> None:
    with pytest.raises(RareClassError, match="'heron' has 1 image"):
        planned(tmp_path, ["cat"] * 20 + ["dog"] * 20 + ["heron"], min_images=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "'heron' has 1 image"), ({"min_images": 15}, "1 of 2 classes of 'label' have 15 images or more")],
)
def test_two_classes_have_to_be_left(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, JobError), match=message):
        planned(tmp_path, ["cat"] * 20 + ["heron"], **options)


def test_the_model_the_scores_and_the_history_are_of_the_classes_that_are_left(tmp_path: Path) -> None:
    cache = embedded(tmp_path, ["heron"] + ["cat"] * 20 + ["dog"] * 20)
    summary = fit(cache, "centroid", out=tmp_path / "results")
    assert summary.class_names == ["cat", "dog"]
    assert note_of(summary).startswith("1 of 3 classes are left out: heron (1); the 5 folds cannot have one image of")
    assert read_card(Path(summary.model) / "model.json")["class_names"] == ["cat", "dog"]
    assert summary.test.scores["accuracy"].value == 1.0
    data = Run.from_line((tmp_path / "results" / "run.json").read_bytes()).data
    assert (data.n_classes, data.n_images) == (2, 40)


def test_an_experiment_may_ask_for_it() -> None:
    assert FitTable(min_images=3).options.min_images == 3
