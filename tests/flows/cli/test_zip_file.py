"""A zip file from the command line: extracted, extracted again, fitted, and another one predicted."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import CLASSES, age, draw
from support.zip_files import write_zip, zip_folder

from headstart.flows.cli.app import main

Run = Callable[..., str]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], elsewhere: Path) -> Run:
    """Run a command in an empty folder, and return what it wrote on standard output."""

    def call(*words: object) -> str:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert not ended.value.code, err
        return out

    return call


def test_a_zip_is_extracted_once_fitted_and_another_predicted(run: Run, photos: Path, tmp_path: Path) -> None:
    (photos / "cat" / "broken.png").write_bytes(b"no image")
    packed = zip_folder(photos, tmp_path / "photos.zip", inside="photos/")
    age(tmp_path)
    extracting = ("extract", packed, "--backbone", "small_cnn", "--weights", "none", "--precision", "fp32", "--json")

    first, again = json.loads(run(*extracting)), json.loads(run(*extracting))

    assert (first["cache"], first["images"], first["embedded"], first["quarantined"]) == ("photos.headstart", 37, 36, 1)
    assert (again["embedded"], again["reused"]) == (0, 36)
    (entry,) = json.loads(run("inspect", "photos.headstart", "--json"))["quarantined"]
    assert entry["path"] == "photos.zip/photos/cat/broken.png"

    found = json.loads(run("fit", "photos.headstart", "--head", "centroid", "--json"))
    assert found["test"]["scores"]["accuracy"]["value"] == 1.0

    new = {
        f"{name}.png": draw(tmp_path / f"{name}.png", label, seed=77).read_bytes() for label, name in enumerate(CLASSES)
    }
    table = run("predict", found["model"], write_zip(tmp_path / "new.zip", new | {"no.png": b"no image"}))
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(table))}
    assert {path: row["label"] for path, row in rows.items()} == {
        "new.zip/cat.png": "cat",
        "new.zip/dog.png": "dog",
        "new.zip/no.png": "",
        "new.zip/owl.png": "owl",
    }
    assert rows["new.zip/no.png"]["reason"]


def test_the_help_lists_every_source(run: Run) -> None:
    text = " ".join(run("extract", "--help").replace("│", " ").split())

    sources = "folder per class, flat folder, Parquet file of images, CSV or Parquet manifest, tar shards, zip file"
    assert sources in text
