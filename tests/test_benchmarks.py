"""The benchmarks run, at a tiny size, and report what the README quotes."""

import argparse
import subprocess
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from support.benchmarks import load, popen_forking, report, run_forking
from support.report_browser import CHROMIUM
from support.report_example import report_data

from headstart.heads.report.page import render_report

SIDES = {"tutorial", "extract", "model", "decode"}


@pytest.fixture
def forking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let benchmarks fork the processes that they start, as none is timed here from its start."""
    monkeypatch.setattr("subprocess.Popen", popen_forking(subprocess.Popen))
    monkeypatch.setattr("subprocess.run", run_forking(subprocess.run))


@pytest.fixture
def extraction(forking: None, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """All that the extraction benchmark says of six photographs."""
    few = ["--images", "6", "--large", "0", "--rounds", "1", "--backbone", "mnasnet0_5"]
    return report("bench_extract", capsys, *few, "--precision", "fp32", "--compile", "off")


def test_the_extraction_benchmark_reports_every_side(extraction: dict[str, Any]) -> None:
    (name,) = extraction
    found = extraction[name]
    assert name == "mnasnet0_5 500×375"
    assert (found["images"], found["rounds"], found["precision"], found["compiled"]) == (6, 1, "fp32", False)
    assert found["peak_mib"].keys() == SIDES
    assert all(found[f"{side}_images_per_second"] > 0 for side in SIDES)
    assert found["ratio_extract"] >= found["ratio_extract_with_set_up"] > 0
    assert found["ratio_again"] > found["ratio_extract"]
    limit = 1 / (1 / found["model_images_per_second"] + 1 / found["decode_images_per_second"])
    loop = found["share_of_limit"] * limit
    assert found["share_of_model"] == pytest.approx(loop / found["model_images_per_second"], rel=0.05, abs=0.01)
    assert {"set up", "read", "decode", "forward", "write"} <= found["stages"].keys()


def test_both_sides_of_the_extraction_benchmark_give_the_same_features(tmp_path: Path) -> None:
    import numpy as np
    import torch

    from headstart.extractors.cache.cache import EmbeddingCache
    from headstart.extractors.listing.cache_listing import read_listing
    from headstart.flows.extraction.job import extract

    bench = load("bench_extract")
    images = bench.make_photographs(tmp_path / "photographs", 4)
    bench.tutorial_loop(images, "mnasnet0_5", tmp_path / "features.pt")
    theirs = torch.load(tmp_path / "features.pt", weights_only=True)["features"].numpy()
    cache = EmbeddingCache(
        extract(images, "mnasnet0_5", weights="none", cache=tmp_path / "cache", precision="fp32").cache
    )
    ours = np.asarray(cache.stores()[0].view("penultimate", read_listing(cache).rows["digest"].tolist()))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5 * np.abs(theirs).max())


def test_the_cache_benchmark_reports_opening_and_looking_up(forking: None, capsys: pytest.CaptureFixture[str]) -> None:
    found = report("bench_cache", capsys, "--rows", "4000", "--shards", "4")
    assert (found["rows"], found["shards"], found["index_mb"]) == (4000, 4, 0.2)
    for step in ("open", "look_up", "open_without_index", "build", "merge_one_shard"):
        assert found[step]["seconds"] > 0
        assert found[step]["grew_mb"] >= 0


def test_the_benchmark_of_what_to_label_next_counts_labels_beside_random(capsys: pytest.CaptureFixture[str]) -> None:
    found = report("bench_next", capsys, "--sets", "rare", "--seeds", "2", "--sides", "margin", "default, balanced")
    random, *others = found["rare"]["sides"]
    assert (random["side"], random["ratio"], random["won"]) == ("random", 1, [0, 2, 0])
    for one in others:
        assert one["side"] in ("margin", "default, balanced")
        assert all(10 <= labels <= found["rare"]["images"] for labels in one["labels"])
        ratios = [theirs / own for theirs, own in zip(random["labels"], one["labels"], strict=True)]
        assert one["ratio"] == pytest.approx((ratios[0] * ratios[1]) ** 0.5)
        assert one["low"] <= one["ratio"] <= one["high"]
        assert sum(one["won"]) == 2


def test_the_memory_benchmark_compares_the_peaks_of_few_and_many_images(
    forking: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report("bench_memory", capsys, "--images", "70", "20")
    few, many = found["20"], found["70"]
    assert (few["embedded"], many["embedded"]) == (20, 70)
    assert few["peak"] >= few["loaded"] > 2**20
    assert found["ratio"] == pytest.approx(many["peak"] / few["peak"], abs=0.001)
    assert found["bytes_an_image"] == pytest.approx((many["peak"] - few["peak"]) / 50, abs=1)


def test_the_rerun_benchmark_reports_a_rerun_with_nothing_new(
    forking: None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report("bench_rerun", capsys, "--images", "120", "--rounds", "1")
    assert found["images"] == 120
    assert 0 < found["rerun_inside_s"] < found["rerun_s"]
    assert found["reading_all_s"] >= 0


def test_the_streaming_benchmark_finds_in_blocks_what_a_fit_in_memory_finds(
    forking: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    size = ["--images", "600", "--features", "8", "--classes", "3", "--memory", "0.01"]
    sides = ["heads", "command"]
    found = report("bench_streaming", capsys, *size, "--head", "ridge", "dummy", "--side", *sides, "--compare")
    assert (found["images"], found["features"], found["float32_mb"]) == (600, 8, 0)
    assert found["difference"] <= 0.0022  # one of 480 images
    assert found["heads"]["winner"] == found["command"]["winner"] == found["in_memory"]["winner"] == "ridge"
    assert any("read in blocks" in note for note in found["command"]["notes"])
    assert not any("read in blocks" in note for note in found["in_memory"]["notes"])
    for side in ("heads", "command", "in_memory"):
        assert 50 < found[side]["peak_own_mb"] < found[side]["peak_mb"]
        assert 0 < found[side]["peak_mapped_mb"] < found[side]["peak_mb"]


def test_every_side_of_the_search_benchmark_finds_the_same(forking: None, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--images", "2500", "--features", "64", "--queries", "1", "7", "--rounds", "1"]
    found = report("bench_similar", capsys, *few)
    assert (found["images"], found["features"]) == (2500, 64)
    for queries in ("queries_1", "queries_7"):
        assert {"headstart", "numpy"} <= found[queries].keys()
        assert {side["recall"] for side in found[queries].values()} == {1.0}
    assert found["seconds_of_command"] > 0


def test_the_sweep_benchmark_sets_both_sides_beside_each_other(
    forking: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # or else scikit-learn's side starts processes
    size = ["--images", "300", "--features", "8", "--classes", "3", "--rounds", "1"]
    found = report("bench_sweep", capsys, *size, "--kind", "ridge")["ridge"]
    assert found["ratio_gridsearch"] == pytest.approx(found["gridsearch_seconds"] / found["headstart_seconds"], rel=0.2)
    assert found["difference_gridsearch"] <= 0.02  # one of 60 images of a fold
    assert found["headstart_score"] > 0.5


def test_scikit_learn_intelex_is_a_side_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "sklearnex"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from pathlib import Path\n"
        "def patch_sklearn(verbose=True):\n"
        "    import sklearn.linear_model\n"
        "    class Patched(sklearn.linear_model.RidgeClassifier):\n"
        "        def fit(self, X, y):\n"
        "            Path(__file__).with_name('fitted').touch()\n"
        "            return super().fit(X, y)\n"
        "    sklearn.linear_model.RidgeClassifier = Patched\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    bench = load("bench_sweep")
    monkeypatch.setattr("sklearn.linear_model.RidgeClassifier", RidgeClassifier)  # which ends with the test
    monkeypatch.setattr(bench, "spawn", bench.run_side)  # in this process
    options = argparse.Namespace(images=300, features=8, classes=3, rounds=1, objective=0)
    with joblib.parallel_config("threading"):
        found = bench.compare("ridge", options)
    assert (package / "fitted").exists()
    assert found["intelex_score"] == found["gridsearch_score"]
    assert found["difference_intelex"] == found["difference_gridsearch"]
    assert found["ratio_intelex"] > 0


def test_the_sweep_benchmark_says_how_far_from_the_minimum_both_sides_end(capsys: pytest.CaptureFixture[str]) -> None:
    minimum, sweep = load("minimum"), load("bench_sweep")
    X, y = sweep.make_embeddings(300, 8, 3)
    rows = minimum.measure_objectives(X, y, [(np.arange(200), np.arange(200, 300))], [0.01, 1.0, 100.0])
    for row in rows:
        assert 1 - 1e-6 < row["headstart_over_minimum"] < 1.01
        assert 1 - 1e-6 < row["gridsearch_over_minimum"] < 1.01
        for side in ("headstart", "gridsearch"):
            far = abs(row[f"{side}_accuracy"] - row["minimum_accuracy"]) > minimum.FAR
            assert row[f"{side}_far"] == far
    assert [row["objective"] for row in rows] == sorted((row["objective"] for row in rows), reverse=True)
    minimum.show_objectives([{**rows[0], "gridsearch_far": True}])
    line = capsys.readouterr().out.splitlines()[-2]
    assert line.split()[0] == "0.01"
    assert line.endswith("   theirs")


def test_both_sides_of_the_fine_tuning_benchmark_come_to_the_same_losses(
    forking: None, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--images", "100", "--size", "64", "48", "--image-size", "64", "--rounds", "1"]
    found = report("bench_finetune", capsys, *few, "--backbone", "mobilenet_v2")["mobilenet_v2"]
    assert (found["images"], found["rounds"], found["from"]) == (100, 1, "features.16")
    assert found["ratio"] == pytest.approx(found["loop_seconds"] / found["finetune_seconds"], rel=0.05)
    assert (found["bytes_an_image"], found["stored_as"]) == (160 * 2 * 2 * 2, "float16")
    assert found["jpeg_bytes_an_image"] > 500
    for loop, finetune in (found["loss"], found["val_loss"]):
        assert finetune == pytest.approx(loop, rel=0.001)
    saved = found["loop_seconds"] - found["finetune_seconds"]
    assert found["repaid_after_epochs"] == pytest.approx(found["extraction_seconds"] / saved, rel=0.05)


def test_the_scale_benchmark_tells_idle_workers_from_their_work_and_sizes_listing_and_index(
    forking: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    size = ["--workers", "2", "--shards", "3", "--shard-images", "40", "--rate", "400", "--rows", "2000"]
    found = report("bench_scale", capsys, *size, "--no-prefect")
    sleeping, flat_out = found["workers"]
    assert (sleeping["workers"], sleeping["shards"], sleeping["rows"], sleeping["prefect"]) == (2, 6, 240, False)
    assert sleeping["seconds"] >= 3 * 40 / 400  # each worker slept for three shards
    slept = 1000 * 40 / 400
    assert sleeping["idle_share"] == pytest.approx(sleeping["idle_ms"] / (sleeping["idle_ms"] + slept), abs=0.001)
    assert (flat_out["rate"], flat_out["idle_share"]) == (0.0, 1.0)
    (rows,) = found["rows"]
    assert (rows["rows"], rows["shards"], rows["index_mb"]) == (2000, 50, 0.1)
    assert rows["listing_mb"] > 0
    assert rows["build_s"] > 0


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_readmes_picture_is_one_of_a_report(tmp_path: Path) -> None:
    from PIL import Image

    picture, page = load("picture"), tmp_path / "report.html"
    page.write_text(render_report(report_data()), encoding="utf-8")
    (tmp_path / "browser").mkdir()
    picture.take_picture(page, tmp_path / "report.png", tmp_path / "browser")
    with Image.open(tmp_path / "report.png") as taken:
        assert taken.size == (picture.WIDTH, picture.HEIGHT)
        assert len(taken.convert("RGB").getcolors(1 << 24)) > 100


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_report_benchmark_opens_a_page_and_labels_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    found = report("bench_report", capsys, "--images", "40", "--rounds", "1")
    assert found["images"] == 40
    assert min(found[name] for name in ("page_mb", "open_s", "open_slowest_s", "lasso_s", "name_s")) > 0


def test_the_benchmark_of_imbalance_scores_every_way_on_the_same_draws() -> None:
    bench = load("bench_imbalance")
    generator = np.random.default_rng(0)
    y = (np.arange(240) % 3 == 0).astype(np.intp)
    X = (generator.normal(size=(240, 6)) + 1.2 * y[:, None]).astype(np.float32)
    ways = list(bench.WAYS)
    table = bench.summarise([bench.run(X, y, "ridge(alpha=10)", seed, ways) for seed in range(3)])
    assert list(table) == ways
    assert table["plain"]["recall"]["against_plain"] == [0.0, 0.0, 0.0]
    assert table["weights"]["recall"]["median"] > table["plain"]["recall"]["median"]
    assert table["costs"]["cost"]["median"] < table["plain"]["cost"]["median"]
    assert table["threshold"]["average_precision"] == table["plain"]["average_precision"]
    assert bench.drawn(y == 1, 0, 400).sum() == 80 + 7
