import base64
import re
import subprocess
import sys
from collections import Counter
from io import BytesIO
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from support.report_example import history

from headstart.heads.report.charts.charts import (
    TRAIN,
    VALIDATION,
    best_epoch,
    confusion_chart,
    confusion_counts,
    curve_chart,
)

SVG_IDS = re.compile(r'\bid="([^"]*)"')
SVG_REFERENCES = re.compile(r'(?:href="#|url\(#)([^")]*)')


def parsed(svg):
    # Inline SVG needs no declaration of xlink; an XML parser does.
    return ET.fromstring(f'<page xmlns:xlink="http://www.w3.org/1999/xlink">{svg}</page>')[0]  # noqa: S314 - our own SVG


def texts(svg):
    return [element.text for element in parsed(svg).iter("text")]


def uses(svg):
    return list(parsed(svg).iter("use"))


def test_rows_of_the_confusion_counts_are_true_classes_and_columns_predicted_ones():
    counts = confusion_counts(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3)

    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_the_colour_of_a_confusion_is_the_share_of_its_true_class():
    svg = confusion_chart(np.array([[6, 2], [0, 0]]), ["ants", "bees"])

    embedded = re.search(r"data:image/png;base64,([^\"]+)", svg)[1]
    opacity = np.asarray(Image.open(BytesIO(base64.b64decode(embedded))))[..., 3]
    np.testing.assert_allclose(opacity / 255, [[6 / 8, 2 / 8], [0, 0]], atol=1 / 255)


def test_counts_stand_in_the_cells_and_zeros_stay_empty():
    assert Counter(texts(confusion_chart(np.array([[67, 3], [0, 79]]), ["ants", "bees"]))) == Counter(
        ["67", "3", "79", "ants", "bees", "ants", "bees", "true", "predicted"]
    )


def test_the_cells_of_mistakes_are_links_that_say_what_they_count():
    svg = confusion_chart(np.array([[67, 3], [1, 79]]), ["ants", "<bees>"], {(0, 1): "#pair-0-1", (1, 0): "#mistakes"})

    links = [(link.get("href"), link.get("data-pair"), link.get("aria-label")) for link in parsed(svg).iter("a")]
    assert links == [
        ("#pair-0-1", "0-1", "ants taken for <bees>: 3 images"),
        ("#mistakes", "1-0", "<bees> taken for ants: 1 image"),
    ]


def test_a_link_covers_its_cell_and_no_other():
    svg = parsed(confusion_chart(np.array([[67, 3], [0, 79]]), ["ants", "bees"], {(0, 1): "#pair-0-1"}))

    (cell,) = (path for link in svg.iter("a") for path in link)
    corners = np.array(re.findall(r"([\d.]+) ([\d.]+)", cell.get("d")), dtype=float)
    written = next(text for text in svg.iter("text") if text.text == "3")
    place = np.array(
        re.findall(r"translate\(([\d.]+) ([\d.]+)\)|x=\"([\d.]+)\" y=\"([\d.]+)\"", ET.tostring(written).decode())[0]
    )
    x, y = (float(number) for number in place if number)
    assert corners[:, 0].min() < x < corners[:, 0].max()
    assert corners[:, 1].min() < y < corners[:, 1].max()
    assert np.ptp(corners[:, 0]) == pytest.approx(72.0, rel=0.01)  # of a matrix of two inches


@pytest.mark.parametrize(("n_classes", "step"), [(2, 1), (20, 1), (40, 2), (100, 3)])
def test_labels_of_many_classes_thin_out_evenly(n_classes, step):
    names = [f"class {number}" for number in range(n_classes)]

    written = [text for text in texts(confusion_chart(np.eye(n_classes, dtype=int), names)) if text.startswith("class")]

    assert written == 2 * names[::step]


def test_above_twenty_classes_no_counts_are_written():
    assert "7" not in texts(confusion_chart(np.full((21, 21), 7), ["a"] * 21))


@pytest.mark.parametrize(
    "name",
    ["<script>x</script>", "$\\alpha$", "$\\broken{", "a&b", "蟻", "#010203", 'x id="y', "url(#z)", "]]>", "-->"],
)
def test_any_class_name_is_written_as_it_is(name):
    assert name in texts(confusion_chart(np.eye(2, dtype=int), [name, "bees"]))


def test_a_long_class_name_is_cut_with_an_ellipsis():
    assert "red-winged blackb…" in texts(confusion_chart(np.eye(2, dtype=int), ["red-winged blackbird", "oak"]))


def test_the_curve_marks_the_epoch_of_the_lowest_validation_loss():
    svg = curve_chart(history(0.9, 0.4, 0.5), title="mlp")

    assert parsed(svg).get("aria-label") == "Loss of mlp over 3 epochs; validation loss is lowest at epoch 2."
    assert len(uses(svg)) == 1


def test_a_curve_without_validation_has_one_line_and_no_mark():
    svg = curve_chart(history(None, None), title="mlp")

    assert (svg.count(f"stroke: {TRAIN}"), svg.count(VALIDATION), len(uses(svg))) == (1, 0, 0)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((0.9, 0.4, 0.5), 2),
        ((0.4, 0.4), 1),
        ((float("nan"), 0.7, None), 2),
        ((float("inf"), float("nan")), None),
        ((None,), None),
        ((), None),
    ],
)
def test_the_best_epoch_is_the_first_of_the_lowest_finite_losses(losses, expected):
    best = best_epoch(history(*losses))

    assert (best and best["epoch"]) == expected


@pytest.mark.parametrize(
    "draw",
    [
        lambda name: confusion_chart(np.eye(3, dtype=int), ["a", "b", "c"], name=name),
        lambda name: confusion_chart(np.eye(2, dtype=int)[::-1], ["a", "b"], {(0, 1): "#x", (1, 0): "#x"}, name=name),
        lambda name: curve_chart(history(0.9, 0.4), title="mlp", name=name),
    ],
    ids=["confusion", "linked", "curve"],
)
class TestEveryChart:
    def test_is_the_same_text_each_time(self, draw):
        assert draw("one") == draw("one")

    def test_uses_only_ids_of_its_own(self, draw):
        one, two = draw("one"), draw("two")

        assert set(SVG_IDS.findall(one)).isdisjoint(SVG_IDS.findall(two))
        outwards = {"x"}  # where the cells lead to
        assert set(SVG_REFERENCES.findall(one)) - outwards <= set(SVG_IDS.findall(one))

    def test_says_what_it_shows(self, draw):
        svg = parsed(draw("one"))

        assert svg.get("role") == ("group" if list(svg.iter("a")) else "img")
        assert svg.get("aria-label").endswith(".")

    def test_takes_its_text_colour_from_the_page(self, draw):
        svg = draw("one")

        assert "currentColor" in svg
        assert "#010203" not in svg
        assert "#000000" not in svg

    def test_leaves_the_settings_of_matplotlib_alone(self, draw):
        before = dict(mpl.rcParams)

        draw("one")

        assert dict(mpl.rcParams) == before


def test_a_label_cannot_break_out_of_its_attribute():
    svg = curve_chart(history(0.5), title='"><script>x</script>')

    assert '"><script>' in parsed(svg).get("aria-label")
    assert not list(parsed(svg).iter("script"))


def test_pyplot_is_never_loaded():
    code = "import sys, headstart.heads.report.page; sys.exit('matplotlib.pyplot' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
