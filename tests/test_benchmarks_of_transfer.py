"""The benchmarks of transfer run, at a tiny size, and hold each method against its controls."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.array_cache import cache_of
from support.benchmarks import load, report


def test_the_benchmark_of_rankings_holds_every_order_against_the_sweeps(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = load("bench_rank")
    monkeypatch.setattr(bench, "ENCODERS", {"squeezenet1_0": bench.ENCODERS["squeezenet1_0"]})
    found = bench.main(["--weights", str(real_data / "weights"), "--digits", "80", "--json"])["digits"]
    assert (found["layers"], found["encoders"], found["images"]) == (4, ["squeezenet1_0"], 64)
    assert "static, by published accuracy" in found["orders"]
    assert all(-1 <= one["tau"] <= 1 and 0 <= one["lost"] < 1 for one in found["orders"].values())
    assert found["best"] > 0.5


def test_the_benchmark_of_classes_without_images_holds_the_model_against_its_rivals() -> None:
    bench = load("bench_zeroshot")
    words = "--backbone pixels --weights default --digits 0 --shapes 6 --rounds 2 --json"
    found = bench.main(words.split())["shapes"]
    assert found["rounds"] == 2
    assert found["means"]["chance: zero_shot"] == (0.1667, 0.0)
    calibrated = ("chosen: harmonic", "without calibration: harmonic")
    assert {*calibrated, "shuffled class vectors: zero_shot"} <= set(found["means"])
    assert found["means"]["nearest seen class: unseen"] == (0.0, 0.0)
    assert all(0 <= times <= 2 for times in found["beaten"].values())


def test_the_benchmark_of_adaptation_sets_each_method_beside_its_control(capsys: pytest.CaptureFixture[str]) -> None:
    found = report("bench_adapt", capsys, "--digits", "200", "--method", "standardise", "weights")["digits → dim"]
    assert (found["n_source"], found["n_target"], found["features"]) == (200, 200, "8 × 8 pixels")
    methods = found["methods"]
    assert list(methods) == ["source", "standardise", "weights"]
    low, high = methods["standardise"]["difference"][1:]
    assert 0.3 < low < high, "dimmed digits are told where their own mean and deviation are taken"
    assert methods["standardise"]["apart"] < found["apart"] == methods["source"]["apart"]
    assert methods["weights"]["counts_as"] < 200


def test_the_benchmark_of_pretraining_holds_encoders_against_their_controls(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--images", "240", "--epochs", "1", "--seeds", "1", "--tasks", "denoise", "--draws", "2")
    found = report("bench_pretrain", capsys, *words)["digits"]["denoise"]
    assert found["loss"] > 0
    assert found["accuracy"]["raw pixels raw pixels"] > 0.5
    value, low, high = found["over random"]["penultimate"]
    assert low < value < high
    assert found["beats random weights"] == (low > 0)


def test_the_benchmark_of_guides_has_all_controls_and_the_cost_of_a_step(
    embed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = load("bench_guide")
    cache = embed(tap=["features.7:map"]).cache
    given = {"cache": cache, "source": cache, "clusters": 3, "from_layer": "features.8", "steps": 2}
    monkeypatch.setattr(bench, "digits_from_pixels", lambda _: given)
    few = "--bodies encoder --draws 2 --scouts 1 --shots 1 --temperatures room warm --steps 4 --json"
    found = bench.main(few.split())
    (by_temperature,) = found["sets"].values()
    assert list(by_temperature) == ["room", "warm"]
    assert [test["control"] for test in by_temperature["warm"]["tests"]] == ["unguided", "shuffled", "constant"]
    assert by_temperature["room"]["mean_share"] < by_temperature["warm"]["mean_share"]
    assert all(cost["ratio"] > 0 for cost in found["steps"].values())


def test_the_benchmark_of_episodes_tells_batched_what_it_tells_one_by_one(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    y = np.arange(210) % 6
    X = generator.normal(size=(6, 8))[y] + generator.normal(size=(210, 8))
    cache = cache_of(tmp_path, X, [str(code) for code in y])
    found = load("bench_episodes").compare_times(cache, 12)
    assert found["apart"] == 0
    assert min(found["batched_seconds"], found["one_by_one_seconds"]) >= 0


def test_the_benchmark_of_clusters_scores_each_way_to_choose_a_layer() -> None:
    names = ("gain", "stability", "silhouette", "last", "random", "ari")
    rows = [(0.3, 0.5, 0.1, True, False, 0.8), (0.2, 0.6, 0.4, False, False, 0.2), (0.9, 0.9, 0.9, True, True, 0.0)]
    found = load("bench_clusters").score_orders([dict(zip(names, row, strict=True)) for row in rows])
    assert found["gain"] == {"tau": 1.0, "ari": 0.8}
    assert found["silhouette"] == {"tau": -1.0, "ari": 0.2}
    assert (found["a layer at random"]["ari"], found["the best layer"]["ari"]) == (0.5, 0.8)


def test_the_benchmark_of_advice_holds_it_against_every_way(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = load("bench_advise")

    def train(way: str, cache: Path, keys: dict[str, str], *_: Any) -> dict[str, str]:
        return dict.fromkeys(bench.fit_on(["penultimate"], cache, keys["raw_pixels"])[0], "0")

    small = {"ENCODER": "squeezenet1_0", "FILE": "squeezenet1_0-imagenet.pth", "EARLIER": ["features.7:avg"]}
    write = partial(bench.write_digits, n_test=2, digits=range(4))
    for name, value in (small | {"_HALVES": {}, "train": train, "write_digits": write}).items():
        monkeypatch.setattr(bench, name, value)
    found = bench.main(["--weights", str(real_data / "weights"), "--digits", "5", "--json"])["advice"]["digits5"]
    assert found["ways"].keys() == set(bench.WAYS)
    assert found["ways"]["retrain"]["accuracy"] == 0.25  # one of four digits is a 0
    assert found["images_per_class"] == 5
    assert found["behind"] == found["ways"][found["best"]]["accuracy"] - found["ways"][found["advised"]]["accuracy"]


def test_the_benchmark_of_label_columns_has_every_side(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--digits", "80", "--few", "25", "--draws", "1", "--seeds", "2", "--max-epochs", "1", "--rounds", "2"]
    found = report("bench_multitask", capsys, *few)
    labels = [{name: one["labels"] for name, one in columns.items()} for columns in found.values()]
    scarce = {"digit": 60, "parity": 25, "loops": 25, "five-or-more": 25, "ink": 25}
    assert labels == [scarce, scarce]
    for columns in found.values():
        for one in columns.values():
            assert {"separate", "shared", "linear", "helped", "harmed"} <= set(one)
            assert one["differences"] == pytest.approx([one["shared"] - one["separate"]], abs=1e-3)
