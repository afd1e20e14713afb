"""The report's map: where the points lie, how they are drawn, and what the script may tell of them."""

import re
from collections import Counter
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from support.report_example import report_data, thumbnail
from support.report_page import data_of, words

import headstart.heads.report.page
from headstart.heads.report.charts import projection
from headstart.heads.report.charts.map import SHAPES, WIDTH, map_chart, place_points
from headstart.heads.report.charts.projection import project
from headstart.heads.report.charts.svg import PALETTE

POINTS = np.array([[0.0, 0.0], [0.1, 0.1], [5.0, 4.0], [5.1, 4.2]])


def small_map(**changes):
    given = {
        "points": POINTS,
        "labels": np.array([0, 0, 1, 1]),
        "is_test": np.array([True, False, True, False]),
        "class_names": ["ants", "bees"],
    }
    return ET.fromstring(map_chart(**given | changes))  # noqa: S314 - our own SVG


def numbered(n_classes):
    """Return a map with one image of each class."""
    return small_map(
        points=np.random.default_rng(0).normal(size=(n_classes, 2)),
        labels=np.arange(n_classes),
        is_test=np.zeros(n_classes, dtype=bool),
        class_names=[str(number) for number in range(n_classes)],
    )


def texts(svg):
    return [element.text for element in svg.iter("text")]


def paths(svg):
    """Return the paths of the classes."""
    return [path for path in svg.iter("path") if path.get("class") != "rings"]


def starts(path):
    return [[int(number) for number in pair] for pair in re.findall(r"M(-?\d+) (-?\d+)", path.get("d"))]


def test_points_keep_their_shape_and_stand_upright():
    places, height = place_points(np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))

    (left, right), (bottom, top) = places[[0, 1], 0], places[[0, 2], 1]
    assert right - left == 2 * (bottom - top)
    assert 0 < left < right < WIDTH
    assert 0 < top < bottom < height


@pytest.mark.parametrize(
    "points", [np.zeros((4, 2)), np.array([[0, 0], [1, 0], [2, 0]]), np.array([[0, 0], [0, 1]])],
    ids=["point", "line", "upright line"],
)  # fmt: skip
def test_a_map_without_extent_lies_inside_its_frame(points):
    places, height = place_points(points)

    assert ((places > 0) & (places < [WIDTH, height])).all()
    assert 0.2 * WIDTH < height < 1.2 * WIDTH


def test_every_image_is_a_point_in_the_colour_of_its_class():
    found = {path.get("stroke"): starts(path) for path in paths(small_map())}

    places = place_points(POINTS)[0].tolist()
    assert found == {PALETTE[0]: places[:2], PALETTE[1]: places[2:]}


def test_the_rings_lie_round_the_test_images():
    (rings,) = (path for path in small_map().iter("path") if path.get("class") == "rings")

    radius = int(re.search(r"a(\d+) ", rings.get("d"))[1])
    assert [[x + radius, y] for x, y in starts(rings)] == place_points(POINTS)[0][[0, 2]].tolist()


def test_classes_beyond_the_palette_repeat_a_colour_with_another_shape():
    drawn = paths(numbered(10 * len(SHAPES)))

    steps = [
        (path.get("fill") + path.get("stroke", ""), path.get("d").split("M")[1].lstrip("-0123456789 "))
        for path in drawn
    ]
    assert max(Counter(steps).values()) == 1
    assert {step[0].removeprefix("none") for step in steps} == set(PALETTE)


def test_a_shape_lies_round_its_point():
    _, *steps = re.findall(r"(-?\d+) (-?\d+)", paths(numbered(11))[10].get("d"))

    corners = np.cumsum([(int(dx), int(dy)) for dx, dy in steps], axis=0)
    assert np.abs(corners.mean(axis=0)).max() <= 1
    assert np.ptp(np.hypot(*corners.T)) <= 2


def test_of_two_class_names_that_would_overlap_the_larger_class_keeps_its_name():
    points = np.array([[0, 0], [0.1, 0], [0.1, 0], [9, 9]])

    assert texts(small_map(points=points, labels=np.array([0, 1, 1, 2]), class_names=["ants", "bees", "wasps"])) == [
        "bees",
        "wasps",
    ]


@pytest.mark.parametrize("name", ["<script>x</script>", "$1", "a&b", "蟻", 'x id="y', "]]>", "-->"])
def test_any_class_name_is_written_as_it_is(name):
    assert name in texts(small_map(class_names=[name, "bees"]))


def test_the_map_says_what_it_shows():
    assert small_map().get("aria-label") == "Map of 4 images of 2 classes; 2 test images have a ring."


def test_ten_thousand_points_take_less_than_a_quarter_of_a_megabyte():
    rng = np.random.default_rng(0)
    svg = map_chart(
        rng.normal(size=(10_000, 2)), rng.integers(0, 2, 10_000), rng.random(10_000) < 0.2, ["ants", "bees"]
    )

    assert len(svg) < 250_000


def test_the_script_is_told_the_place_the_class_the_path_and_the_picture_of_each_point():
    paths = [f"train/{number}.jpg" for number in range(8)]
    data = report_data(embedding_paths=paths, embedding_thumbnails=[thumbnail(), *[None] * 7])

    details = data_of(data)

    places, _ = place_points(project(data.embedding))
    assert np.column_stack([details["x"], details["y"]]).tolist() == places.tolist()
    assert (details["paths"], details["classes"], details["label"]) == (paths, ["ants", "bees"], [0, 1] * 4)
    assert (details["test"], list(details["thumbnails"])) == ([1] * 3 + [0] * 5, ["0"])


def test_without_paths_the_script_is_told_none():
    assert data_of(report_data())["paths"] == []


def test_beyond_what_is_projected_an_image_stands_among_its_nearest(monkeypatch):
    monkeypatch.setattr(projection, "MOST_TSNE", 60)
    rng = np.random.default_rng(0)
    side = np.repeat([0, 1], 60)
    points = project(rng.normal(size=(120, 8)) + 30 * side[:, None])

    centres = np.array([np.median(points[side == number], axis=0) for number in (0, 1)])
    nearer = np.argmin(np.linalg.norm(points[:, None] - centres, axis=2), axis=1)
    assert (nearer == side).all()


def test_the_page_says_of_how_many_images_the_map_was_made(monkeypatch):
    monkeypatch.setattr(projection, "MOST_TSNE", 60)
    monkeypatch.setattr(headstart.heads.report.page, "MOST_TSNE", 60)
    embedding = np.random.default_rng(0).normal(size=(80, 8))
    labels = np.repeat([0, 1], 40)

    text = words(embedding=embedding, embedding_labels=labels, embedding_is_test=labels == 0)

    assert "t-SNE of 60 of them; each other image stands in the middle of its five nearest." in text
