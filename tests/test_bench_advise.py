"""The benchmark of advice runs, at a tiny size and with a stub in place of training."""

import importlib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.source_modules import ROOT


def test_the_benchmark_of_advice_holds_it_against_every_way(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    bench = importlib.import_module("bench_advise")

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
