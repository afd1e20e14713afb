"""The benchmark of label columns runs, at a tiny size, and has both sides of every column."""

import json
import runpy

import pytest
from support.source_modules import ROOT


def test_the_benchmark_of_label_columns_has_every_side(capsys: pytest.CaptureFixture[str]) -> None:
    bench = runpy.run_path(str(ROOT / "benchmarks" / "bench_multitask.py"))
    few = ["--digits", "80", "--few", "25", "--draws", "1", "--seeds", "2", "--max-epochs", "1", "--rounds", "2"]
    bench["main"]([*few, "--json"])
    found = json.loads(capsys.readouterr().out)
    labels = [{name: one["labels"] for name, one in columns.items()} for columns in found.values()]
    scarce = {"digit": 60, "parity": 25, "loops": 25, "five-or-more": 25, "ink": 25}
    assert labels == [scarce, scarce]
    for columns in found.values():
        for one in columns.values():
            assert {"separate", "shared", "linear", "helped", "harmed"} <= set(one)
            assert one["differences"] == pytest.approx([one["shared"] - one["separate"]], abs=1e-3)
