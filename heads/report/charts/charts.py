"""The report's figures: arrays → inline SVG that follows the page's theme and is the same on every run."""

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from headstart.heads.report.charts.svg import INK, STYLE, as_svg, panel, shortened

__all__ = ["best_epoch", "confusion_chart", "confusion_counts", "curve_chart"]

# Mid tones that keep 3:1 against a white and against a near-black page, for what cannot follow the theme.
HEAT = "#2f6db5"
TRAIN, VALIDATION = "#868e98", "#3b7dd8"
COUNTED_CLASSES = 20  # more classes than this, and the counts no longer fit into their cells


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


def confusion_chart(
    counts: NDArray[np.int64],
    class_names: Sequence[str],
    links: Mapping[tuple[int, int], str] | None = None,
    *,
    name: str = "confusion",
) -> str:
    """Draw a confusion matrix: counts as numbers, the share of each true class as colour.

    Parameters
    ----------
    counts : (n_classes, n_classes) int
        True class by predicted class, as `confusion_counts` gives it.
    class_names : sequence of str
        Above some forty classes only every second, third, … is written.
    links : mapping of (int, int) to str, optional
        Where the cell of a (true, predicted) pair leads to, as in ``#pair-0-1``.
    name : str
        Prefix of every id in the SVG; unique in the page.

    Returns
    -------
    str
        One `<svg>` element.
    """
    n_classes = len(class_names)
    with mpl.rc_context(STYLE):
        side = float(np.clip(0.46 * n_classes, 2.0, 5.2))
        figure, axes = panel(side, side)
        draw_confusion(axes, counts, class_names, side)
        for true, predicted in sorted(links or {}):
            cell = Rectangle(
                (predicted - 0.5, true - 0.5), 1, 1, facecolor="none", url=f"#{true}-{predicted}", zorder=9
            )
            axes.add_patch(cell)
        right = int(np.trace(counts))
        label = f"Confusion matrix of {n_classes} classes: {right} of {int(counts.sum())} test images are right."
        svg = as_svg(figure, name=name, label=label)
        return _linked(svg, counts, class_names, links, name) if links else svg


def draw_confusion(axes: Axes, counts: NDArray[np.int64], class_names: Sequence[str], side: float) -> None:
    """Draw a confusion matrix on axes that are `side` inches wide."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # Colour as opacity: no image is the page's background, in either theme.
    axes.imshow(_tinted(share), interpolation="none")
    if len(class_names) <= COUNTED_CLASSES:
        _write_counts(axes, counts, share)
    _label_classes(axes, class_names, side)


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
    best = best_epoch(history)
    with mpl.rc_context(STYLE):
        figure, axes = panel(3.0, 1.9)
        draw_curve(axes, history)
        mark = "" if best is None else f"; validation loss is lowest at epoch {best['epoch']}"
        return as_svg(figure, name=name, label=f"Loss of {title} over {len(history)} epochs{mark}.")


def draw_curve(axes: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    """Draw training and validation loss over epochs."""
    epochs = [entry["epoch"] for entry in history]
    best = best_epoch(history)
    axes.plot(epochs, [entry["loss"] for entry in history], color=TRAIN, linewidth=1.6, label="training")
    if best is not None:
        axes.plot(epochs, [_loss(entry) for entry in history], color=VALIDATION, linewidth=1.6, label="validation")
        axes.axvline(best["epoch"], color=INK, linewidth=0.8, linestyle=(0, (3, 3)))
        axes.plot(best["epoch"], best["val_loss"], "o", color=VALIDATION, markersize=5.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_alpha(0.4)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.7)
    axes.tick_params(length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("epoch")


def best_epoch(history: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the entry with the lowest finite validation loss, the first of equals; None where there is none."""
    validated = [entry for entry in history if math.isfinite(_loss(entry))]
    return min(validated, key=_loss, default=None)


def _loss(entry: Mapping[str, Any]) -> float:
    value = entry.get("val_loss")
    return math.nan if value is None else float(value)


def _linked(
    svg: str, counts: NDArray[np.int64], class_names: Sequence[str], links: Mapping[tuple[int, int], str], name: str
) -> str:
    """Give the links of the cells their ends and their names; matplotlib knows addresses alone."""

    def link(match: re.Match[str]) -> str:
        true, predicted = int(match[1]), int(match[2])
        count = counts[true, predicted]
        label = f"{class_names[true]} taken for {class_names[predicted]}: {count} image{'' if count == 1 else 's'}"
        return f'<a href="{links[true, predicted]}" data-pair="{true}-{predicted}" aria-label="{escape(label)}">'

    # What can be reached must not hide in an image, which has no parts for those who cannot see it.
    grouped = svg.replace('role="img"', 'role="group"', 1)
    return re.sub(rf'<a xlink:href="#{name}-(\d+)-(\d+)"[^>]*>', link, grouped)


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
    names = [shortened(class_names[int(tick)]) for tick in ticks]
    if max(map(len, names)) * 0.09 < side / n_classes:
        axes.set_xticks(ticks, names)
    else:  # turned labels hang on their anchor: the reader's font has other widths than the one of the layout
        angle, va = (45, "top") if n_classes <= COUNTED_CLASSES else (90, "center")
        axes.set_xticks(ticks, names, rotation=angle, va=va, ha="right", rotation_mode="anchor")
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
