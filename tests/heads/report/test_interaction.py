"""What the page's script does for a reader with a pointer, with keys alone, and with neither script nor wide window."""

from dataclasses import replace

import numpy as np
import pytest
from support.report_browser import CHROMIUM
from support.report_example import candidate, everything, mistake, report_data, thumbnail

from headstart.heads.report.page import render_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

SHOWN = "[...document.querySelectorAll('#candidate-rows tr')].filter(row => row.offsetHeight)"
PICTURES = "[...document.querySelectorAll('#mistakes .gallery > li')].filter(each => each.offsetHeight)"
FIT, SCORE = "th[data-key='fit'] button", "th[data-key='score'] button"


def leaderboard():
    """Return thirty candidates: ranks 1 to 30, fits that take 30 down to 1 seconds, and one failure."""
    rows = [
        replace(
            candidate(("logreg", "knn")[number % 2], 0.95 - number / 100, C=float(number)),
            fit_seconds=30.0 - number,
            tied=number < 3,
            p_value=1 / (number + 1),
        )
        for number in range(30)
    ]
    return [*rows, replace(candidate("lda", None), fit_seconds=None)]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    rows = leaderboard()
    pairs = [("ants", "bees")] * 2 + [("bees", "ants")] + [("ants", "bees")] * 27
    given = everything() | {
        "leaderboard": rows,
        "winner": rows[0],
        "y_test": np.array([0, 0, 0, 1, 1, 1]),
        "predicted": np.array([0, 1, 1, 0, 1, 1]),
        "mistakes": [mistake(true=true, predicted=predicted) for true, predicted in pairs],
        "embedding_thumbnails": [thumbnail("navy")] * 8,
    }
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render_report(report_data(**given)), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser, report):
    browser.open(report)
    return browser


def ranks(browser):
    return browser.ask(f"{SHOWN}.map(row => Number(row.dataset.rank))")


def order(browser):
    return browser.ask("[...document.querySelectorAll('#candidate-rows tr')].map(row => Number(row.dataset.rank))")


def sorted_by(browser):
    return browser.ask(
        "[...document.querySelectorAll('#candidate-table [aria-sort]')].map(each => [each.dataset.key, each.ariaSort])"
    )


def test_the_table_opens_with_the_best_setting_of_each_head(opened):
    assert ranks(opened) == [1, 2, 31]


def test_the_box_shows_all_candidates(opened):
    opened.click("#all-candidates")

    assert ranks(opened) == list(range(1, 32))


def test_a_click_on_a_header_sorts_and_another_one_turns_the_order(opened):
    opened.click(FIT)
    assert (order(opened)[:3], sorted_by(opened)) == ([30, 29, 28], [["fit", "ascending"]])

    opened.click(FIT)
    assert (order(opened)[:3], sorted_by(opened)) == ([1, 2, 3], [["fit", "descending"]])


def test_what_has_no_number_comes_last_in_either_order(opened):
    opened.click(FIT)
    assert order(opened)[-1] == 31
    opened.click(FIT)
    assert order(opened)[-1] == 31


@pytest.mark.parametrize("key", ["Enter", " "])
def test_a_header_sorts_by_key(opened, key):
    opened.focus(FIT)
    opened.press(key)

    assert order(opened)[0] == 30


def test_the_best_score_comes_first_at_the_first_click(opened):
    opened.click(FIT)
    opened.click(SCORE)

    assert (order(opened)[:2], sorted_by(opened)) == ([1, 2], [["score", "descending"]])


def test_names_are_sorted_by_their_numbers(opened):
    opened.click("th[data-key='name'] button")

    assert order(opened)[:4] == [2, 4, 6, 8]  # knn with C = 1, 3, 5, 7


def test_words_filter_all_settings_and_say_how_many_fit(opened):
    opened.focus("#find-candidate")
    opened.type("logreg c = 28")

    assert ranks(opened) == [29]
    assert opened.ask("document.querySelector('#n-candidates').textContent") == "1 of 31 shown"


def test_words_that_fit_nothing_are_answered(opened):
    opened.focus("#find-candidate")
    opened.type("no such head")

    assert "None fits" in opened.ask("document.querySelector('#n-candidates').textContent")


def test_a_head_filters_the_table(opened):
    opened.focus("#pick-head")
    opened.ask("document.querySelector('#pick-head').value = 'knn'")
    opened.ask("document.querySelector('#pick-head').dispatchEvent(new Event('change'))")

    assert ranks(opened) == list(range(2, 31, 2))


def test_a_cell_of_the_matrix_leaves_the_images_of_its_pair(opened):
    opened.click("#confusion svg a[data-pair='1-0']")

    assert opened.ask(f"{PICTURES}.map(each => each.dataset.pair)") == ["1-0"]
    assert opened.ask("document.querySelector('#pair-shown').textContent") == "Only bees → ants: 1 image"
    assert opened.ask("document.activeElement.id") == "mistakes"
    assert abs(opened.ask("document.querySelector('#mistakes').getBoundingClientRect().top")) < 60


def test_of_one_pair_all_images_are_shown_and_the_button_brings_the_others_back(opened):
    assert opened.ask(f"{PICTURES}.length") == 24
    opened.click("#confusion svg a[data-pair='0-1']")
    assert opened.ask(f"{PICTURES}.length") == 29

    opened.click("#all-pairs")
    assert opened.ask(f"{PICTURES}.length") == 24


def test_the_matrix_is_walked_with_arrows_and_opened_with_enter(opened):
    opened.focus("#confusion svg a")
    opened.press("ArrowDown")
    assert opened.ask("document.activeElement.dataset.pair") == "1-0"

    opened.press("Enter")
    assert opened.ask(f"{PICTURES}.length") == 1


def test_the_list_of_confusions_leads_to_the_images_too(opened):
    opened.click(".pairs a[data-pair='1-0']")

    assert opened.ask(f"{PICTURES}.length") == 1


def hover(browser, number):
    """Point at an image of the map."""
    browser.centre("#map-drawing svg")
    x, y = browser.ask(
        "(() => { const box = document.querySelector('#map-drawing svg').getBoundingClientRect();"
        " const scale = box.width / document.querySelector('#map-drawing svg').viewBox.baseVal.width;"
        f" return [box.x + given.x[{number}] * scale, box.y + given.y[{number}] * scale]; }})()"
    )
    browser.point_at(x, y)


TIP = (
    "(tip => [!tip.hidden, ...[...tip.children].map(each => each.src?.slice(0, 22) ?? each.textContent)])"
    "(document.querySelector('#map-tip'))"
)


@pytest.mark.parametrize(
    ("number", "noted"),
    [
        (0, [True, "data:image/jpeg;base64", "ants", "val", "train/bees/b.jpg0"]),
        (7, [True, "data:image/jpeg;base64", "bees", "train", "train/bees/b.jpg7"]),
    ],
)
def test_the_pointer_on_an_image_shows_its_picture_class_side_and_path(opened, number, noted):
    hover(opened, number)

    assert opened.ask(TIP) == noted


def test_what_is_told_goes_with_the_pointer(opened):
    hover(opened, 0)
    opened.point_at(2, 2)

    assert opened.ask("document.querySelector('#map-tip').hidden")


@pytest.mark.parametrize("width", [320, 1280])
def test_what_is_told_lies_inside_the_window_and_beside_its_point(browser, report, width):
    browser.open(report, width, 700)
    for number in range(8):
        hover(browser, number)
        left, top, right, bottom = browser.ask(
            "(box => [box.left, box.top, box.right, box.bottom])"
            "(document.querySelector('#map-tip').getBoundingClientRect())"
        )
        x, y = browser.ask(
            "(box => [box.x + box.width / 2, box.y + box.height / 2])"
            "(document.querySelector('.here').getBoundingClientRect())"
        )
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= 700
        assert not (left < x < right and top < y < bottom)


def test_the_map_is_walked_with_arrows_and_left_with_escape(opened):
    ring = "(ring => [ring.cx.baseVal.value, ring.cy.baseVal.value])(document.querySelector('.here'))"
    opened.focus("#map-drawing")
    first = opened.ask(ring)
    key = opened.ask("given.x.some(x => x > given.x[0]) ? 'ArrowRight' : 'ArrowLeft'")
    opened.press(key)
    second = opened.ask(ring)
    assert second[0] != first[0]
    assert (second[0] > first[0]) == (key == "ArrowRight")

    opened.press("Escape")
    assert opened.ask("document.querySelector('#map-tip').hidden")


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_the_page_fits_every_window_with_everything_open(browser, report, width):
    browser.open(report, width)
    browser.click("#all-candidates")

    assert browser.ask("document.documentElement.scrollWidth") <= width


def test_without_scripts_the_page_reads_and_the_box_still_works(browser, report):
    browser.open(report, scripts=False)

    assert browser.ask("[...document.querySelectorAll('.controls, #map-help')].every(each => !each.offsetHeight)")
    assert ranks(browser) == [1, 2, 31]
    browser.click("#all-candidates")
    assert len(ranks(browser)) == 31


def test_nothing_is_asked_of_the_network_and_nothing_goes_wrong(opened, report):
    hover(opened, 0)
    opened.click(FIT)

    assert opened.requests() == [report.as_uri()]
    assert opened.complaints() == []
