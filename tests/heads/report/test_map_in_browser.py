"""The map under a reader's hands: closer, coloured otherwise, class by class; and tables on a phone."""

import numpy as np
import pytest
from support.report_browser import CHROMIUM
from support.report_example import candidate, class_score, everything, mistake, report_data, thumbnail

from headstart.heads.report.page import render_report

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

VIEW = "(box => [box.x, box.y, box.width])(document.querySelector('#map-drawing svg').viewBox.baseVal)"
SEEN = "[...document.querySelectorAll('#map-drawing .points path')].map(path => path.getBoundingClientRect().width > 0)"
TIP = "[...document.querySelectorAll('#map-tip b')].map(each => each.textContent)"
HOSTILE = "<img src=x onerror='top.pwned = 1'>"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    rows = [candidate(head, 0.95 - number / 100, C=1.0) for number, head in enumerate(("logreg", "knn", "lda"))]
    classes = [class_score(f"class {number}", number / 40, number) for number in range(30)]
    given = everything() | {
        "class_names": ["ants", HOSTILE],
        "leaderboard": rows,
        "winner": rows[0],
        "classes": [class_score(HOSTILE, 0.0, 99), *classes],
        "mistakes": [mistake(predicted=HOSTILE)],
        "embedding_thumbnails": [thumbnail("navy")] * 8,
        "embedding": np.array([[0, 0], [4, 0], [0, 3], [4, 3], [2, 1], [2, 2], [1, 1], [3, 2]], dtype=float),
    }
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render_report(report_data(**given)), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser, report):
    browser.open(report)
    yield browser
    assert browser.complaints() == []
    assert browser.requests() == [report.as_uri()]
    assert browser.ask("window.pwned ?? null") is None


def points_of(browser, state):
    """Return how many points are drawn of those that are right (1), wrong (0) or not scored (-1)."""
    paths = "[...document.querySelectorAll('#map-drawing .points + g path')].map(path => path.getAttribute('d'))"
    return browser.ask(paths)[[-1, 1, 0].index(state)].count("M")


def middle_of(browser, number):
    return browser.ask(
        f"(() => {{ const svg = document.querySelector('#map-drawing svg'), at = svg.createSVGPoint();"
        f" at.x = given.x[{number}]; at.y = given.y[{number}]; const there = at.matrixTransform(svg.getScreenCTM());"
        " return [there.x, there.y]; })()"
    )


def test_the_map_comes_closer_and_goes_back(opened):
    whole = opened.ask(VIEW)
    opened.click("#map-in")
    closer = opened.ask(VIEW)
    assert closer[2] == pytest.approx(whole[2] / 1.7)
    assert closer[0] > whole[0]
    opened.click("#map-whole")
    assert opened.ask(VIEW) == pytest.approx(whole)
    opened.click("#map-out")
    assert opened.ask(VIEW) == pytest.approx(whole), "no farther than the whole"


def test_keys_zoom_and_arrows_bring_an_image_into_view(opened):
    opened.focus("#map-drawing")
    opened.ask("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: '+'}))")
    opened.ask(
        "for (let i = 0; i < 9; i++) document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: '+'}))"
    )
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowUp"):
        opened.press(key)
        x, y, width = opened.ask(VIEW)
        ring = opened.ask("(ring => [ring.cx.baseVal.value, ring.cy.baseVal.value])(document.querySelector('.here'))")
        assert x <= ring[0] <= x + width
        assert ring[1] >= y


def test_the_wheel_zooms_with_ctrl_at_the_pointer_and_scrolls_without(opened):
    opened.centre("#map-drawing svg")
    whole, (x, y) = opened.ask(VIEW), middle_of(opened, 3)
    turn = (
        "(event => [document.querySelector('#map-drawing svg').dispatchEvent(event), event.defaultPrevented][1])"
        f"(new WheelEvent('wheel', {{deltaY: -120, ctrlKey: CTRL, clientX: {x}, clientY: {y},"
        " bubbles: true, cancelable: true}))"
    )
    assert not opened.ask(turn.replace("CTRL", "false"))
    assert opened.ask(VIEW) == whole
    assert opened.ask(turn.replace("CTRL", "true"))
    assert opened.ask(VIEW)[2] < whole[2]
    assert middle_of(opened, 3) == pytest.approx([x, y], abs=2)


def test_a_pointer_drags_the_map_when_it_is_close(opened):
    opened.click("#map-in")
    x, y = opened.centre("#map-drawing svg")
    before = opened.ask(VIEW)
    opened.send("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
    opened.send("Input.dispatchMouseEvent", type="mouseMoved", x=x + 60, y=y, button="left", buttons=1)
    opened.send("Input.dispatchMouseEvent", type="mouseReleased", x=x + 60, y=y, button="left", clickCount=1)
    assert opened.ask(VIEW)[0] < before[0]
    opened.point_at(*middle_of(opened, 4))
    assert opened.ask(TIP) == ["ants"], "what is under the pointer is told where it lies now"


def test_two_fingers_pinch_the_map(opened):
    opened.send("Emulation.setTouchEmulationEnabled", enabled=True)
    x, y = opened.centre("#map-drawing svg")
    whole = opened.ask(VIEW)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 60), ("touchEnd", None)):
        points = [] if apart is None else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        opened.send("Input.dispatchTouchEvent", type=kind, touchPoints=points)
    opened.send("Emulation.setTouchEmulationEnabled", enabled=False)
    assert opened.ask(VIEW)[2] < whole[2] / 2
    assert opened.ask("document.querySelector('#map-tip').hidden")


def test_points_are_coloured_by_right_and_wrong(opened):
    assert not opened.ask("document.querySelector('#map-judged').offsetHeight")
    opened.ask(
        "(pick => { pick.value = 'right'; pick.dispatchEvent(new Event('change')); })"
        "(document.querySelector('#map-colour'))"
    )
    assert [points_of(opened, state) for state in (1, 0, -1)] == [2, 1, 5]
    assert opened.ask(SEEN) == [False, False]
    assert opened.ask("document.querySelector('#map-judged').offsetHeight > 0")


def test_a_class_is_hidden_with_all_its_points_and_comes_back(opened):
    assert opened.ask(SEEN) == [True, True]
    toggle = "#map .legend li[data-class='0'] button"
    opened.click(toggle)
    assert opened.ask(SEEN) == [False, True]
    assert opened.ask(f'document.querySelector("{toggle}").ariaPressed') == "false"
    assert opened.ask("document.querySelector('#map-drawing .rings').getAttribute('d').match(/M/g).length") == 1
    opened.centre("#map-drawing svg")
    opened.point_at(*middle_of(opened, 0))
    assert opened.ask("document.querySelector('#map-tip').hidden")
    opened.click(toggle)
    assert opened.ask(SEEN) == [True, True]


def test_every_point_has_its_picture(opened):
    opened.centre("#map-drawing svg")
    for number in range(8):
        opened.point_at(*middle_of(opened, number))
        assert opened.ask("document.querySelector('#map-tip img').naturalWidth") > 0


def test_classes_are_sorted_by_their_headers_and_many_stay_folded(opened):
    names = (
        "[...document.querySelectorAll('#class-rows tr')].filter(row => row.offsetHeight)"
        ".map(row => row.querySelector('th').textContent)"
    )
    assert opened.ask(f"{names}.length") == 12
    opened.click("#class-table [data-key='support'] button")
    assert opened.ask(names)[:2] == [HOSTILE, "class 29"]
    assert opened.ask(f"{names}.length") == 12
    opened.click("#all-classes")
    assert opened.ask(f"{names}.length") == 31


@pytest.mark.parametrize("width", [320, 390])
def test_on_a_phone_no_table_of_scores_scrolls_sideways(browser, report, width):
    browser.open(report, width)
    for name in ("candidates", "classes"):
        region = f"document.querySelector('#{name} .scroll')"
        assert browser.ask(f"{region}.scrollWidth <= {region}.clientWidth")
        assert browser.ask(f"{region}.querySelector('tbody tr .plot').getBoundingClientRect().width") > width / 2
    assert browser.ask("document.documentElement.scrollWidth") <= width


def test_pictures_stand_on_the_first_screen(browser, report):
    for width, height in ((1280, 720), (390, 844)):
        browser.open(report, width, height)
        bottom = (
            "Math.max(...[...document.querySelectorAll('.strip img')].map(each => each.getBoundingClientRect().bottom))"
        )
        assert browser.ask(bottom) < height
