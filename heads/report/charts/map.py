"""The report's map: images as points on a plane, drawn as a small SVG, with what a reader may ask of each point."""

import math
from base64 import b64encode
from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from headstart.heads.report.charts.svg import PALETTE, shortened

# Units of the drawing: a tenth of a CSS pixel at its natural size, so that places are whole numbers and short.
WIDTH = 7600
MARGIN = 200
FONT_SIZE = {True: 150, False: 110}  # with few classes, and with many

# Beyond the palette, a colour comes again with another shape: corners, turn in degrees, inner radius of a star (or 0).
SHAPES = (
    None, (4, 45, 0), (3, -90, 0), (4, 0, 0), (3, 90, 0), (4, -90, 0.4), (4, 45, 0.4), (5, -90, 0), (6, 0, 0),
    (5, -90, 0.45),
)  # fmt: skip


def place_points(points: NDArray[np.floating]) -> tuple[NDArray[np.int64], int]:
    """Fit points into the drawing, both axes with one scale and upwards as given.

    Parameters
    ----------
    points : (n_images, 2) float
        In any unit.

    Returns
    -------
    (n_images, 2) int64
        In units of the drawing, downwards.
    int
        Height of the drawing, which is nowhere very flat nor very high, also for points on a line.
    """
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    half = np.ptp(points, axis=0) / 2
    half = np.maximum(half, 0.4 * half.max() or 1.0)
    scale = (WIDTH / 2 - MARGIN) / max(half[0], half[1] / 0.8)
    height = 2 * math.ceil(half[1] * scale + MARGIN)
    placed = np.array([WIDTH, height]) / 2 + (points - centre) * scale * [1, -1]
    return np.rint(placed).astype(np.int64), height


def map_chart(
    points: NDArray[np.floating],
    labels: NDArray[np.integer],
    is_test: NDArray[np.bool_],
    class_names: Sequence[str],
    *,
    name: str = "map-chart",
) -> str:
    """Draw images as points on a plane, coloured by class, with a ring round each test image.

    One path a class: ten thousand points take some 150 kB and a few nodes of the page.

    Parameters
    ----------
    points : (n_images, 2) float
        In any unit.
    labels : (n_images,) int
        Class numbers.
    is_test : (n_images,) bool
        Which images get a ring.
    class_names : sequence of str
        Written at the median of the class's points where there is room, larger classes first.
    name : str
        The SVG's id; unique in the page.

    Returns
    -------
    str
        One `<svg>` element, in colours that follow the page's theme.
    """
    places, height = place_points(points)
    radius = round(10 * float(np.clip(math.sqrt(14_000 / len(points)), 2.4, 5)))
    numbers = np.unique(labels)
    few = len(class_names) <= len(PALETTE)
    classes = [_class_path(places[labels == number], int(number), radius) for number in numbers]
    names = [
        f'<text x="{x}" y="{y}" data-class="{number}">{escape(shortened(class_names[number]))}</text>'
        for (x, y), number in _label_places(places, labels, class_names, FONT_SIZE[few])
    ]
    label = f"Map of {len(points)} images of {len(numbers)} classes; {int(np.sum(is_test))} test images have a ring."
    return (
        f'<svg id="{name}" class="chart" role="img" aria-label="{label}" width="{WIDTH // 10}" height="{height // 10}" '
        f'viewBox="0 0 {WIDTH} {height}">'
        f'<g class="points" data-radius="{radius}" fill-opacity=".85" stroke-opacity=".85">{"".join(classes)}</g>'
        f'<path class="rings" fill="none" stroke="currentColor" stroke-width="7" stroke-opacity=".7" '
        f'd="{_rings(places[is_test], round(1.5 * radius))}"/>'
        f'<g class="names" fill="currentColor" text-anchor="middle" font-size="{FONT_SIZE[few]}" '
        f'font-weight="{600 if few else 400}">'
        f"{''.join(names)}</g></svg>"
    )


def map_details(
    points: NDArray[np.floating],
    labels: NDArray[np.integer],
    is_test: NDArray[np.bool_],
    class_names: Sequence[str],
    paths: Sequence[str],
    thumbnails: Sequence[bytes | None],
    right: NDArray[np.integer] | None = None,
) -> dict[str, object]:
    """Gather what the page's script shows of a point: its place in `map_chart`, class, path and picture.

    Parameters
    ----------
    points, labels, is_test, class_names
        As for `map_chart`.
    paths : sequence of str
        (n_images,), or empty.
    thumbnails : sequence of bytes or None
        (n_images,) JPEGs, or empty.
    right : (n_images,) int, or None
        1 for images that are right, 0 for those that are wrong, -1 for those that were not scored.

    Returns
    -------
    dict
        Of lists and texts, for JSON. `thumbnails` maps the number of a point to base64.
    """
    places, _ = place_points(points)
    pictures = {str(at): b64encode(jpeg).decode("ascii") for at, jpeg in enumerate(thumbnails) if jpeg is not None}
    return {
        "x": places[:, 0].tolist(),
        "y": places[:, 1].tolist(),
        "label": np.asarray(labels).tolist(),
        "test": np.asarray(is_test).astype(int).tolist(),
        "classes": list(class_names),
        "palette": list(PALETTE),
        "paths": list(paths),
        "thumbnails": pictures,
        "right": [] if right is None else np.asarray(right).tolist(),
    }


def _class_path(places: NDArray[np.int64], number: int, radius: int) -> str:
    colour = PALETTE[number % len(PALETTE)]
    shape = SHAPES[number // len(PALETTE) % len(SHAPES)]
    if shape is None:  # a line of no length with round ends: the shortest way to write a disc
        data = "".join(f"M{x} {y}h0" for x, y in places.tolist())
        # As a style: matplotlib's figures in the same page tell every element of it to end lines bluntly.
        drawn = f'fill="none" stroke="{colour}" stroke-width="{2 * radius}" style="stroke-linecap:round"'
        return f'<path data-class="{number}" {drawn} d="{data}"/>'
    outline = _outline(shape, 1.25 * radius)
    data = "".join(f"M{x} {y}{outline}" for x, y in places.tolist())
    return f'<path data-class="{number}" fill="{colour}" d="{data}"/>'


def _outline(shape: tuple[int, int, float], radius: float) -> str:
    """Return a polygon or a star round the current point, as relative steps of a path."""
    corners, turn, inner = shape
    n_points = 2 * corners if inner else corners
    angles = np.deg2rad(turn + 360 / n_points * np.arange(n_points))
    lengths = np.where(np.arange(n_points) % 2, inner, 1.0) if inner else np.ones(n_points)
    corner = np.rint(radius * lengths[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])).astype(int)
    steps = np.diff(corner, axis=0, prepend=[[0, 0]]).tolist()
    return "m{} {}l".format(*steps[0]) + " ".join(f"{x} {y}" for x, y in steps[1:]) + "z"


def _rings(places: NDArray[np.int64], radius: int) -> str:
    half = f"a{radius} {radius} 0 1 0 "
    return "".join(f"M{x - radius} {y}{half}{2 * radius} 0{half}{-2 * radius} 0" for x, y in places.tolist())


def _label_places(
    places: NDArray[np.int64], labels: NDArray[np.integer], class_names: Sequence[str], size: int
) -> list[tuple[tuple[int, int], int]]:
    """Return the median of each class's points with its number, larger classes first, leaving out overlaps."""
    numbers, sizes = np.unique(labels, return_counts=True)
    found: list[tuple[tuple[int, int], int]] = []
    taken: list[tuple[int, int, float]] = []
    for number in numbers[np.argsort(-sizes, kind="stable")].tolist():
        x, y = np.rint(np.median(places[labels == number], axis=0)).astype(int).tolist()
        half = 0.32 * size * len(shortened(class_names[number]))
        x = round(float(np.clip(x, half, max(half, WIDTH - half))))  # a name is never cut by the drawing's edge
        if all(abs(x - x2) > half + half2 or abs(y - y2) > 1.3 * size for x2, y2, half2 in taken):
            taken.append((x, y, half))
            found.append(((x, y), number))
    return found
