"""The command `predict` as a person types it: where its answers go, and the line that it ends with."""

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from conftest import CLASSES, draw

from headstart.flows.cli.app import main
from headstart.flows.extraction.job import extract
from headstart.flows.fitting.job import fit
from headstart.flows.inference.answers import summary_line


class Ran(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: list[str]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(folder / "photos" / name / f"{number:02d}.png", label, seed=100 * label + number)
    embedded = extract(folder / "photos", "pixels", cache=folder / "cache", precision="fp32")
    fit(embedded.cache, "logreg", out=folder / "results")
    return folder / "results"


@pytest.fixture
def run(
    results: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> Callable[..., Ran]:
    """Predict with the model of the results, in a folder with four images."""
    for label in range(4):
        draw(Path(f"{label}.png"), label % 3, seed=3000 + label)
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: object) -> Ran:
        capfd.readouterr()
        try:
            main(["predict", str(results), *map(str, words)])
            status: object = 0
        except SystemExit as end:
            status = end.code
        out, err = capfd.readouterr()
        return Ran(int(str(status or 0)), out, err.splitlines())

    return call


def test_several_images_end_with_one_line_that_counts_them(run: Callable[..., Ran]) -> None:
    Path("torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    ran = run("0.png", "1.png", "2.png", "3.png", "torn.png", "--out", "p.csv")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err[-1] == "5 images: 2 cat, 1 dog, 1 owl, 1 unreadable → p.csv"
    rows = list(csv.DictReader(Path("p.csv").read_text("utf-8").splitlines()))
    assert [row["label"] for row in rows] == ["cat", "dog", "owl", "cat", ""]
    assert all(len(row["probability"].partition(".")[2]) == 4 for row in rows[:4])
    assert rows[4]["probability"] == ""


def test_on_standard_output_there_is_nothing_but_the_table(run: Callable[..., Ran]) -> None:
    Path("notes.txt").write_text("no image")
    ran = run(".")
    assert [row["path"] for row in csv.DictReader(io.StringIO(ran.out))] == ["0.png", "1.png", "2.png", "3.png"]
    assert ran.err[-2:] == [
        "note: passed over 1 files that are no images (.txt 1)",
        "4 images: 2 cat, 1 dog, 1 owl",
    ]


@pytest.mark.parametrize("between", ["\n", "\r\n", "\0"])
def test_a_dash_takes_a_list_from_standard_input(
    run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    draw(Path("with é and space.png"), 1, seed=9)
    names = ["2.png", "with é and space.png", "gone.png"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((between.join(names) + between).encode())))
    ran = run("0.png", "-", "--all")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [(row["path"], row["label"]) for row in rows] == [
        ("0.png", "cat"),
        ("2.png", "owl"),
        ("with é and space.png", "dog"),
        ("gone.png", ""),
    ]
    assert rows[3]["reason"] == "no such file"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert run("-").err[-1] == "headstart: standard input: no names there; give one a line, as ls and find do"


def test_json_holds_the_counts_the_notes_and_every_row(run: Callable[..., Ran]) -> None:
    Path("torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    ran = run("*.png", "--json", "--out", "p.parquet")
    found = json.loads(ran.out)
    assert (found["images"], found["unreadable"], found["out"], found["notes"]) == (5, 1, "p.parquet", [])
    assert found["classes"] == {"cat": 2, "dog": 1, "owl": 1}
    assert [row["path"] for row in found["predictions"]] == ["0.png", "1.png", "2.png", "3.png", "torn.png"]
    assert found["predictions"][4]["label"] is None
    written = pd.read_parquet("p.parquet")
    assert written["probability"][:4].tolist() == [row["probability"] for row in found["predictions"][:4]]


def test_the_line_stays_one_line_with_many_classes_or_numbers() -> None:
    many = pd.DataFrame({"path": list("abcdefgh"), "label": list("zzyxwvut"), "reason": ""})
    assert summary_line(many, None) == "8 images: 2 z, 1 y, 1 x, 1 w, 1 v, 2 of 2 other classes"
    numbers = pd.DataFrame({"path": ["a", "b"], "value": [1.25, float("nan")], "reason": ["", "torn"]})
    assert summary_line(numbers, Path("n.csv")) == "2 images: from 1.25 to 1.25, 1 unreadable → n.csv"
    assert summary_line(many[:1], None) == "1 image: 1 z"
