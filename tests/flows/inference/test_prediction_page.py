"""The page of predictions: pictures in the order of doubt, right and wrong by their folders, numbers, and limits."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSES, draw
from support.report_page import Page
from support.zip_files import zip_folder

from headstart import Model, load
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.extraction.job import extract
from headstart.flows.fitting.job import fit
from headstart.flows.inference import prediction_page
from headstart.flows.inference.prediction import predict


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of classes and of a number on one cache, and photographs to predict, one of them in a wrong folder."""
    folder = tmp_path_factory.mktemp("fitted")
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(folder / "photos" / name / f"{number:02d}.png", label, seed=100 * label + number)
        draw(folder / "val" / name / "0.png", label, seed=3000 + label)
    draw(folder / "val" / "owl" / "wrong.png", 0, seed=4000)
    draw(folder / "val" / "unknown" / "1.png", 1, seed=5000)
    cache = extract(folder / "photos", "pixels", cache=folder / "cache", precision="fp32").cache
    fit(cache, "logreg", out=folder / "results", no_report=True)
    fit(cache, "linear-svm", out=folder / "unsure", no_report=True)
    paths = [f"{name}/{number:02d}.png" for name in CLASSES for number in range(12)]
    weights = np.random.default_rng(0).normal(size=len(paths)) + np.repeat([5.5, 7.5, 9.5], 12)
    pd.DataFrame({"path": paths, "weight": weights}).to_csv(folder / "weights.csv", index=False)
    fit(cache, "ridge", labels=folder / "weights.csv", target="weight", out=folder / "numbers", no_report=True)
    return folder


@pytest.fixture
def model(fitted: Path) -> Model:
    return load(fitted / "results")


def tiles_of(file: Path) -> list[dict[str, Any]]:
    return [one for one in Page(file.read_text()).all("li") if "data-class" in one]


def answers_of(file: Path) -> dict[str, str]:
    """Return the words of the page about each image, by the last part of its path."""
    found = re.findall(r'data-answer="(\w*)".*?<span class="path">(.*?)</span>', file.read_text(), re.DOTALL)
    return {path.replace("<wbr>", ""): answer for answer, path in found}


def test_doubtful_images_come_first_with_class_and_probability(model: Model, fitted: Path, tmp_path: Path) -> None:
    table = model.predict(fitted / "val", page=tmp_path / "p.html")
    in_doubt = table.sort_values("probability", kind="stable")
    page = Page((tmp_path / "p.html").read_text())
    assert [one["data-class"] for one in tiles_of(tmp_path / "p.html")] == in_doubt["label"].tolist()
    captions = [f"{row.label} {100 * row.probability:.1f} %" for row in in_doubt.itertuples()]
    assert re.findall("<b>(.*?)</b>", (tmp_path / "p.html").read_text()) == captions
    assert len(page.all("img")) == len(table)
    assert "The least certain come first" in page.text
    assert [one["data-filter"] for one in page.all("select") if "data-filter" in one] == ["class", "folder", "answer"]


def test_an_answer_is_right_or_wrong_where_the_folder_names_a_class(model: Model, fitted: Path, tmp_path: Path) -> None:
    model.predict(fitted / "val", page=tmp_path / "p.html")
    assert answers_of(tmp_path / "p.html") == {
        "cat/0.png": "right",
        "dog/0.png": "right",
        "owl/0.png": "right",
        "owl/wrong.png": "wrong",
        "unknown/1.png": "",
    }
    text = Page((tmp_path / "p.html").read_text()).text
    assert "wrong, in owl" in text
    assert "3 of the 4 whose folder is called like a class are right" in text


@pytest.mark.parametrize("how", ["folder", "file", "pattern", "zip", "deep", "other"])
def test_a_class_is_read_off_folders_of_every_kind_and_off_none_above_them(
    model: Model, fitted: Path, tmp_path: Path, how: str
) -> None:
    above = tmp_path / "cat"  # is no folder of the photographs, but lies above them
    shutil.copytree(fitted / "val", above / "val")
    expected = "wrong"
    images: Any = above / "val" / "owl"
    if how == "file":
        images = above / "val" / "owl" / "wrong.png"
    elif how == "pattern":
        images = str(above / "val" / "o*" / "w*.png")
    elif how == "zip":
        images = zip_folder(above / "val", tmp_path / "val.zip")
    elif how == "deep":
        shutil.move(above / "val" / "owl", above / "deep" / "owl" / "more")
        images = above / "deep"
    elif how == "other":
        shutil.move(above / "val" / "owl", above / "flat")
        images, expected = above / "flat", ""
    model.predict(images, page=tmp_path / "p.html")
    answers = answers_of(tmp_path / "p.html")
    assert next(answer for path, answer in answers.items() if path.endswith("wrong.png")) == expected


def test_without_a_folder_of_a_class_nothing_is_judged(model: Model, fitted: Path, tmp_path: Path) -> None:
    model.predict(fitted / "val" / "unknown", page=tmp_path / "p.html")
    page = Page((tmp_path / "p.html").read_text())
    assert "right" not in page.text.lower()
    assert [one["data-filter"] for one in page.all("select") if "data-filter" in one] == ["class"]


def test_what_cannot_be_read_comes_last_with_its_reason(model: Model, fitted: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    table = model.predict([tmp_path / "broken.png", fitted / "val"], page=tmp_path / "p.html")
    text = Page((tmp_path / "p.html").read_text()).text
    assert text.index("unreadable") > text.rindex(" %")
    assert table["reason"][0] in text


def test_a_head_without_probabilities_leaves_images_in_their_order(fitted: Path, tmp_path: Path) -> None:
    table = predict(fitted / "unsure", fitted / "val", page=tmp_path / "p.html")
    assert table["probability"].isna().all()
    assert [one["data-class"] for one in tiles_of(tmp_path / "p.html")] == table["label"].tolist()
    text = Page((tmp_path / "p.html").read_text()).text
    assert "In the order given: this head gives no probabilities" in text
    assert "nan" not in text


def test_numbers_stand_in_their_order_and_are_neither_right_nor_wrong(fitted: Path, tmp_path: Path) -> None:
    table = predict(fitted / "numbers", fitted / "val", page=tmp_path / "p.html")
    page = Page((tmp_path / "p.html").read_text())
    places = [page.text.index(f"{value:.4g}") for value in sorted(table["value"])]
    assert places == sorted(places)
    assert "wrong," not in page.text
    assert not [one for one in page.all("select") if "data-filter" in one]


def test_a_very_large_set_shows_those_in_doubt_and_says_so(
    model: Model, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_page, "MOST_TILES", 2)
    table, notes = model.predict_noted(fitted / "val", page=tmp_path / "p.html")
    assert "the page shows 2 of 5 images" in notes
    first = table.sort_values("probability", kind="stable")["label"][:2].tolist()
    assert [one["data-class"] for one in tiles_of(tmp_path / "p.html")] == first


@pytest.mark.parametrize(
    ("page", "message"), [("p.pdf", r"name a \.html file"), ("no/p.html", "folder does not exist")]
)
def test_a_page_that_cannot_be_written_is_refused_before_the_work(fitted: Path, page: str, message: str) -> None:
    with pytest.raises(JobError, match=message):
        predict(fitted / "results", fitted / "nowhere", page=page)


def test_the_command_writes_the_page_and_says_where(
    fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["predict", str(fitted / "results"), str(fitted / "val"), "--page", "p.html"])
    assert ended.value.code == 0
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1] == "page    p.html   ← open this in a browser"
    assert captured.out.startswith("path,label,probability,reason\n")
    assert len(tiles_of(tmp_path / "p.html")) == 5
