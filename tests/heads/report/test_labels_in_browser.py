"""Labels on a page under a reader's hands: by keys, by a finger, one by one, taken back, kept, and as a table."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from support.report_browser import CHROMIUM
from support.report_example import everything, mistake, report_data, thumbnail

from headstart.heads.report.exhibits import Labelling, SuspectRow
from headstart.heads.report.page import render_report
from headstart.heads.report.picture_page import Picture, PicturePage, Tile, render_label_page

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

POINTS = np.array([[0, 0], [4, 0], [0, 3], [4, 3], [2, 1], [2, 2], [1, 1], [3, 2]], dtype=float)
ODD = [
    "a, b.png",
    'say "x".png',
    "two\nlines.png",
    " blank .png",
    "=1+1.png",
    "ä/µ\N{SNOWMAN}.png",
    "-.png",
    "plain.png",
]
HOSTILE = "<img src=x onerror='top.pwned = 1'>"
SELECTED = "[...labels.selected].sort()"
NAMED = "Object.fromEntries([...labels.decided])"
BAR = "(bar => !bar.hidden && bar.offsetHeight > 0)(document.querySelector('#labelling'))"


def labelling(**changes):
    given = {
        "file": "photos-labels.csv",
        "column": "label",
        "paths": [*ODD, "not on the map.png"],
        "given": [0, 1, 0, 1, 0, 1, 0, 1, 1],
        "names": ["ants", HOSTILE],
        "command": "headstart fit photos.headstart --labels photos-labels.csv",
    }
    return Labelling(**given | changes)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    rows = [("plain.png", HOSTILE, "ants"), ("a, b.png", "ants", "wasps")]
    suspects = [SuspectRow(path=path, given=given, likely=likely, probability=0.9, thumbnail=thumbnail())
                for path, given, likely in rows]  # fmt: skip
    given = everything() | {
        "class_names": ["ants", HOSTILE],
        "embedding": POINTS,
        "embedding_paths": ODD,
        "embedding_thumbnails": [thumbnail("navy"), *[None] * 7],
        "suspects": suspects,
        "mistakes": [mistake(path=path, predicted=HOSTILE) for path in ODD[:3]],
        "labelling": labelling(),
    }
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render_report(report_data(**given)), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser, report):
    browser.open(report)
    browser.ask("localStorage.clear()")
    browser.open(report)
    yield browser
    assert browser.complaints() == []
    assert browser.ask("window.pwned ?? null") is None


def place_of(browser, number):
    return browser.ask(
        "(() => { const svg = document.querySelector('#map-drawing svg'); svg.scrollIntoView({block: 'center'});"
        f" const to = svg.getScreenCTM(), x = given.x[{number}], y = given.y[{number}];"
        " return [to.a * x + to.e, to.d * y + to.f]; })()"
    )


def box(browser, *numbers, margin=8):
    """Return the corners of a box round images of the map."""
    places = np.array([place_of(browser, number) for number in numbers])
    (left, top), (right, bottom) = (places.min(axis=0) - margin).tolist(), (places.max(axis=0) + margin).tolist()
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def table_of(browser, tmp_path):
    tmp_path.mkdir(exist_ok=True)
    raw = browser.download("#label-save", tmp_path).read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf"), "spreadsheets know UTF-8 by this mark"
    return list(csv.reader(raw.decode("utf-8-sig").splitlines(keepends=True), strict=True))


def call(browser, name):
    browser.focus("#label-name")
    browser.type(name)
    browser.press("Enter")


def test_nothing_is_in_the_way_before_something_is_selected(opened):
    assert not opened.ask(BAR)
    opened.send("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    x, y = place_of(opened, 0)
    opened.lasso([[x, y]])
    assert opened.ask(BAR)
    assert opened.ask("document.querySelectorAll('#label-pictures img').length") == 1


def test_a_click_selects_and_a_second_one_lets_go(opened):
    for selected in ([3], []):
        opened.lasso([place_of(opened, 3)])
        assert opened.ask(SELECTED) == selected


@pytest.mark.parametrize("touch", [False, True])
def test_a_lasso_selects_what_is_inside_and_adds_to_what_is_selected(opened, touch):
    opened.send("Emulation.setTouchEmulationEnabled", enabled=touch)
    opened.click("#map-controls button[aria-pressed]")
    opened.lasso(box(opened, 0, 6), touch=touch)
    assert opened.ask(SELECTED) == [0, 6]
    opened.lasso(box(opened, 7, 3), touch=touch)
    assert opened.ask(SELECTED) == [0, 3, 6, 7]
    opened.send("Emulation.setTouchEmulationEnabled", enabled=False)


def test_a_class_that_is_hidden_is_in_no_lasso(opened):
    opened.click("#map .legend li[data-class='0'] button")
    opened.lasso(box(opened, *range(8)), shift=True)
    assert opened.ask(SELECTED) == [1, 3, 5, 7]


def test_by_keys_alone_images_are_selected_named_and_taken_back(opened):
    opened.focus("#map-drawing")
    opened.press(" ")
    opened.press("ArrowRight", shift=True)
    selected = opened.ask(SELECTED)
    assert selected[0] == 0
    assert len(selected) == 2
    opened.press("Enter")
    assert opened.ask("document.activeElement.id") == "label-name"
    opened.type("wasps")
    opened.press("Enter")
    assert opened.ask(NAMED) == {str(at): "wasps" for at in selected}
    assert opened.ask("[labels.selected.size, document.activeElement.id]") == [0, "map-drawing"]
    assert opened.ask("document.querySelector('#map-tip .named').textContent") == "→ wasps"
    opened.focus("#label-undo")
    opened.press("Enter")
    assert opened.ask(NAMED) == {}


def test_a_number_gives_a_name_that_is_there(opened):
    opened.focus("#map-drawing")
    opened.press("2")
    assert opened.ask(NAMED) == {"0": HOSTILE}
    opened.press("9")
    assert opened.ask(NAMED) == {"0": HOSTILE}, "there is no ninth name"


def test_pictures_of_a_gallery_are_walked_with_arrows_and_selected_with_space(opened):
    opened.focus("#mistakes .gallery")
    opened.press(" ")
    opened.press("ArrowRight")
    opened.press(" ")
    assert opened.ask(SELECTED) == [0, 1]
    assert opened.ask("[...document.querySelectorAll('#mistakes .pick')].map(each => each.ariaChecked)") == [
        "true",
        "true",
        "false",
    ]
    opened.click("#mistakes li:nth-child(3) img")
    assert opened.ask(SELECTED) == [0, 1, 2]


def test_suspects_are_taken_kept_or_skipped_and_the_table_has_them(opened, tmp_path):
    for number, choice in ((1, "take ants"), (2, "keep ants")):
        opened.click(f"#suspects li:nth-child({number}) fieldset label:nth-of-type({1 if number == 1 else 2}) input")
        texts = f"document.querySelector('#suspects li:nth-child({number}) input:checked').parentElement.textContent"
        assert opened.ask(texts).strip() == choice
    assert opened.ask("document.querySelector('#label-changed').textContent") == "1 changed"
    rows = dict(table_of(opened, tmp_path)[1:])
    assert (rows["plain.png"], rows["a, b.png"]) == ("ants", "ants")
    opened.focus("#suspects li:nth-child(1) input:checked")
    opened.press("ArrowDown")
    assert opened.ask(NAMED)["7"] == HOSTILE, "the arrows of the keyboard choose too"
    opened.click("#suspects li:nth-child(2) fieldset label:nth-of-type(3) input")
    assert list(opened.ask(NAMED)) == ["7"]


def test_the_table_holds_every_image_with_its_label_as_csv_has_it(opened, tmp_path):
    opened.lasso([place_of(opened, 2)])
    call(opened, ' odd, "new"  ')
    rows = table_of(opened, tmp_path)
    assert rows[0] == ["path", "label"]
    assert [path for path, _ in rows[1:]] == [*ODD, "not on the map.png"]
    names = ["ants", HOSTILE] * 4
    names[2] = 'odd, "new"'
    assert [name for _, name in rows[1:]] == [*names, HOSTILE]


def test_a_label_that_is_taken_away_leaves_the_table(opened, tmp_path):
    opened.lasso([place_of(opened, 2)])
    opened.click("#label-none")
    assert ODD[2] not in dict(table_of(opened, tmp_path)[1:])


def test_a_page_that_is_closed_has_kept_the_labels_and_start_over_forgets_them(opened, report):
    opened.lasso([place_of(opened, 5)])
    call(opened, "wasps")
    opened.open(report)
    assert opened.ask(NAMED) == {"5": "wasps"}
    assert opened.ask(BAR)
    opened.click("#label-again")
    opened.open(report)
    assert opened.ask(NAMED) == {}


@pytest.mark.parametrize("kept", ['{"not": "a list"}', "[[99, 1], [-1, 'x'], ['length', 'x'], [2, 3]]", "no JSON"])
def test_what_another_page_kept_is_never_trusted(opened, report, kept):
    opened.ask(f"localStorage.setItem(JSON.parse(document.querySelector('#label-details').textContent).key, {kept!r})")
    opened.open(report)
    assert opened.ask(NAMED) == {}
    opened.lasso([place_of(opened, 5)])
    assert opened.ask(BAR)


def test_where_a_browser_keeps_nothing_the_page_says_so_and_goes_on(opened, report):
    forbid = "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError'); }})"
    script = opened.send("Page.addScriptToEvaluateOnNewDocument", source=forbid)
    opened.open(report)
    opened.send("Page.removeScriptToEvaluateOnNewDocument", **script)
    opened.lasso([place_of(opened, 5)])
    assert "download before" in opened.ask("document.querySelector('#label-changed').textContent")
    call(opened, "wasps")
    assert opened.ask(NAMED) == {"5": "wasps"}
    opened.ask("labels.decided.clear()")  # or the browser would ask before it leaves the page


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_bar_is_inside_the_window_and_leaves_half_of_it(browser, report, width):
    browser.open(report, width, 844)
    browser.lasso([place_of(browser, 1)])
    bar = browser.ask(
        "(box => [box.left, box.right, box.height])(document.querySelector('#labelling').getBoundingClientRect())"
    )
    assert bar[0] >= 0
    assert bar[1] <= width
    assert bar[2] <= 844 / 2
    assert browser.ask("document.documentElement.scrollWidth") <= width


def test_a_file_whose_name_is_no_text_is_given_labels_and_left_out(browser, tmp_path):
    odd = [*ODD[:7], "\udcff.png"]
    data = report_data(**everything() | {"embedding": POINTS, "embedding_paths": odd})
    page = tmp_path / "page.html"
    given_labels = labelling(paths=[*odd, "other.png"])
    page.write_text(render_report(replace(data, labelling=given_labels)), encoding="utf-8")
    browser.open(page)
    browser.lasso([place_of(browser, 0)])
    assert "1 cannot stand in a table" in browser.ask("document.querySelector('#label-changed').textContent")
    assert len(table_of(browser, tmp_path / "downloads")) == 1 + 8


def test_other_images_of_the_same_names_keep_labels_of_their_own():
    keys = {labelling(**changes).details()["key"] for changes in ({}, {"contents": "other"}, {"column": "kind"})}
    assert len(keys) == 3
    assert labelling(file="else.csv", command="else").details()["key"] in keys


def test_a_page_of_pictures_is_labelled_key_by_key(browser, tmp_path):
    tiles = [Tile(pictures=[Picture(path=f"{number}.png", thumbnail=thumbnail())]) for number in range(130)]
    paths = [f"{number}.png" for number in range(130)]
    page = tmp_path / "next.html"
    shown = PicturePage(eyebrow="Headstart next", title="Label these", intro="The most useful first.", tiles=tiles)
    given = labelling(paths=paths, given=[-1] * 130, names=["cat", "dog"])
    page.write_text(render_label_page(shown, given), encoding="utf-8")
    browser.open(page)
    assert browser.ask(BAR)
    browser.focus("#tiles")
    for key in "121":
        browser.press(key)
    browser.press("Enter")
    browser.type("owl")
    browser.press("Enter")
    browser.click("#page-after")
    browser.click("#tiles li:nth-child(10) img")
    browser.press("2")
    rows = table_of(browser, tmp_path / "downloads")
    assert rows[1:] == [["0.png", "cat"], ["1.png", "dog"], ["2.png", "cat"], ["3.png", "owl"], ["129.png", "dog"]]
    assert browser.complaints() == []
