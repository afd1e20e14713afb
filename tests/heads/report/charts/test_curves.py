"""Curves of classes: where their lines run, and which are drawn."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from headstart.heads.report.charts import DRAWN_CLASSES, curves_chart
from headstart.heads.report.charts.svg import PALETTE
from headstart.heads.scoring import curves_of_classes


def charts(n_classes=3, n_images=90, names=None):
    generator = np.random.default_rng(0)
    y = np.resize(np.arange(n_classes), n_images)
    probability = generator.dirichlet(np.ones(n_classes), size=n_images)
    probability[np.arange(n_images), y] += 0.3
    names = names or [f"class {number}" for number in range(n_classes)]
    return curves_chart(curves_of_classes(y, probability), names)


def lines(svg):
    """Return the paths that are curves, by name."""
    found = {}
    for path in ET.fromstring(svg).iter("path"):  # noqa: S314 - our own SVG
        title = path.find("title")
        if title is not None:
            found[title.text] = (path, [tuple(map(float, pair.split())) for pair in path.get("d")[1:].split("L")])
    return found


def test_a_curve_of_every_class_and_the_mean_run_from_corner_to_corner():
    drawn = lines(charts().roc)

    assert list(drawn) == ["class 0", "class 1", "class 2", "the mean of all classes"]
    for _, corners in drawn.values():
        (left, bottom), (right, top) = corners[0], corners[-1]
        assert (right - left, bottom - top) == (300, 300)
        assert [x for x, _ in corners] == sorted(x for x, _ in corners)
        assert [y for _, y in corners] == sorted((y for _, y in corners), reverse=True)


def test_precision_begins_at_that_of_the_surest_image():
    y, probability = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    _, corners = lines(curves_chart(curves_of_classes(y, probability), "ab").precision)["a"]

    assert corners[0] == (46, 10)  # all of what is surest is right
    assert corners[-1] == (346, 10 + 300 * 0.5)


def test_precision_ends_at_the_share_of_the_class():
    _, corners = lines(charts().precision)["class 0"]

    assert corners[-1][1] == pytest.approx(10 + 300 * (1 - 1 / 3), abs=0.1)


def test_the_first_classes_have_a_colour_and_the_others_are_pale():
    found = charts(12)
    drawn = lines(found.roc)

    coloured = [path.get("stroke") for path, _ in drawn.values() if path.get("stroke")]
    assert coloured == list(found.colours) == list(PALETTE[:DRAWN_CLASSES])
    assert sum(path.get("class") == "pale" for path, _ in drawn.values()) == 7


def test_of_very_many_classes_and_images_some_lines_and_corners_are_drawn():
    found = charts(120, 12_000)

    assert len(found.roc) + len(found.precision) < 200_000
    assert len(lines(found.roc)) == 46


def test_names_are_written_as_they_are():
    assert "<script>&" in lines(charts(2, names=["<script>&", "b"]).roc)
    assert not re.search("<script>", charts(2, names=["<script>&", "b"]).roc)
