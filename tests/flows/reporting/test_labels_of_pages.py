"""Labels out of a page, as a person gives them: images in a lasso, a name, a table, and a fit on the table."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of
from support.report_browser import CHROMIUM, Browser

from headstart.flows.exploring.clustering import cluster
from headstart.flows.fitting.job import fit
from headstart.flows.reporting.labelling import LabelFile, offer_labels

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

PLACES = (
    "(() => { const svg = document.querySelector('#NAME-drawing svg');"
    " svg.scrollIntoView({block: 'center'}); const to = svg.getScreenCTM();"
    " return given.x.map((x, at) => [to.a * x + to.e, to.d * given.y[at] + to.f]); })()"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    running = Browser(tmp_path_factory.mktemp("browser"))
    yield running
    running.close()


def unlabelled(folder: Path, n_each: int = 15) -> tuple[Path, np.ndarray]:
    """Embed images without labels that lie in two heaps; return the cache and which heap each is of."""
    generator = np.random.default_rng(0)
    heap = np.arange(2 * n_each) % 2
    features = np.eye(4)[heap] * 9 + generator.normal(size=(2 * n_each, 4))
    return cache_of(folder, features, ["."] * len(heap)), heap


def around(places: list[list[float]], margin: float = 9) -> list[list[float]]:
    """Return the corners of a box round places."""
    (left, top), (right, bottom) = np.min(places, axis=0) - margin, np.max(places, axis=0) + margin
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top + 1]]


def draw_round(browser: Browser, name: str, rows: np.ndarray) -> None:
    places = np.array(browser.ask(PLACES.replace("NAME", name)))
    browser.lasso(around(places[rows].tolist()), shift=True)


def call(browser: Browser, name: str) -> None:
    browser.focus("#label-name")
    browser.type(name)
    browser.press("Enter")


def test_heaps_in_a_lasso_are_named_and_a_fit_takes_the_table(browser: Browser, tmp_path: Path) -> None:
    cache, heap = unlabelled(tmp_path)
    found = cluster(cache, k=(2,), map="pca", out=tmp_path / "clusters")
    browser.open(Path(found.page))
    names = ['Käfer, "rot"', "=wasp\N{EM DASH}bee"]
    for number, name in enumerate(names):
        draw_round(browser, "kmeans-map", np.flatnonzero(heap == number))
        assert browser.ask("document.querySelector('#label-selected').textContent") == "15 selected"
        call(browser, name)
    (tmp_path / "downloads").mkdir()
    table = browser.download("#label-save", tmp_path / "downloads")
    assert table.name == "images-labels.csv"
    assert browser.complaints() == []

    fitted = fit(cache, ["centroid"], labels=table, out=tmp_path / "results")
    assert fitted.test.scores["accuracy"].value == 1.0
    rows = pd.read_csv(table)
    paths = pd.read_csv(found.table)["path"]
    assert dict(zip(rows["path"], rows["label"], strict=True)) == {
        path: names[of] for path, of in zip(paths, heap, strict=True)
    }


def test_a_whole_cluster_is_selected_by_its_button_and_the_table_has_no_other_image(
    browser: Browser, tmp_path: Path
) -> None:
    cache, heap = unlabelled(tmp_path, n_each=20)  # of others, the browser has kept labels
    found = cluster(cache, k=(2,), map="pca", out=tmp_path / "clusters")
    browser.open(Path(found.page))
    browser.focus("#kmeans .cluster button")
    browser.press("Enter")
    call(browser, "whole")
    (tmp_path / "downloads").mkdir()
    rows = pd.read_csv(browser.download("#label-save", tmp_path / "downloads"))
    table = pd.read_csv(found.table)
    assert set(rows["path"]) == set(table["path"][table["kmeans"] == 0])
    assert set(rows["label"]) == {"whole"}
    assert len(rows) == (heap == heap[table["kmeans"] == 0][0]).sum()


def test_the_table_of_clusters_keeps_the_labels_that_are_there(browser: Browser, tmp_path: Path) -> None:
    cache = cache_of(tmp_path, np.random.default_rng(0).normal(size=(20, 4)), ["ant", "bee"] * 10)
    found = cluster(cache, k=(2,), map="pca", out=tmp_path / "clusters")
    browser.open(Path(found.page))
    browser.focus("#labels-map-drawing")
    browser.press("2")
    (tmp_path / "downloads").mkdir()
    rows = pd.read_csv(browser.download("#label-save", tmp_path / "downloads")).set_index("path")["label"]
    before = pd.read_csv(found.table).set_index("path")["label"]
    assert len(rows) == 20
    assert (rows[before.index] != before).sum() == 1


def test_the_page_of_clusters_says_how_many_images_can_be_labelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.flows.exploring.cluster_page._MOST_POINTS", 12)
    cache, _ = unlabelled(tmp_path)
    page = Path(cluster(cache, k=(2,), map="pca", out=tmp_path / "clusters").page).read_text()
    assert "of 12 of the images, which can be labelled here" in page


ODD = ('ant, "red"', "bee\nline", " moth ")


def labelled(folder: Path) -> tuple[Path, Path]:
    """Embed three heaps, one of only three images, one label of them wrong; return cache, and labels with splits."""
    generator = np.random.default_rng(0)
    heap = np.array([0, 1] * 24 + [2] * 3)
    features = np.eye(6)[heap] * 9 + generator.normal(size=(len(heap), 6))
    cache = cache_of(folder, features, [ODD[of] for of in heap])
    paths = [f"{ODD[of]}/{number:05d}.png" for number, of in enumerate(heap)]
    table = pd.DataFrame({"path": paths, "kind": [ODD[of] for of in heap]})
    table["split"] = np.where(np.arange(len(heap)) % 4 == 3, "test", "train")
    table["group"] = [f"box {number // 2}" for number in range(len(heap))]
    table.loc[4, "kind"] = ODD[1]
    table.to_csv(folder / "given.csv", index=False)
    return cache, folder / "given.csv"


def test_a_suspect_is_mended_and_all_else_of_the_fit_stays(browser: Browser, tmp_path: Path) -> None:
    cache, given = labelled(tmp_path)
    first = fit(cache, ["logreg"], labels=given, min_images=4, out=tmp_path / "first")
    browser.open(Path(first.report))
    wrong = "[...document.querySelectorAll('#suspects li')].findIndex(each => each.dataset.path.endsWith('00004.png'))"
    place = browser.ask(wrong) + 1
    assert place, "the image whose label is wrong is a suspect"
    browser.click(f"#suspects li:nth-child({place}) fieldset input")
    (tmp_path / "downloads").mkdir()
    table = browser.download("#label-save", tmp_path / "downloads")
    command = browser.ask("document.querySelector('#labelling .command').textContent")
    assert command.endswith("--labels images-labels.csv")
    assert str(given) not in command

    before, after = (pd.read_csv(file, dtype=str).set_index("path") for file in (given, table))
    assert set(after.columns) == {"kind", "split", "group"}
    assert len(after) == len(before), "with the class that was too rare, too"
    changed = before["kind"] != after["kind"][before.index]
    assert before.index[changed].tolist() == [f"{ODD[0]}/00004.png"]
    assert (before["split"] == after["split"][before.index]).all()

    second = fit(cache, ["logreg"], labels=table, min_images=4, out=tmp_path / "second")
    assert second.test.n_images == first.test.n_images
    assert second.test.scores["accuracy"].value == 1.0
    assert second.suspects is None
    (note,) = [note for note in second.notes if "classes are left out" in note]
    assert note in first.notes


def test_every_image_of_a_report_is_on_the_map_or_in_its_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("headstart.flows.reporting.map._MOST_POINTS", 10)
    cache, given = labelled(tmp_path)
    found = fit(cache, ["centroid"], labels=given, out=tmp_path / "results")
    details = re.search(r'id="label-details">(.*?)</script>', Path(found.report).read_text(), re.DOTALL)
    assert details
    data = json.loads(details[1])
    assert sorted(data["paths"]) == sorted(pd.read_csv(given)["path"])
    assert len(data["given"]) == len(data["columns"]["split"]) == 51


def test_more_images_than_a_page_has_room_for_are_told() -> None:
    many = 100_002
    numbers = np.zeros(many, dtype=int)
    offered = offer_labels(
        lambda rows: [f"{row}.png" for row in rows],
        numbers,
        ["ant"],
        np.arange(10),
        file=LabelFile("label", "big", ["headstart", "fit", "a b.headstart"]),
        digests=np.zeros((many, 32), np.uint8),
    )
    assert len(offered.paths) == 10
    assert "99992 more have no room in this page: add their rows" in str(offered.details()["holds"])
    assert offered.command == "headstart fit 'a b.headstart' --labels big-labels.csv"
