"""`fit --coverage`: sets and outliers of the winner, calibrated on what chose it and measured on what did not."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from support.array_cache import cache_of

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_listing
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.fitting import fit, fit_targets
from headstart.flows.output.json_values import plain
from headstart.flows.reporting import OutOfFold, predict_out_of_fold
from headstart.heads.coverage import OUTLIER_METHODS, SET_METHODS, read_doubt
from headstart.heads.errors import DataError
from headstart.heads.registry import HEADS
from headstart.heads.saving import load_model, read_card

Embed = Callable[..., Any]


def drawn(n_images: int = 240, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Return features of three classes that overlap, and their names."""
    generator = np.random.default_rng(seed)
    y = np.arange(n_images) % 3
    centres = np.random.default_rng(9).normal(size=(3, 8))
    return centres[y] + 0.9 * generator.normal(size=(n_images, 8)), [["cat", "dog", "owl"][code] for code in y]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cache_of(tmp_path_factory.mktemp("drawn"), *drawn())


@pytest.fixture
def cache(made: Path, tmp_path: Path) -> Path:
    return copytree(made, tmp_path / made.name)


def test_sets_and_outliers_are_measured_on_the_test_images_and_said(cache: Path, elsewhere: Path) -> None:
    found = fit(cache, "logreg", coverage=0.9, no_report=True)
    doubt = found.doubt
    assert doubt is not None
    assert (doubt.coverage, doubt.method, doubt.by_class, doubt.outlier) == (0.9, "lac", False, "mahalanobis")
    assert (doubt.n_calibrated, doubt.held_out, doubt.covered.of) == (192, False, 48)
    assert sum(doubt.sizes) == doubt.flagged.of == doubt.answered.of == 48
    assert doubt.covered.low <= 0.9 <= doubt.covered.high
    assert doubt.flagged.low <= 0.05 <= doubt.flagged.high
    assert sorted((one.name, one.covered.of) for one in doubt.classes) == [("cat", 16), ("dog", 16), ("owl", 16)]
    (note,) = [one for one in found.notes if one.startswith("--coverage")]
    assert f"{100 * doubt.covered.value:.1f} % [" in note
    assert json.loads(json.dumps(plain(found)))["doubt"]["covered"]["of"] == 48


def test_no_image_of_the_test_split_calibrates(tmp_path: Path, elsewhere: Path) -> None:
    features, labels = drawn()
    sides = ["test" if number < 60 else "train" for number in range(240)]
    other = features.copy()
    other[:60] = 50 * np.random.default_rng(1).normal(size=(60, 8))
    entries = []
    for name, X in (("one", features), ("two", other)):
        (tmp_path / name).mkdir()
        found = fit(cache_of(tmp_path / name, X, labels, sides), "ridge", coverage=0.9, no_report=True, out=name)
        entries.append(read_card(Path(found.model) / "model.json")["doubt"])
    assert entries[0] == entries[1]


def test_images_of_val_calibrate_where_they_chose(tmp_path: Path, elsewhere: Path) -> None:
    features, labels = drawn()
    sides = [("train", "val", "test")[number % 5 % 3] for number in range(240)]
    found = fit(cache_of(tmp_path, features, labels, sides), "logreg", coverage=0.9, no_report=True)
    assert found.doubt is not None
    assert (found.doubt.n_calibrated, found.doubt.held_out) == (sides.count("val"), True)


QUICK = {"boosting": {"max_iter": [3]}, "mlp": {"hidden_sizes": [[128]]}, "linear-torch": {"max_epochs": [9]}}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cache_of(tmp_path_factory.mktemp("few"), *drawn(90))


@pytest.mark.parametrize("head", list(HEADS))
def test_every_head_has_sets_that_cover(few: Path, elsewhere: Path, head: str) -> None:
    found = fit(few, head, grid={head: QUICK.get(head, {})}, coverage=0.8, no_report=True, folds=3)
    assert found.doubt is not None
    assert found.doubt.covered.high >= 0.8
    doubt = read_doubt(Path(found.model), read_card(Path(found.model) / "model.json"))
    assert doubt is not None
    assert np.isfinite(doubt.sets.thresholds).all()


def test_a_head_whose_fits_differ_too_much_for_one_threshold_is_told_of(
    cache: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(*asked: Any, **named: Any) -> OutOfFold:
        found = predict_out_of_fold(*asked, **named)
        assert found is not None
        probability = found.probability.copy()
        probability[:38] = 0.98, 0.01, 0.01  # the first fold's model is sure of one class
        return replace(found, probability=probability)

    with monkeypatch.context() as patch:
        patch.setattr("headstart.flows.fitting.winner.predict_out_of_fold", torn)
        notes = [note for note in fit(cache, "ridge", coverage=0.8, no_report=True).notes if "% of a fold" in note]
    assert len(notes) == 1
    assert "give the images a val split" in notes[0]
    assert not [note for note in fit(cache, "ridge", coverage=0.8, no_report=True).notes if "% of a fold" in note]


class OnlyClasses(ClassifierMixin, BaseEstimator):
    """A head that says a class and no more."""

    def fit(self, X: Any, y: Any) -> "OnlyClasses":  # noqa: ARG002 - scikit-learn asks for both
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


def test_a_head_that_says_classes_alone_is_refused(cache: Path, elsewhere: Path) -> None:
    with pytest.raises(DataError, match="gives neither probabilities nor decisions to make sets of; leave out"):
        fit(cache, [OnlyClasses()], coverage=0.8, no_report=True)


@pytest.mark.parametrize("outlier", OUTLIER_METHODS)
@pytest.mark.parametrize("conformal", SET_METHODS)
def test_each_kind_is_saved_as_asked_for(cache: Path, elsewhere: Path, conformal: Any, outlier: Any) -> None:
    found = fit(
        cache, "ridge", coverage=0.8, conformal=conformal, outlier=outlier, by_class=True, false_alarms=0.2,
        no_report=True,
    )  # fmt: skip
    doubt = read_doubt(Path(found.model), read_card(Path(found.model) / "model.json"))
    assert doubt is not None
    assert (doubt.sets.method, doubt.outliers.method, doubt.false_alarms) == (conformal, outlier, 0.2)
    assert len(set(doubt.sets.thresholds.tolist())) == 3
    assert "--by-class" in found.command


def test_a_temperature_changes_no_set(cache: Path, elsewhere: Path) -> None:
    both = [
        fit(
            cache, "logreg(C=1)", coverage=0.9, conformal="aps", calibrate=calibrate, no_report=True, out=str(calibrate)
        )
        for calibrate in (False, True)
    ]
    before, after = (read_doubt(Path(one.model), read_card(Path(one.model) / "model.json")) for one in both)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.sets.thresholds, after.sets.thresholds)
    assert before.temperature == 1.0 != after.temperature
    assert both[0].doubt is not None
    assert both[1].doubt is not None
    assert both[0].doubt.sizes == both[1].doubt.sizes
    weights = [load_model(one.model)[0][-1].coef_ for one in both]
    np.testing.assert_allclose(weights[0] / after.temperature, weights[1])


def test_nested_folds_measure_each_image_by_what_was_calibrated_without_it(cache: Path, elsewhere: Path) -> None:
    found = fit(cache, "ridge(alpha=10)", coverage=0.9, nested=3, folds=3, no_report=True)
    assert found.doubt is not None
    assert (found.doubt.covered.of, found.doubt.n_calibrated) == (240, 240)
    assert found.doubt.covered.low <= 0.9 <= found.doubt.covered.high
    assert found.doubt.flagged.value == pytest.approx(0.05, abs=0.04)


def test_rounds_of_choosing_calibrate_by_the_first(cache: Path, elsewhere: Path) -> None:
    once, twice = (fit(cache, "ridge(alpha=10)", coverage=0.9, repeats=n, no_report=True, out=str(n)) for n in (1, 2))
    assert once.doubt is not None
    assert once.doubt == twice.doubt


def test_each_of_several_label_columns_has_sets_of_its_own(cache: Path, elsewhere: Path) -> None:
    listed = read_listing(EmbeddingCache(cache)).usable
    number = listed["path"].str.extract(r"(\d+)\.png")[0].astype(int)
    listed.assign(odd=number % 2, kind=listed["label"])[["path", "odd", "kind"]].to_csv("labels.csv", index=False)
    several = fit_targets(cache, "ridge", labels="labels.csv", coverage=0.8, no_report=True)
    found = {column: one.doubt for column, one in several.fits.items()}
    assert {column: len(doubt.classes) for column, doubt in found.items() if doubt} == {"odd": 2, "kind": 3}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"coverage": 0.996},
            "--coverage 0.996 takes 249 images .* and 192 choose it: ask for 0.994 or less, or label",
        ),
        ({"coverage": 0.9, "false_alarms": 0.001}, "--false-alarms 0.001 takes 999 images .* ask for 0.006 or more"),
        (
            {"coverage": 0.99, "by_class": True},
            "takes 99 images of each class .* 'cat' has 64, 'dog' has 64, 'owl' has 64: .* ask for 0.984 or less",
        ),
        ({"by_class": True}, "--by-class is a way of --coverage: say --coverage 0.9, too"),
        ({"outlier": "knn"}, "--outlier is a way of --coverage"),
        ({"coverage": 1.0}, "coverage is 1.0, expected a share above 0 and below 1"),
        ({"coverage": 0.9, "false_alarms": 0}, "false_alarms is 0, expected a share"),
        ({"coverage": 0.9, "conformal": "top"}, "conformal is 'top', expected one of lac, aps, raps"),
        ({"coverage": 0.9, "task": "regress"}, "coverage are for classes"),
    ],
    ids=str,
)
def test_what_cannot_be_held_is_refused_in_a_line_before_anything_is_fitted(
    cache: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], match: str
) -> None:
    monkeypatch.setattr("headstart.flows.fitting.job.sweep_problem", lambda *_, **__: pytest.fail("it was fitted"))
    with pytest.raises(JobError, match=match) as refused:
        fit(cache, "ridge" if "task" in options else "logreg", **options)
    assert "\n" not in str(refused.value)
    if "task" not in options:
        with pytest.raises(JobError, match=match):
            fit_targets(cache, "logreg", **options)


def test_features_in_blocks_are_refused(cache: Path, elsewhere: Path) -> None:
    with pytest.raises(JobError, match=r"--coverage, --repeats and --nested need them in memory"):
        fit(cache, "ridge", coverage=0.9, memory=1)


def test_the_command_takes_a_share_and_refuses_others(cache: Path, elsewhere: Path, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", str(cache), "--head", "ridge", "--coverage", "0.9", "--no-report", "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["doubt"]["coverage"] == 0.9
