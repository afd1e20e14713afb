"""The JSON of a fit, name by name: programs read it, whatever the summary is made of inside."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of

from headstart.flows.cli.app import main
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.job import fit
from headstart.flows.history.run import Run, RunData, RunSettings
from headstart.flows.history.runs import read_runs
from headstart.flows.output.console import emit_json
from headstart.heads.report.rows import CandidateRow, FoldRow, NestedRows, ScoreRow, TestResult

SCORE = ["value", "low", "high"]
ROW = ["backbone", "weights", "label", "key", "tap", "head", "params", "metric", "score", "low", "high", "split"]
ROW += ["scores", "fit_seconds", "error", "warnings", "tied", "p_value", "views"]
TEST = ["split", "n_images", "n_train", "scores"]
NESTED = ["meaning", "n_same", "n_same_head", "folds"]
FOLD = ["fold", "n_train", "n_images", "label", "backbone", "key", "tap", "head", "params", "metric", "chosen_by"]
FOLD += ["score", "low", "high", "scores"]
SUMMARY = ["leaderboard", "winner", "test", "controls", "model", "report", "table", "class_names", "notes", "seed"]
SUMMARY += ["seconds", "suspects", "understood", "run", "predictions", "name", "note", "classes", "command"]
SUMMARY += ["views", "average_views", "doubt"]
CLASS = ["name", "support", "precision", "recall", "low", "high", "f1", "average_precision"]
ROWS = {"leaderboard": ROW, "controls": ROW, "folds": FOLD, "classes": CLASS}
RUN = ["id", "time", "settings", "versions", "data", "embedding", "winner", "test", "results", "n_candidates"]
RUN += ["seconds"]
SETTINGS = ["heads", "sweep", "metric", "folds", "test_size", "seed", "target", "labels", "backbone", "calibrate"]
SETTINGS += ["repeats", "nested", "min_images", "name", "note", "views", "average_views"]
WHERE_ASKED = ["class_weight", "threshold", "costs", "device"]
"""Settings that a line of the history names only where they are."""
DATA = ["cache", "name", "target", "task", "n_images", "n_classes", "n_test", "images", "train", "test"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    noise = np.random.default_rng(0).normal(size=(60, 8))
    return cache_of(tmp_path_factory.mktemp("cache"), noise + np.arange(60)[:, None] % 2, ["cat", "dog"] * 30)


def same(value: Any, shown: Any, names: list[str]) -> None:
    """Compare an object of JSON with what it was made of: its names in their order, and each value."""
    assert list(shown) == names
    for name in names:
        mine = getattr(value, name)
        if name == "scores":
            assert list(shown[name]) == list(mine)
            for metric, score in mine.items():
                same(score, shown[name][metric], SCORE)
        elif name == "understood":
            assert shown[name] == {**vars(mine), "text": mine.text}
        elif name in ("winner", "test"):
            same_score(mine, shown[name]) if name == "test" else same(mine, shown[name], ROW)
        elif name in ROWS and isinstance(mine, list):
            assert len(shown[name]) == len(mine)
            for row, of_row in zip(mine, shown[name], strict=True):
                same(row, of_row, ROWS[name])
        else:
            assert shown[name] == mine, name


def same_score(test: TestResult, shown: Any) -> None:
    if test.nested is None:
        same(test, shown, TEST)
        return
    same(test, {name: shown[name] for name in TEST}, TEST)
    assert list(shown) == [*TEST, "nested"]
    same(test.nested, shown["nested"], NESTED)


def test_the_names_are_those_of_the_dataclasses() -> None:
    kinds = (ScoreRow, SCORE), (CandidateRow, ROW), (NestedRows, NESTED), (FoldRow, FOLD), (FitSummary, SUMMARY)
    settings, test = [*SETTINGS, *WHERE_ASKED], [*TEST, "nested", "decision"]
    for kind, names in (*kinds, (Run, RUN), (RunSettings, settings), (RunData, DATA), (TestResult, test)):
        assert [field.name for field in fields(kind)] == names


@pytest.mark.parametrize("nested", [None, 3], ids=["plain", "nested"])
def test_the_json_of_a_fit_holds_every_field_as_it_was_found(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], nested: int | None
) -> None:
    summary = fit(cache, ["centroid", "ridge", "dummy"], nested=nested, folds=2, out=tmp_path / "r")
    emit_json(summary)
    same(summary, json.loads(capsys.readouterr().out), SUMMARY)
    table = pd.read_csv(summary.table)
    assert table.columns.tolist() == [*(name for name in ROW if name not in ("params", "scores")), "params", "run"]
    assert table["score"].tolist() == [row.score for row in summary.leaderboard]
    card = json.loads((Path(summary.model) / "model.json").read_text())["scores"]
    same_score(summary.test, card["test"])
    assert list(card["selection"]) == ["metric", "score", "low", "high", "split"]


def test_a_line_of_the_history_holds_every_field_and_is_read_back(cache: Path, tmp_path: Path) -> None:
    fit(cache, ["centroid", "dummy"], folds=2, out=tmp_path / "r")
    line = json.loads((tmp_path / "r" / "run.json").read_text())
    assert line == json.loads((cache / "runs" / "history.jsonl").read_bytes().splitlines()[-1])
    assert line.pop("format_version") == 1
    (run,) = [one for one in read_runs(cache / "runs")[0] if one.id == line["id"]]
    assert list(line) == RUN
    assert (list(line["settings"]), list(line["data"])) == (SETTINGS, DATA)
    assert (line["settings"] | dict.fromkeys(WHERE_ASKED), line["data"]) == (vars(run.settings), vars(run.data))
    assert line["embedding"] == run.embedding.as_dict()
    same(run.winner, line["winner"], ROW)
    same_score(run.test, line["test"])


def test_an_end_of_an_interval_that_is_infinite_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    emit_json({"score": ScoreRow(0.5, None, None), "infinite": float("inf"), "unknown": float("nan")})
    found = json.loads(capsys.readouterr().out)
    assert found == {"score": {"value": 0.5, "low": None, "high": None}, "infinite": None, "unknown": None}


def test_the_command_prints_what_the_function_returns(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fit", str(cache), "--head", "centroid", "dummy", "--folds", "2", "--json", "--out", str(tmp_path / "r")]
    with pytest.raises(SystemExit, match="0"):
        main(words)
    shown = json.loads(capsys.readouterr().out)
    assert list(shown) == SUMMARY
    assert shown["winner"] == shown["leaderboard"][0]
    assert list(shown["test"]) == TEST
