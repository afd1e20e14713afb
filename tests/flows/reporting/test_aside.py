"""Computations aside of a report: the same as in turn, their errors are heard, and nobody waits who leaves."""

import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.array_cache import cache_of
from threadpoolctl import threadpool_info

from headstart import fit
from headstart.extractors.cache import EmbeddingCache
from headstart.flows.problem import pose_problem
from headstart.flows.reporting import Evidence, aside, out_of_fold, predict_out_of_fold
from headstart.flows.reporting.analysis import compare_images
from headstart.heads import isolation
from headstart.heads.registry import FeatureSet, expand
from headstart.heads.report.charts import project
from headstart.heads.splits import plan_splits
from headstart.heads.sweep import fit_final, score_test

NAMES = np.array(["ant", "bee"])
Y = np.tile([0, 1], 40)
X = (np.random.default_rng(0).normal(size=(80, 6)) + 2 * Y[:, None]).astype(np.float32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cache_of(tmp_path_factory.mktemp("blobs"), X, NAMES[Y].tolist())


@pytest.fixture
def begun(cache: Path) -> aside.Aside:
    problem = pose_problem(EmbeddingCache(cache))
    embedded = problem.embedded[0]
    source = FeatureSet(features=embedded.rows, backbone=embedded.backbone, tap=embedded.tap, key=embedded.store.key.id)
    (winner,) = expand([source], ["centroid"])
    return aside.Aside(problem, plan_splits(problem.y), winner, 0)


def evidence_for(begun: aside.Aside) -> Evidence:
    problem, plan, winner = begun._of
    features = np.asarray(winner.features, dtype=np.float32)
    return Evidence(score_test(fit_final(winner, features, problem.y, plan), features, problem.y, plan), features)


def settings() -> tuple[float, list[int]]:
    return sys.getswitchinterval(), [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def test_places_and_predictions_are_those_of_their_functions_and_settings_are_as_before(
    begun: aside.Aside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.flows.reporting.map.project", project)  # not the quick one of other tests
    before, named = settings(), list[str]()
    with begun:
        begun.go_on(evidence_for(begun))
        points, own, likeness = begun.results(named.append)
        assert settings() == before
    problem, plan, winner = begun._of
    features = np.asarray(winner.features, dtype=np.float32)
    np.testing.assert_array_equal(points, project(features))
    alone = predict_out_of_fold(problem, plan, winner, features, 0)
    assert own is not None
    assert alone is not None
    np.testing.assert_array_equal(own.probability, alone.probability)
    compared = compare_images(problem, plan, evidence_for(begun))
    assert likeness is not None
    assert likeness.outliers == compared.outliers != []
    assert likeness.notes == compared.notes
    assert likeness.copies is not None
    assert compared.copies is not None
    np.testing.assert_array_equal(likeness.copies.found.rows, compared.copies.found.rows)
    assert named == [
        "placing the images of the map",
        "predicting the winner's own images, fold by fold",
        "looking for near copies and images unlike all others",
    ]


def test_whoever_is_interrupted_does_not_wait_for_the_map(begun: aside.Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    before, working, go = settings(), threading.Event(), threading.Event()

    def place(*_: object) -> None:
        working.set()
        go.wait(60)

    monkeypatch.setattr(aside, "_place", place)
    with pytest.raises(KeyboardInterrupt), begun:  # noqa: PT012 - the interruption is the block's
        working.wait(10)
        raise KeyboardInterrupt
    assert not go.is_set()
    assert settings() == before
    go.set()


def test_what_is_known_or_not_held_is_not_predicted_again(begun: aside.Aside) -> None:
    evidence = evidence_for(begun)
    own = predict_out_of_fold(*begun._of, np.asarray(evidence.features), 0)
    for one in (replace(evidence, out_of_fold=own), replace(evidence, features=None)):
        with aside.Aside(*begun._of, 0) as again:
            again.go_on(one)
            assert again.results(lambda _: None)[1] is one.out_of_fold


def test_what_the_sweep_kept_of_the_winner_is_not_fitted_again_but_where_its_folds_are_others(
    begun: aside.Aside, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, plan, winner = begun._of
    features = np.asarray(winner.features, dtype=np.float32)
    own = predict_out_of_fold(problem, plan, winner, features, 0)
    assert own is not None
    val = plan_splits(problem.y, split=np.resize(["train", "train", "val", "test"], 80))
    folded = predict_out_of_fold(problem, val, winner, features, 0, own.probability[:20])
    assert folded is not None
    assert len(folded.rows) == 60  # val by a fit on train, and train fold by fold
    monkeypatch.setattr(out_of_fold, "predict_folds", lambda *_, **__: pytest.fail("it was fitted again"))
    again = predict_out_of_fold(problem, plan, winner, features, 0, np.tile(own.probability, (2, 1)))
    assert again is not None
    np.testing.assert_array_equal(again.probability, own.probability)
    np.testing.assert_array_equal(again.rows, own.rows)
    assert again.temperature == own.temperature


@pytest.mark.parametrize("small", [True, False])
def test_the_map_waits_for_the_winner_where_its_fit_needs_all_cores(
    small: bool, begun: aside.Aside, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence, working = evidence_for(begun), threading.Event()
    monkeypatch.setattr(aside, "_place", lambda *_: working.set())
    monkeypatch.setattr(isolation, "_FEW_BYTES", X.nbytes if small else X.nbytes - 1)
    with begun:
        assert working.wait(60 if small else 0.1) == small
        begun.go_on(evidence)
        assert working.wait(60)
        assert (begun.results(lambda _: None)[2] is not None) == small  # with all cores, when nothing else needs them


@pytest.mark.parametrize("step", ["_place", "predict_out_of_fold", "_compare"])
def test_what_fails_aside_fails_the_fit(
    step: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError(step)

    monkeypatch.setattr(aside, step, fail)
    with pytest.raises(ZeroDivisionError, match=step):
        fit(cache, "centroid", out=tmp_path / "r")
