"""Labels out of a page, as a person gives them: images in a lasso, a name, a table, and a fit on the table."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of
from support.report_browser import CHROMIUM, Browser

from headstart.flows.exploring.clustering import cluster
from headstart.flows.fitting.job import fit

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
