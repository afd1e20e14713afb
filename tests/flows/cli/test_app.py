"""The command line: exit statuses, one JSON object and nothing else, one clear line for an error, 80 columns."""

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from headstart.flows.cli.app import app, main
from headstart.flows.cli.options import read_spelling

EXTRACTED = {"images", "embedded", "reused", "quarantined", "seconds", "images_per_second", "keys"}
ROW = {"backbone", "tap", "head", "params", "metric", "score", "low", "high", "split"}


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str


@pytest.fixture
def headstart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> Callable[..., Ran]:
    """Run a command in this process, in an empty folder, on a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> Ran:
        capsys.readouterr()
        try:
            main([str(word) for word in words])
            status: Any = 0
        except SystemExit as end:
            status = end.code
        captured = capsys.readouterr()
        return Ran(int(status or 0), captured.out, captured.err)

    return run


@pytest.fixture
def cache(headstart: Callable[..., Ran], photos: Path) -> Path:
    headstart("extract", photos, "--backbone", "small_cnn", "--weights", "none", "--cache", "c.headstart")
    return Path("c.headstart")


def lines(text: str) -> Sequence[str]:
    return text.rstrip("\n").split("\n")


def test_extract_prints_one_json_object_with_the_promised_fields(headstart: Callable[..., Ran], photos: Path) -> None:
    ran = headstart("extract", photos, "--backbone", "small_cnn", "--weights", "none", "--json")
    summary = json.loads(ran.out)
    assert set(summary) >= EXTRACTED
    assert (summary["images"], summary["embedded"], summary["keys"][0]["backbone"]) == (36, 36, "headstart/small_cnn")
    assert summary["cache"] == "photos.headstart"


def test_inspect_prints_one_json_object_with_the_promised_fields(headstart: Callable[..., Ran], cache: Path) -> None:
    summary = json.loads(headstart("inspect", cache, "--json").out)
    assert set(summary) >= {"images", "bytes", "keys", "quarantined"}
    assert summary["keys"][0]["rows"] == summary["images"] == 36


def test_fit_prints_one_json_object_with_the_promised_fields(headstart: Callable[..., Ran], cache: Path) -> None:
    summary = json.loads(headstart("fit", cache, "--head", "centroid", "dummy", "--json").out)
    assert set(summary) >= {"leaderboard", "winner", "test", "model", "report"}
    assert all(set(row) >= ROW for row in summary["leaderboard"])
    assert [row["head"] for row in summary["leaderboard"]] == ["centroid", "dummy"]
    assert Path(summary["model"], "model.json").exists()
    assert Path(summary["report"]).exists()


def test_backbones_are_listed_with_what_is_known_of_them(headstart: Callable[..., Ran]) -> None:
    (found,) = json.loads(headstart("backbones", "torchvision/resnet50*", "--json").out)["backbones"]
    assert found["name"] == "torchvision/resnet50"
    assert (found["feature_size"], found["input_size"], found["parameters"]) == (2048, [224, 224], 25_557_032)
    assert found["gflops"] == pytest.approx(4.089)
    assert found["top1"] == pytest.approx(80.858)
    assert isinstance(found["weights_on_disk"], bool)


def test_predict_writes_csv_to_standard_output_and_nothing_else(
    headstart: Callable[..., Ran], cache: Path, photos: Path
) -> None:
    headstart("fit", cache, "--head", "logreg", "--out", "r")
    rows = list(csv.DictReader(io.StringIO(headstart("predict", "r/model", photos / "dog").out)))
    assert [row["label"] for row in rows] == ["dog"] * 12
    assert list(rows[0]) == ["path", "label", "probability", "reason"]
    everything = list(csv.DictReader(io.StringIO(headstart("predict", "r/model", photos / "dog", "--all").out)))
    assert {"probability_cat", "probability_dog", "probability_owl"} <= set(everything[0])


def test_predict_writes_a_file_on_demand(headstart: Callable[..., Ran], cache: Path, photos: Path) -> None:
    headstart("fit", cache, "--head", "knn", "--out", "r")
    ran = headstart("predict", "r/model", photos / "owl", "--out", "p.csv")
    assert ran.out == ""
    assert Path("p.csv").read_text().count("owl") == 12


@pytest.mark.parametrize(
    "words",
    [
        ["extract"],
        ["extract", "photos"],
        ["fit"],
        ["fit", "c.headstart", "--sweep", "fast"],
        ["fit", "c.headstart", "--head", "logreg", "--folds", "1"],
        ["extract", "photos", "--backbone", "x", "--precision", "fp8"],
        ["predict", "model"],
        ["no-such-command"],
        ["extract", "photos", "--no-such-option"],
    ],
    ids=" ".join,
)
def test_a_usage_error_ends_with_2_and_says_what_is_expected(headstart: Callable[..., Ran], words: list[str]) -> None:
    ran = headstart(*words)
    assert ran.status == 2
    assert ran.out == ""
    assert "Usage: headstart" in ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["extract", "nowhere", "--backbone", "resnet50"], "nowhere: no such file or folder"),
        (
            ["extract", "{photos}", "--backbone", "resnet51", "--weights", "none"],
            "no backbone is called 'resnet51'. Nearest: ",
        ),
        (["extract", "{photos}", "--backbone", "small_cnn", "--weights", "none", "--tap", "feature"], "features"),
        (["extract", "{photos}", "--backbone", "small_cnn", "--weights", "nothing.pth"], "nothing.pth"),
        (["extract", "{photos}", "--backbone", "small_cnn", "--weights", "none", "--device", "tpu7"], "device 'tpu7'"),
        (["inspect", "nowhere"], "nowhere: no cache here"),
        (["fit", "nowhere", "--head", "logreg"], "nowhere: no cache here"),
        (["predict", "nowhere", "{photos}"], "give a folder that 'headstart fit' wrote"),
        (["run", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["backbones", "nosuchthing"], "no backbone matches 'nosuchthing'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_failure_ends_with_1_and_one_clear_line(
    headstart: Callable[..., Ran], photos: Path, words: list[str], message: str
) -> None:
    ran = headstart(*(word.format(photos=photos) for word in words))
    assert ran.status == 1
    assert ran.out == ""
    (line,) = [line for line in lines(ran.err) if not line.startswith(("reading", "embedding"))]
    assert line.startswith("headstart: ")
    assert message in line


def test_a_new_command_is_known_by_its_own_flags_and_lists(
    headstart: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def shout(
        first: str,
        second: str,
        loud: Annotated[bool, typer.Option("--loud")] = False,
        word: Annotated[list[str], typer.Option()] = [],  # noqa: B006 - typer copies it
        weights: str = "",
    ) -> None:
        given.append((first, second, loud, word, weights))

    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    app.command()(shout)
    for words in ("--loud a b --word x y", "--loud --word x a b --word y", "a b --word x y --loud --weights w"):
        assert headstart("shout", *words.split()).status == 0
    assert given == [("a", "b", True, ["x", "y"], weights) for weights in ("", "", "w")]
    # Other commands take several of these, this one does not: the second must not silently take the place of the first.
    assert headstart("shout", "a", "b", "--weights", "w", "v").status == 2


def test_every_list_and_flag_of_every_command_is_read_as_one() -> None:
    found = {name: read_spelling(app, name) for name in ("fit", "compare", "predict", "serve", "cluster", "export")}
    assert found["fit"].lists == {"--head", "--target", "--backbone"}
    flags = {"--few-shot", "--calibrate", "--views", "--average-views", "--no-report", "--by-class"}
    assert found["fit"].flags == {*flags, "--json", "--help", "-h"}
    assert found["compare"].lists == {"--cache"}
    assert found["predict"].lists == {"--trust"}
    assert found["serve"].flags == {"--watch", "--help", "-h"}
    assert found["cluster"].lists == {"--k"}
    assert found["export"].lists == frozenset()
    assert [found[name].n_arguments for name in ("fit", "compare", "predict")] == [1, 2, 2]


def test_the_version_is_that_of_the_installed_package(headstart: Callable[..., Ran]) -> None:
    ran = headstart("--version")
    assert (ran.status, ran.out.strip()) == (0, version("headstart"))


def test_debug_shows_the_traceback_wherever_it_stands(headstart: Callable[..., Ran]) -> None:
    from headstart.extractors.errors import CacheError

    for words in (["--debug", "inspect", "nowhere"], ["inspect", "nowhere", "--debug"]):
        with pytest.raises(CacheError):
            headstart(*words)


def test_a_defect_is_called_one_and_shown_in_one_line(
    headstart: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("out of cheese")

    monkeypatch.setattr("headstart.flows.upkeep.inspect", broken)
    ran = headstart("inspect", "anything")
    assert ran.status == 1
    assert lines(ran.err) == [
        "headstart: unexpected RuntimeError: out of cheese; this is a defect of headstart: --debug shows where"
    ]


@pytest.mark.parametrize(
    "words", [["--help"], ["extract", "--help"], ["fit", "--help"], ["predict", "-h"]], ids=" ".join
)
def test_help_fits_80_columns(headstart: Callable[..., Ran], words: list[str]) -> None:
    ran = headstart(*words)
    assert ran.status == 0
    assert max(map(len, lines(ran.out))) <= 80


def test_tables_fit_80_columns_and_a_screen(headstart: Callable[..., Ran], cache: Path, photos: Path) -> None:
    for label in range(20):
        (photos / "cat" / f"bad{label}.png").write_bytes(b"no image")
    shown = [
        headstart("extract", photos, "--backbone", "small_cnn", "pixels", "--weights", "none", "--cache", cache),
        headstart("inspect", cache),
        headstart("backbones", "resnet*"),
        headstart("fit", cache, "--head", "logreg", "ridge", "knn", "centroid", "dummy"),
    ]
    for ran in shown:
        assert ran.status == 0
        broken = [line for line in lines(ran.out) if " " in line.strip()]  # a path that is longer never breaks
        assert max(map(len, broken)) <= 80, ran.out
        assert len(lines(ran.out)) <= 40, ran.out
    assert "8 more in quarantine" in shown[1].err


def test_what_is_not_new_is_said_so(headstart: Callable[..., Ran], cache: Path, photos: Path) -> None:
    again = headstart("extract", photos, "--backbone", "small_cnn", "--weights", "none", "--cache", cache)
    assert "36 images, 0 embedded, 36 reused" in again.out
    assert "nothing was new" in again.err


def test_weights_that_cannot_be_fetched_name_the_ways_out(
    headstart: Callable[..., Ran], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    ran = headstart("extract", photos, "--backbone", "resnet18")
    assert ran.status == 1
    line = lines(ran.err)[-1]
    for way_out in ("resnet18-f37072fd.pth", os.fspath(tmp_path / "torch"), "--weights FILE", "--weights none"):
        assert way_out in line


def test_weights_of_another_architecture_name_it(headstart: Callable[..., Ran], photos: Path, tmp_path: Path) -> None:
    from headstart.extractors.backbones.registry import load_backbone
    from headstart.extractors.pretraining.supervised import save_encoder

    save_encoder(load_backbone("squeezenet1_1", weights="none").module, tmp_path / "squeeze.safetensors")
    ran = headstart("extract", photos, "--backbone", "resnet18", "--weights", tmp_path / "squeeze.safetensors")
    assert ran.status == 1
    assert "resnet18" in lines(ran.err)[-1]
    assert "squeezenet1_" in lines(ran.err)[-1]
