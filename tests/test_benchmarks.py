"""The benchmarks run, at a tiny size, and report what the README quotes."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest


def load(name: str) -> ModuleType:
    path = Path(__file__).parent.parent / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_extraction_benchmark_reports_both_sides(capsys: pytest.CaptureFixture[str]) -> None:
    bench = load("bench_extract")
    bench.main(["--images", "6", "--rounds", "1", "--backbone", "mnasnet0_5", "--precision", "fp32", "--json"])
    found = json.loads(capsys.readouterr().out)["mnasnet0_5"]
    assert (found["images"], found["rounds"], found["precision"]) == (6, 1, "fp32")
    assert found["ratio_extract"] > 0
    assert found["ratio_again"] > found["ratio_extract"]


def test_both_sides_of_the_extraction_benchmark_give_the_same_features(tmp_path: Path) -> None:
    import numpy as np
    import torch

    from extractors.cache import EmbeddingCache
    from extractors.cache_listing import read_listing
    from flows.extraction import extract

    bench = load("bench_extract")
    images = bench.make_photographs(tmp_path / "photographs", 4)
    bench.tutorial_loop(images, "mnasnet0_5", tmp_path / "features.pt")
    theirs = torch.load(tmp_path / "features.pt", weights_only=True)["features"].numpy()
    cache = EmbeddingCache(
        extract(images, "mnasnet0_5", weights="none", cache=tmp_path / "cache", precision="fp32").cache
    )
    ours = np.asarray(cache.stores()[0].view("penultimate", read_listing(cache).rows["digest"].tolist()))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5 * np.abs(theirs).max())


def test_the_rerun_benchmark_reports_a_rerun_with_nothing_new(capsys: pytest.CaptureFixture[str]) -> None:
    load("bench_rerun").main(["--images", "120", "--rounds", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 120
    assert 0 < found["rerun_inside_s"] < found["rerun_s"]
    assert found["reading_all_s"] >= 0
