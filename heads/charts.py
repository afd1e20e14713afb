"""The report's figures: arrays → inline SVG that follows the page's theme and is the same on every run."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from heads.svg import INK, STYLE, as_svg, panel

# Ten colours that stay apart for colour-blind readers: M. A. Petroff, "Accessible Color Sequences for Data
# Visualization" (2021), arXiv:2107.02270.
PALETTE = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "*")  # with ten colours: a hundred classes

# Mid tones that keep 3:1 against a white and against a near-black page, for what cannot follow the theme.
HEAT = "#2f6db5"
TRAIN, VALIDATION = "#868e98", "#3b7dd8"
COUNTED_CLASSES = 20  # more classes than this, and the counts no longer fit into their cells
LABEL_LENGTH = 18


def confusion_counts(y_test: NDArray[np.integer], predicted: NDArray[np.integer], n_classes: int) -> NDArray[np.int64]:
    """Count test images by true class (rows) and predicted class (columns).

    Parameters
    ----------
    y_test, predicted : (n_images,) int
        Class numbers below `n_classes`.
    n_classes : int
        Also counts classes that do not occur.

    Returns
    -------
    (n_classes, n_classes) int64
    """
    pairs = np.asarray(y_test, dtype=np.int64) * n_classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(pairs, minlength=n_classes * n_classes).reshape(n_classes, n_classes)


def confusion_chart(counts: NDArray[np.int64], class_names: Sequence[str], *, name: str = "confusion") -> str:
    """Draw a confusion matrix: counts as numbers, the share of each true class as colour.

    Parameters
    ----------
    counts : (n_classes, n_classes) int
        True class by predicted class, as `confusion_counts` gives it.
    class_names : sequence of str
        Above some forty classes only every second, third, … is written.
    name : str
        Prefix of every id in the SVG; unique in the page.

    Returns
    -------
    str
        One `<svg>` element.
    """
    n_classes = len(class_names)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    with mpl.rc_context(STYLE):
        side = float(np.clip(0.46 * n_classes, 2.0, 5.2))
        figure, axes = panel(side, side)
        # Colour as opacity: no image is the page's background, in either theme.
        axes.imshow(_tinted(share), interpolation="none")
        if n_classes <= COUNTED_CLASSES:
            _write_counts(axes, counts, share)
        _label_classes(axes, class_names, side)
        right = int(np.trace(counts))
        label = f"Confusion matrix of {n_classes} classes: {right} of {int(counts.sum())} test images are right."
        return as_svg(figure, name=name, label=label)


def map_chart(
    points: NDArray[np.floating],
    labels: NDArray[np.integer],
    is_test: NDArray[np.bool_],
    class_names: Sequence[str],
    *,
    name: str = "map",
) -> str:
    """Draw images as points on a plane, coloured by class, with a ring round each test image.

    Parameters
    ----------
    points : (n_images, 2) float
        In any unit; both axes get the same scale.
    labels : (n_images,) int
        Class numbers.
    is_test : (n_images,) bool
        Which images get a ring.
    class_names : sequence of str
        Written at the median of the class's points where there is room, larger classes first.
    name : str
        Prefix of every id in the SVG; unique in the page.

    Returns
    -------
    str
        One `<svg>` element.
    """
    with mpl.rc_context(STYLE):
        figure, axes = panel(6.2, 4.8)
        axes.set_axis_off()
        size = float(np.clip(14_000 / len(points), 16, 40))  # pt², so that the points cover about as much of the plane
        for number in np.unique(labels):
            chosen = points[labels == number]
            axes.scatter(
                chosen[:, 0],
                chosen[:, 1],
                s=size,
                color=PALETTE[number % len(PALETTE)],
                marker=MARKERS[number // len(PALETTE) % len(MARKERS)],
                alpha=0.85,
                linewidths=0,
            )
        ringed = points[is_test]
        axes.scatter(
            ringed[:, 0], ringed[:, 1], s=2 * size, facecolors="none", edgecolors=INK, linewidths=0.5, alpha=0.7
        )
        _frame(axes, points)
        inches = axes.transData + figure.dpi_scale_trans.inverted()
        for place, number in _label_places(inches.transform, points, labels, class_names):
            text = _shortened(class_names[number])
            if len(class_names) <= len(PALETTE):
                axes.text(*place, text, ha="center", va="center", weight="bold", fontsize=9)
            else:  # small clusters: beside them rather than on top
                axes.annotate(text, place, (0, -4), textcoords="offset points", ha="center", va="top", fontsize=6.5)
        shown = len(np.unique(labels))
        label = f"Map of {len(points)} images of {shown} classes; {int(np.sum(is_test))} test images have a ring."
        return as_svg(figure, name=name, label=label)


def curve_chart(history: Sequence[Mapping[str, Any]], *, title: str, name: str = "curve") -> str:
    """Draw training and validation loss over epochs, with the best epoch marked.

    Parameters
    ----------
    history : sequence of mappings
        One an epoch with `epoch`, `loss` and, where there was a validation part, `val_loss`.
    title : str
        What was trained, for readers who cannot see the figure.
    name : str
        Prefix of every id in the SVG; unique in the page.

    Returns
    -------
    str
        One `<svg>` element.
    """
    epochs = [entry["epoch"] for entry in history]
    best = best_epoch(history)
    with mpl.rc_context(STYLE):
        figure, axes = panel(3.0, 1.9)
        axes.plot(epochs, [entry["loss"] for entry in history], color=TRAIN, linewidth=1.6)
        if best is not None:
            axes.plot(epochs, [_loss(entry) for entry in history], color=VALIDATION, linewidth=1.6)
            axes.axvline(best["epoch"], color=INK, linewidth=0.8, linestyle=(0, (3, 3)))
            axes.plot(best["epoch"], best["val_loss"], "o", color=VALIDATION, markersize=5.5)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_alpha(0.4)
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.7)
        axes.tick_params(length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.set_xlabel("epoch")
        mark = "" if best is None else f"; validation loss is lowest at epoch {best['epoch']}"
        return as_svg(figure, name=name, label=f"Loss of {title} over {len(epochs)} epochs{mark}.")


def best_epoch(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the entry with the lowest finite validation loss, the first of equals; None where there is none."""
    validated = [entry for entry in history if math.isfinite(_loss(entry))]
    return min(validated, key=_loss, default=None)


def _loss(entry: Mapping[str, Any]) -> float:
    value = entry.get("val_loss")
    return math.nan if value is None else float(value)


def _tinted(share: NDArray[np.floating]) -> NDArray[np.float64]:
    tint = np.empty((*share.shape, 4))
    tint[..., :3] = mpl.colors.to_rgb(HEAT)
    tint[..., 3] = share
    return tint


def _write_counts(axes: Axes, counts: NDArray[np.int64], share: NDArray[np.floating]) -> None:
    size = 13 if len(counts) <= 4 else 9.5 if len(counts) <= 12 else 7
    for row, column in np.argwhere(counts):
        colour = "white" if share[row, column] > 0.7 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=size)


def _label_classes(axes: Axes, class_names: Sequence[str], side: float) -> None:
    n_classes = len(class_names)
    ticks = np.arange(0, n_classes, math.ceil(n_classes * 0.15 / side))
    names = [_shortened(class_names[int(tick)]) for tick in ticks]
    # Turned labels hang on their anchor: the reader's font has other widths than the one of the layout.
    turned: dict[str, Any] = {"rotation": 90, "va": "center", "ha": "right", "rotation_mode": "anchor"}
    if n_classes <= COUNTED_CLASSES:
        turned |= {"rotation": 45, "va": "top"}
    fits = max(map(len, names)) * 0.09 < side / n_classes
    axes.set_xticks(ticks, names, **({} if fits else turned))
    axes.set_yticks(ticks, names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.set_xticks(np.arange(n_classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n_classes + 1) - 0.5, minor=True)
    axes.tick_params(which="minor", length=0)
    if n_classes <= COUNTED_CLASSES:
        axes.grid(which="minor", color=INK, alpha=0.12, linewidth=0.7)
    axes.spines[:].set_alpha(0.3)


def _frame(axes: Axes, points: NDArray[np.floating]) -> None:
    """Give both axes one scale and a frame that is nowhere very flat, also round points on a line or a single point."""
    centre = (points.max(axis=0) + points.min(axis=0)) / 2
    half = np.ptp(points, axis=0) / 2
    half = 1.05 * np.maximum(half, 0.3 * half.max() or 1.0)
    axes.set_xlim(centre[0] - half[0], centre[0] + half[0])
    axes.set_ylim(centre[1] - half[1], centre[1] + half[1])
    axes.set_aspect("equal", adjustable="box")
    axes.apply_aspect()


def _label_places(
    to_inches: Callable[[NDArray[np.floating]], NDArray[np.float64]],
    points: NDArray[np.floating],
    labels: NDArray[np.integer],
    class_names: Sequence[str],
) -> list[tuple[tuple[float, float], int]]:
    """Return the median of each class's points with its number, larger classes first, leaving out overlaps."""
    numbers, sizes = np.unique(labels, return_counts=True)
    places: list[tuple[tuple[float, float], int]] = []
    taken: list[tuple[float, float, float]] = []
    for number in numbers[np.argsort(-sizes, kind="stable")]:
        median = np.median(points[labels == number], axis=0)
        x, y = to_inches(median)
        half = 0.05 * len(_shortened(class_names[number]))
        if all(abs(x - x2) > half + half2 or abs(y - y2) > 0.18 for x2, y2, half2 in taken):
            taken.append((x, y, half))
            places.append(((float(median[0]), float(median[1])), int(number)))
    return places


def _shortened(name: str) -> str:
    return name if len(name) <= LABEL_LENGTH else name[: LABEL_LENGTH - 1] + "…"
