"""Metrics of ranks choose winners as any other metric does, and say where they cannot."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.svm import LinearSVC
from support.array_cache import cache_of

from headstart.flows.errors import JobError
from headstart.flows.experiment import read_experiment
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting import fit
from headstart.flows.history import compare_runs, find_run
from headstart.heads.errors import DataError
from headstart.heads.scoring import METRICS

RANKED = ["roc_auc", "average_precision", "top5"]


def embedded(folder: Path, n_classes: int) -> Path:
    generator = np.random.default_rng(0)
    codes = np.resize(np.arange(n_classes), 160)
    features = generator.normal(size=(n_classes, 6))[codes] + generator.normal(size=(160, 6))
    return cache_of(folder, features, [f"class-{code}" for code in codes])


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded(tmp_path_factory.mktemp("eight"), 8)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embedded(tmp_path_factory.mktemp("two"), 2)


@pytest.fixture(scope="module")
def fits(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, FitSummary]:
    folder = tmp_path_factory.mktemp("fits")
    return {
        metric: fit(cache, ["centroid", "knn(n_neighbors=5)", "dummy"], metric=metric, out=folder / metric, workers=1)
        for metric in (*RANKED, "mcc")
    }


@pytest.mark.parametrize("metric", [*RANKED, "mcc"])
def test_it_chooses_tests_and_stands_in_every_table(fits: dict[str, FitSummary], metric: str) -> None:
    found = fits[metric]
    scores = [one.score for one in found.leaderboard]
    assert scores == sorted(scores, reverse=True)
    assert found.leaderboard[-1].head == "dummy"
    assert found.leaderboard[-1].p_value < 0.05
    assert list(found.test.scores) == list(METRICS)
    assert all(one.low <= one.value <= one.high for one in found.test.scores.values())
    table = pd.read_parquet(Path(found.table).with_name("results.parquet"))
    assert table[f"{metric}_per_fold"].map(len).tolist() == [5] * 3


@pytest.mark.parametrize("metric", RANKED)
def test_runs_are_compared_by_it(fits: dict[str, FitSummary], cache: Path, tmp_path: Path, metric: str) -> None:
    other = fit(cache, ["dummy"], out=tmp_path, workers=1, no_report=True)
    runs = [find_run(str(Path(one.model).parent), []) for one in (fits[metric], other)]
    compared = compare_runs(*runs)
    assert compared.metric == metric
    assert compared.significant
    assert compared.difference is not None
    ours, theirs = (one.test.scores[metric].value for one in (fits[metric], other))
    assert compared.difference.value == pytest.approx(ours - theirs, abs=1e-6)


def test_an_experiment_names_it(tmp_path: Path) -> None:
    file = tmp_path / "birds.toml"
    file.write_text('images = "photos"\n[[extract]]\nbackbone = "resnet18"\n[fit]\nmetric = "average_precision"\n')
    (asked,) = read_experiment(file).fit
    assert asked.metric == "average_precision"


def test_heads_without_probabilities_are_named(cache: Path, tmp_path: Path) -> None:
    heads = [LinearSVC(C=0.1), "centroid"]
    found = fit(cache, heads, metric="roc_auc", out=tmp_path / "a", workers=1)
    assert found.winner.head == "centroid"
    assert any(
        "LinearSVC gives no probabilities, which roc_auc needs: not scored by it, and not chosen" in note
        for note in found.notes
    )
    with pytest.raises(DataError, match=r"none of 1 results has a roc_auc, which needs probabilities that .*LinearSVC"):
        fit(cache, heads[:1], metric="roc_auc", out=tmp_path / "b", workers=1)


def test_too_few_classes_are_told_before_anything_is_fitted(two: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"top5 needs 6 classes or more, there are 2: .*; choose by another metric"):
        fit(two, ["centroid"], metric="top5", out=tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()
    assert (
        "top5"
        not in fit(two, ["centroid"], metric="roc_auc", out=tmp_path / "out", workers=1, no_report=True).test.scores
    )


def test_features_that_are_read_in_blocks_cannot_be_chosen_by_it(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match=r"then roc_auc is not known while choosing.*choose by another metric"):
        fit(cache, ["ridge"], metric="roc_auc", memory=1000.0, out=tmp_path, workers=1)
    found = fit(cache, ["ridge(alpha=1)"], memory=1000.0, out=tmp_path, workers=1, no_report=True)
    assert "roc_auc" in found.test.scores
