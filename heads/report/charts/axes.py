"""Figures of a result on matplotlib's axes, for notebooks: of a new figure, or of the caller's own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from headstart.heads.report import CandidateRow, candidate_text, is_number, score_text
from headstart.heads.report.charts.charts import HEAT, TRAIN, confusion_counts, draw_confusion, draw_curve
from headstart.heads.report.charts.layers import Curves, draw_layers
from headstart.heads.report.charts.plots import draw_few_shot
from headstart.heads.report.charts.svg import PALETTE
from headstart.heads.scoring import metric_name

_MOST_ROWS, _MOST_CLASSES = 15, 20


def plot_candidates(leaderboard: Sequence[CandidateRow], *, ax: Axes | None = None) -> Axes:
    """Draw the scores of the best candidates with their intervals, the first of the leaderboard on top."""
    rows = [row for row in leaderboard if is_number(row.score)][:_MOST_ROWS]
    alike = f"{leaderboard[0].label} · {leaderboard[0].tap} · "  # said of every candidate, it tells none apart
    cut = len(alike) if all(candidate_text(row).startswith(alike) for row in rows) else 0
    named = [(candidate_text(row)[cut:], row.score, row.low, row.high) for row in rows]
    return plot_scores(named, leaderboard[0].metric, ax=ax)


def plot_scores(
    rows: Sequence[tuple[str, float | None, float | None, float | None]], metric: str, *, ax: Axes | None = None
) -> Axes:
    """Draw scores with their intervals below each other.

    Parameters
    ----------
    rows : sequence of (str, float or None, float or None, float or None)
        Names, scores, and the ends of their intervals.
    metric : str
    ax : Axes, optional
        Where to draw; by default a figure of its own.
    """
    with _drawing(ax, (6.4, 0.9 + 0.3 * len(rows))) as axes:
        for place, (_, score, low, high) in enumerate(rows):
            colour = HEAT if place == 0 else TRAIN
            if low is not None and high is not None:
                axes.plot([low, high], [place, place], color=colour, linewidth=1.6)
            if score is not None:
                axes.plot([score], [place], "o", color=colour, markersize=6)
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: score_text(metric, value)))
        axes.set_xlabel(metric_name(metric))
        _quiet(axes)
    return axes


def plot_confusion(
    true: Sequence[str], predicted: Sequence[str], class_names: Sequence[str], *, ax: Axes | None = None
) -> Axes:
    """Draw the confusion matrix of some images, each with the name of its class and of that for which it was taken."""
    number = {name: place for place, name in enumerate(class_names)}
    rows, columns = (np.array([number[name] for name in names], dtype=np.int64) for names in (true, predicted))
    side = float(np.clip(0.46 * len(class_names), 2.4, 5.2))
    with _drawing(ax, (side, side)) as axes:
        draw_confusion(axes, confusion_counts(rows, columns, len(class_names)), class_names, side)
    return axes


def plot_numbers(true: NDArray[np.floating], predicted: NDArray[np.floating], *, ax: Axes | None = None) -> Axes:
    """Draw predicted against true numbers, with the line where they are equal."""
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    with _drawing(ax, (4.2, 3.6)) as axes:
        axes.plot(ends, ends, color=TRAIN, linewidth=1, linestyle="--")
        axes.scatter(true, predicted, s=14, color=HEAT, alpha=0.6, linewidths=0)
        axes.set(xlabel="true", ylabel="predicted")
        _quiet(axes)
    return axes


def plot_few_shot(rows: Sequence[Mapping[str, Any]], winner: str, n_classes: int, *, ax: Axes | None = None) -> Axes:
    """Draw accuracy against images per class; `rows` have a head and what a `FewShotPoint` has, NaN for all images."""
    by_head: dict[str, list[Any]] = {}
    for row in rows:
        size = row["images_per_class"]
        point = SimpleNamespace(**{**row, "images_per_class": None if np.isnan(size) else int(size)})
        by_head.setdefault(row["head"], []).append(point)
    others = {head: points for head, points in by_head.items() if head != winner}
    with _drawing(ax, (5.2, 3.4)) as axes:
        draw_few_shot(axes, by_head[winner], n_classes, winner=winner, others=others)
    return axes


def plot_curve(history: Sequence[Mapping[str, Any]], *, ax: Axes | None = None) -> Axes:
    """Draw the losses of a training over its epochs."""
    with _drawing(ax, (4.4, 2.8)) as axes:
        draw_curve(axes, history)
        axes.set_ylabel("loss")
        axes.legend(frameon=False)
    return axes


def plot_layers(curves: Curves, *, classes: bool, ax: Axes | None = None) -> Axes:
    """Draw the score of each backbone's layers; `classes` tells shares of images from R²."""
    with _drawing(ax, (6.4, 3.6)) as axes:
        draw_layers(axes, curves, classes=classes)
    return axes


def plot_map(points: NDArray[np.floating], names: NDArray[Any], by: str, *, ax: Axes | None = None) -> Axes:
    """Draw points (n_images, 2) in a colour for each of their names (n_images,), which are values of `by`."""
    known = sorted(set(names.tolist()), key=lambda name: (str(type(name)), name))
    with _drawing(ax, (5.6, 4.4)) as axes:
        for number, name in enumerate(known):
            label = f"{by} {name}" if number < _MOST_CLASSES else None
            colour = PALETTE[number % len(PALETTE)]
            x, y = points[names == name].T
            axes.scatter(x, y, s=16, color=colour, alpha=0.8, linewidths=0, label=label)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_alpha(0.3)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return axes


@contextmanager
def _drawing(ax: Axes | None, size: tuple[float, float]) -> Iterator[Axes]:
    """Yield the axes given, or those of a new figure that a notebook shows, with names taken as they are."""
    with mpl.rc_context({"text.parse_math": False}):  # a class may be called "$1"
        if ax is None:
            from matplotlib import pyplot as plt  # noqa: PLC0415 - chooses a window, which a report does without

            ax = plt.subplots(figsize=size, layout="constrained")[1]
        yield ax


def _quiet(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_alpha(0.4)
    axes.grid(axis="x", alpha=0.25, linewidth=0.7)
    axes.set_axisbelow(True)
