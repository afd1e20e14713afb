"""A report of real files: every point of the map has a picture, every mistake is there, and what lies beside it."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.array_cache import cache_of
from support.report_page import Page

from headstart import extract, fit
from headstart.flows.cli.app import main
from headstart.flows.fit_summary import FitSummary
from headstart.flows.output import plain
from headstart.flows.reporting import exhibits
from headstart.flows.reporting import map as map_of_report

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> FitSummary:
    """Fit noisy squares of three colours, some of which are labelled wrongly."""
    folder, generator = tmp_path_factory.mktemp("squares"), np.random.default_rng(0)
    for number in range(60):
        name = list(COLOURS)[number % 3]
        labelled = list(COLOURS)[(number + 1) % 3] if number % 7 == 0 else name
        pixels = np.clip(generator.normal(COLOURS[name], 60, size=(48, 64, 3)), 0, 255).astype(np.uint8)
        file = folder / "photos" / ("train" if number < 36 else "val") / labelled / f"{number:02d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    summary = extract(folder / "photos", "headstart/small_cnn", weights="none", cache=folder / "photos.headstart")
    return fit(summary.cache, ["centroid", "dummy"], out=folder / "results", workers=1, metric="macro_f1", folds=3)


@pytest.fixture(scope="module")
def page(fitted: FitSummary) -> Page:
    return Page(Path(fitted.report).read_text())


def details(fitted: FitSummary) -> dict[str, list[object]]:
    found = re.search(r'id="map-details">(.*?)</script>', Path(fitted.report).read_text(), re.DOTALL)
    assert found
    read: dict[str, list[object]] = json.loads(found[1])
    return read


def test_every_point_of_the_map_has_a_picture_and_says_whether_it_is_right(fitted: FitSummary) -> None:
    told = details(fitted)
    assert len(told["x"]) == 60
    assert sorted(map(int, told["thumbnails"])) == list(range(60))
    right = round(fitted.test.scores["accuracy"].value * fitted.test.n_images)
    assert [told["right"].count(value) for value in (1, 0, -1)] == [right, fitted.test.n_images - right, 36]


def test_every_mistake_is_shown_and_right_answers_of_every_class(fitted: FitSummary, page: Page) -> None:
    n_wrong = round((1 - fitted.test.scores["accuracy"].value) * fitted.test.n_images)
    assert n_wrong > 0
    assert len([entry for entry in page.all("li") if "data-pair" in entry]) == n_wrong
    assert page.text.count("least sure") > 1
    assert "no thumbnail" not in page.text


def test_of_very_many_mistakes_the_surest_have_pictures(
    fitted: FitSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exhibits, "_MOST_MISTAKES", 3)
    monkeypatch.setattr(map_of_report, "_MOST_POINTS", 20)
    again = fit(Path(fitted.report).parents[2] / "photos.headstart", "dummy", out=tmp_path, workers=1)
    shown = Page(Path(again.report).read_text())
    n_wrong = round((1 - again.test.scores["accuracy"].value) * again.test.n_images)
    assert len([entry for entry in shown.all("li") if "data-pair" in entry]) == n_wrong
    told = details(again)
    assert len(told["x"]) == len(told["thumbnails"]) == 20


def test_classes_stand_worst_first_in_the_page_and_in_the_summary(fitted: FitSummary, page: Page) -> None:
    recalls = [one.recall for one in fitted.classes]
    assert recalls == sorted(recalls)
    assert {one.name for one in fitted.classes} == set(COLOURS)
    assert sum(one.support for one in fitted.classes) == fitted.test.n_images
    assert all(one.low <= one.recall <= one.high for one in fitted.classes)
    assert [row["data-recall"] for row in page.all("tr") if "data-support" in row] == [repr(one) for one in recalls]
    assert plain(fitted)["classes"][0]["name"] == fitted.classes[0].name


def test_the_command_makes_the_same_again(
    fitted: FitSummary, page: Page, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert fitted.command in page.text
    words = shlex.split(fitted.command)
    words[words.index("--out") + 1] = str(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*words[1:], "--json"])
    assert ended.value.code == 0
    again = json.loads(capsys.readouterr().out)
    assert again["test"] == plain(fitted)["test"]
    assert [row["params"] for row in again["leaderboard"]] == [dict(row.params) for row in fitted.leaderboard]
    assert again["classes"] == plain(fitted)["classes"]


def test_links_lead_to_what_lies_beside_the_page(fitted: FitSummary, page: Page) -> None:
    links = [link["href"] for link in page.all("a") if not link["href"].startswith("#")]
    assert {"model", "predictions.csv"} <= set(links)
    for place in (Path(fitted.report).parent, Path(fitted.report).parents[1]):
        assert all((place / link).exists() for link in links)


def test_odd_names_are_quoted_in_the_command(tmp_path: Path) -> None:
    (tmp_path / "my photos").mkdir()
    generator = np.random.default_rng(0)
    cache = cache_of(tmp_path / "my photos", generator.normal(size=(40, 4)), ["a", "b"] * 20)
    options = {"out": tmp_path / "$(x)", "workers": 1, "few_shot": True, "seed": 3, "no_report": True, "name": "one"}
    found = fit(cache, "knn(n_neighbors=1,3)", **options)
    assert shlex.split(found.command)[2:] == [
        str(cache), "--head", "knn(n_neighbors=1,3)", "--seed", "3", "--out", str(tmp_path / "$(x)"), "--few-shot",
        "--no-report",
    ]  # fmt: skip
