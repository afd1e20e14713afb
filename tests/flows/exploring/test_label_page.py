"""The page of `next`: chosen images are labelled on it, key by key, and its table goes on to a fit and to the next."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.array_cache import cache_of
from support.report_browser import CHROMIUM, Browser

from headstart.flows.errors import JobError
from headstart.flows.exploring.choosing import choose_next
from headstart.flows.fitting.job import fit

NAMES = ("ant", "bee")
TRUTH = np.arange(60) % 2


def truth(path: str) -> str:
    return NAMES[TRUTH[int(Path(path).stem)]]


@pytest.fixture
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of images without labels; the current folder is the one that it lies in."""
    monkeypatch.chdir(tmp_path)
    features = 4 * np.eye(8)[TRUTH] + np.random.default_rng(0).normal(size=(60, 8))
    return cache_of(tmp_path, features, ["."] * 60)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    running = Browser(tmp_path_factory.mktemp("browser"))
    yield running
    running.close()


def label_all(browser: Browser, page: str, folder: Path) -> Path:
    """Give each picture its name by the keys that the page says, and return the table."""
    browser.open(Path(page).resolve())
    paths = browser.ask("[...document.querySelectorAll('#tiles [data-path]')].map(each => each.dataset.path)")
    browser.focus("#tiles")
    for path in paths:
        names = browser.ask("[...document.querySelectorAll('#label-counts li')].map(each => each.innerText)")
        keys = {name.split()[1]: name.split()[0] for name in names}
        if truth(path) in keys:
            browser.press(keys[truth(path)])
            continue
        browser.press("Enter")
        browser.type(truth(path))
        browser.press("Enter")
    folder.mkdir()
    assert browser.complaints() == []
    return browser.download("#label-save", folder)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_page_of_chosen_images_is_labelled_and_the_loop_goes_on(browser: Browser, flat: Path, tmp_path: Path) -> None:
    found = choose_next(flat, count=20)
    assert Path(found.page) == Path("images.next.html")
    table = label_all(browser, found.page, tmp_path / "first")
    rows = pd.read_csv(table)
    assert rows["path"].tolist() == [one.path for one in found.chosen]
    assert rows["label"].tolist() == [truth(path) for path in rows["path"]]
    fitted = fit(flat, ["centroid"], labels=table, out=tmp_path / "results")
    assert fitted.test.scores["accuracy"].value == 1.0

    again = choose_next(flat, count=4, labels=table)
    more = label_all(browser, again.page, tmp_path / "second")
    whole = pd.read_csv(more)
    assert set(whole["path"]) == {*rows["path"], *(one.path for one in again.chosen)}
    assert whole["label"].tolist() == [truth(path) for path in whole["path"]]


def test_the_page_guesses_where_there_are_labels(flat: Path, tmp_path: Path) -> None:
    paths = [f"{number:05d}.png" for number in range(20)]
    pd.DataFrame({"path": paths, "label": [truth(path) for path in paths]}).to_csv(tmp_path / "given.csv", index=False)
    found = choose_next(flat, count=3, labels=tmp_path / "given.csv", page=tmp_path / "here.html")
    page = Path(found.page).read_text()
    assert Path(found.page) == tmp_path / "here.html"
    assert found.chosen[0].guess in NAMES
    assert f"<b>{found.chosen[0].guess}?</b>" in page
    assert "the labels of 20 images as they were" in page


def test_a_page_that_cannot_be_written_is_refused_before_the_work(flat: Path) -> None:
    with pytest.raises(JobError, match=r"page\.pdf: unknown kind of file; name a \.html file"):
        choose_next(flat, page="page.pdf")
    assert not Path("images.next.csv").exists()
