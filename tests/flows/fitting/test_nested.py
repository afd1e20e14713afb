"""`fit` with nested folds: no image is scored by what it chose or fitted, and everything says so."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from support.array_cache import cache_of
from support.nested_example import Spy, many_taps, seen_by_spies

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.errors import JobError
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.choices import choose
from headstart.flows.fitting.job import fit
from headstart.flows.fitting.nested import fit_nested
from headstart.flows.fitting.unfinished import kept_until_done
from headstart.flows.history.comparison import FactsApart, compare_runs
from headstart.flows.history.ranking import rank_runs
from headstart.flows.history.runs import read_predictions
from headstart.flows.history.search import find_run
from headstart.flows.options import FitOptions
from headstart.flows.output.json_values import plain as as_json
from headstart.flows.problem.problem import pose_problem
from headstart.heads import HEADS, Head
from headstart.heads.errors import DataError
from headstart.heads.registry import table as registry
from headstart.heads.registry.candidates import FeatureSet, expand
from headstart.heads.report.nested_text import MEANING
from headstart.heads.saving.model_file import load_model
from headstart.heads.sweep.nested import plan_nested

X, Y = (array[:300] for array in load_digits(return_X_y=True))
DIGITS = [f"digit {y}" for y in Y]


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of 300 digits: their pixels, and as a control numbers that say nothing of them."""
    noise = np.random.default_rng(0).normal(size=(300, 8))
    return many_taps(tmp_path_factory.mktemp("digits"), {"penultimate": X, "noise": noise}, DIGITS)


@pytest.fixture(scope="module")
def nested(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> FitSummary:
    return fit(digits, ["centroid", "knn"], nested=3, folds=2, out=tmp_path_factory.mktemp("nested") / "r")


@pytest.fixture(scope="module")
def plain(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> FitSummary:
    return fit(digits, ["centroid", "knn"], folds=2, out=tmp_path_factory.mktemp("plain") / "r")


def run_of(summary: FitSummary) -> Any:
    return find_run(str(Path(summary.model).parent), [])


def test_no_model_sees_an_image_that_it_is_asked_about_nor_its_group_and_no_choice_the_outer_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spied = tmp_path / "spied"
    spied.mkdir()
    groups = np.arange(36) // 3  # of copies, or patients: three images each
    made = Head(name="spy", summary=".", make=lambda p, _: Spy(spied, p["number"]), grid={"number": (0, 1)})
    monkeypatch.setitem(registry._registered["classify"], "spy", made)
    cache = cache_of(tmp_path, np.column_stack([np.arange(36), np.ones(36)]), ["cat", "dog"] * 18)
    posed = pose_problem(EmbeddingCache(cache))
    ids = np.asarray(posed.embedded[0].features)[:, 0].astype(int)
    problem = replace(posed, groups=groups[ids])
    plan = plan_nested(problem.y, n_outer=3, folds=2, groups=problem.groups)
    (source,) = problem.embedded
    features = FeatureSet(features=source.features, backbone="b", tap=source.tap, key=source.store.key.id)
    options = FitOptions(metric="accuracy", workers=1, out=tmp_path / "results")
    choices = choose(problem, ["spy"], options, started=0.0, on_scores=None)
    with kept_until_done(tmp_path, problem, 0, tell=False) as keep:
        found = fit_nested(problem, expand([features], ["spy"]), plan, choices, keep)
    seen = seen_by_spies(spied)
    for fitted, asked in seen:
        assert not {groups[image] for image in fitted} & {groups[image] for image in asked}
    trains = [frozenset(ids[outer.train]) for outer in plan.outer]
    chosen = Counter(fitted | asked for fitted, asked in seen if len(fitted | asked) < 36)
    assert chosen == dict.fromkeys(trains, 4)  # two candidates in two folds, all of them without the outer fold
    scored = [(fitted, asked) for fitted, asked in seen if len(fitted | asked) == 36]
    assert sorted(scored, key=str) == sorted(((train, frozenset(range(36)) - train) for train in trains), key=str)
    assert found.test.rows.tolist() == list(range(36))


def test_of_many_candidates_on_pure_noise_the_chosen_score_flatters_and_the_nested_one_does_not(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    taps = {f"tap{number:02d}": draw.normal(size=(80, 3)) for number in range(30)}
    cache = many_taps(tmp_path, taps, draw.permutation(["heads", "tails"] * 40))
    summary = fit(cache, "centroid", nested=4, folds=3, out=tmp_path / "r", no_report=True)
    score = summary.test.scores["accuracy"]
    chosen = np.mean([one.chosen_by for one in summary.test.nested.folds])
    assert min(chosen, summary.winner.score) > 0.6  # the best of 30 coins
    assert score.low < 0.5 < score.high
    assert chosen - score.value > 0.1


def test_the_nested_score_agrees_with_that_of_a_held_out_fifth(nested: FitSummary, plain: FitSummary) -> None:
    mine, theirs = (summary.test.scores["accuracy"] for summary in (nested, plain))
    assert theirs.low < mine.value < theirs.high
    assert mine.high - mine.low < 0.6 * (theirs.high - theirs.low)  # five times the images


def test_every_image_is_kept_once_with_what_was_said_without_it(nested: FitSummary) -> None:
    kept = run_of(nested)
    table = read_predictions(kept.history, kept.run)
    assert (len(table), table["digest"].nunique(), kept.run.data.n_test) == (300, 300, 300)
    right = (table["true"].astype(str) == table["predicted"].astype(str)).mean()
    assert right == pytest.approx(nested.test.scores["accuracy"].value)
    assert kept.run.settings.nested == 3


def test_summary_run_and_card_say_what_won_in_each_fold_and_what_the_number_means(nested: FitSummary) -> None:
    noted = nested.test.nested
    assert (nested.test.split, nested.test.n_images, nested.test.n_train) == ("3 nested folds", 300, 300)
    assert noted.meaning == MEANING
    assert [(one.fold, one.n_train, one.n_images) for one in noted.folds] == [
        (1, 200, 100),
        (2, 200, 100),
        (3, 200, 100),
    ]
    assert {(one.head, one.tap) for one in noted.folds} <= {("knn", "penultimate"), ("centroid", "penultimate")}
    same = [one.head == nested.winner.head and one.params == nested.winner.params for one in noted.folds]
    assert noted.n_same == sum(same)
    mean = np.mean([one.scores["accuracy"].value for one in noted.folds])
    assert mean == pytest.approx(nested.test.scores["accuracy"].value)  # folds of one size
    assert run_of(nested).run.test == nested.test
    assert load_model(nested.model)[1]["scores"]["test"] == as_json(nested.test)


def test_the_model_that_is_saved_is_the_winner_of_folds_over_all_images_fitted_on_all(nested: FitSummary) -> None:
    model, _ = load_model(nested.model)
    other = HEADS[nested.winner.head].make(nested.winner.params, 0).fit(X.astype(np.float32), Y)
    assert nested.winner.split == "2-fold CV"
    assert np.array_equal(model.predict_proba(X[:50]), other.predict_proba(X[:50]))


def test_every_other_embedding_has_a_nested_score_for_comparison(nested: FitSummary) -> None:
    (control,) = nested.controls
    assert control.tap == "noise"
    assert control.scores["accuracy"].low < 0.1 < control.scores["accuracy"].high


def test_a_nested_and_a_plain_run_are_compared_on_the_images_of_both(nested: FitSummary, plain: FitSummary) -> None:
    found = compare_runs(run_of(nested), run_of(plain))
    assert found.n_shared == 60
    assert found.significant is False
    assert FactsApart("settings.nested", 3, None) in found.differences
    assert any("nested folds: compared is what models" in note for note in found.notes)


def test_nested_runs_are_ranked_among_themselves_and_it_is_said_of_what(
    nested: FitSummary, plain: FitSummary, digits: Path
) -> None:
    ranking = rank_runs([digits])
    assert sorted(table.split for table in ranking.tables) == ["3 nested folds", "held-out fifth"]
    assert any("scores on nested folds are of choosing and fitting" in note for note in ranking.notes)


def test_what_is_calibrated_with_is_never_of_the_outer_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.flows.reporting import out_of_fold

    draw = np.random.default_rng(0)
    cache = cache_of(tmp_path, draw.normal(size=(90, 8)) + np.arange(90)[:, None] % 2, ["ant", "bee"] * 45)

    given: list[int] = []
    fit_temperature = out_of_fold.fit_temperature_on_oof

    def counted(y: Any, probability: Any) -> float:
        given.append(len(y))
        return fit_temperature(y, probability)

    monkeypatch.setattr(out_of_fold, "fit_temperature_on_oof", counted)
    options: dict[str, Any] = {"nested": 3, "folds": 2}
    plain, mended = (
        fit(cache, "logreg", calibrate=calibrate, out=tmp_path / str(calibrate), **options).test.scores
        for calibrate in (False, True)
    )
    assert given == [90, 60, 60, 60, 90]  # without it, the one for the report
    assert mended["accuracy"] == plain["accuracy"]
    assert mended["log_loss"] != plain["log_loss"]


def test_near_copies_are_looked_for_across_outer_folds(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(60, 64))
    features[1::2] = features[::2] * 1.001
    summary = fit(cache_of(tmp_path, features, ["ant"] * 30 + ["bee"] * 30), "centroid", nested=3, out=tmp_path / "r")
    (note,) = [note for note in summary.notes if "look alike" in note]
    assert "pairs of images in different outer folds look alike" in note
    assert 5 < int(note.split()[0]) < 30  # two thirds of 30 pairs, or so


def test_numbers_are_nested_too(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(60, 4))
    cache = cache_of(tmp_path, features, ["a"] * 60)
    labels = tmp_path / "size.csv"
    paths = [f"a/{number:05d}.png" for number in range(60)]
    pd.DataFrame({"path": paths, "size": features[:, 0] + 0.1 * draw.normal(size=60)}).to_csv(labels, index=False)
    summary = fit(cache, ["ridge", "dummy"], labels=labels, nested=3, folds=2, out=tmp_path / "r")
    assert summary.test.scores["r2"].value > 0.9
    assert [one.head for one in summary.test.nested.folds] == ["ridge"] * 3
    assert MEANING in Path(summary.report).read_text()
    assert "What won without each outer fold" in Path(summary.report).read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nested": 1}, "nested is 1, expected at least 2 outer folds"),
        ({"nested": 3, "test_size": 0.3}, "--test-size 0.3 .* --nested 3 every image in turn: leave one of the two"),
        ({"nested": 40}, "use --nested"),
        ({"nested": 3, "memory": 1}, "--repeats and --nested need them in memory"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused(
    digits: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises((JobError, DataError), match=message):
        fit(digits, "ridge", out=tmp_path / "r", **options)


def test_images_that_bring_a_test_split_are_refused(tmp_path: Path) -> None:
    sides = ["train"] * 30 + ["test"] * 10
    cache = cache_of(tmp_path, np.zeros((40, 2)), ["a", "b"] * 20, sides)
    with pytest.raises(DataError, match=r"bring splits \(10 test images\).*leave out --nested"):
        fit(cache, "ridge", nested=3, out=tmp_path / "r")
