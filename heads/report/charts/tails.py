"""Figures of a fine-tuned tail: its score beside the linear heads', and its training epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from headstart.heads.report import CandidateRow
from headstart.heads.report.charts.charts import HEAT, TRAIN, VALIDATION
from headstart.heads.report.charts.svg import INK, STYLE, as_svg, panel
from headstart.heads.scoring import find_metric, metric_name

_WORDS = {"loss": "Loss", "accuracy": "Accuracy"}


def intervals_chart(rows: Sequence[CandidateRow], metric: str, *, name: str = "intervals") -> str:
    """Draw the scores of rows on the test images with their 95 % intervals, the first row on top, as one `<svg>`."""
    factor = 100 if find_metric(metric).unit == "share" else 1
    ends = [
        [np.nan if end is None else factor * end for end in (score.low, score.value, score.high)]
        if (score := row.scores.get(metric))
        else [np.nan] * 3
        for row in rows
    ]
    low, value, high = np.array(ends, dtype=np.float64).T
    places = np.arange(len(rows))
    with mpl.rc_context(STYLE):
        figure, axes = panel(3.6, 0.38 * len(rows) + 0.25)
        axes.hlines(places, low, high, colors=HEAT, linewidth=1.4)
        axes.scatter(value, places, s=[52, *[28] * (len(rows) - 1)], color=HEAT, linewidths=0, zorder=3)
        axes.set_yticks(places, [row.head for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", color=INK, alpha=0.12, linewidth=0.7)
        axes.tick_params(length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel(f"{metric_name(metric)}, %" if factor == 100 else metric_name(metric))
        label = (
            f"{metric_name(metric)} of {len(rows)} heads with 95 % intervals: {', '.join(row.head for row in rows)}."
        )
        return as_svg(figure, name=name, label=label)


def epochs_chart(
    history: Sequence[Mapping[str, Any]], quantity: str, kept: int, *, name: str, level: float | None = None
) -> str:
    """Draw a quantity on the images that are trained on, and on those that choose the epoch, over all phases.

    Parameters
    ----------
    history : sequence of mappings
        One an epoch with `epoch`, `phase`, and the quantity by its name, and with ``val_`` before it; None where it was
        not measured.
    quantity : {"loss", "accuracy"}
    kept : int
        The epoch whose weights were kept.
    name : str
        Prefix of every id in the SVG; unique in the page.
    level : float, optional
        Value that the quantity has without learning, as a dotted line.

    Returns
    -------
    str
        One `<svg>` element.
    """
    epochs, phases = _values(history, "epoch"), _values(history, "phase")
    factor = 100 if quantity == "accuracy" else 1
    curves = {TRAIN: factor * _values(history, quantity), VALIDATION: factor * _values(history, f"val_{quantity}")}
    begins = epochs[1:][np.diff(phases) > 0] - 0.5
    with mpl.rc_context(STYLE):
        figure, axes = panel(4.2, 2.3)
        for colour, values in curves.items():
            if np.isfinite(values).any():
                axes.plot(epochs, values, color=colour, linewidth=1.6, marker="o" if len(epochs) == 1 else None)
        if level is not None:
            axes.axhline(factor * level, color=INK, linewidth=0.8, linestyle=(0, (1, 2)))
        for place in begins:
            axes.axvline(place, color=INK, alpha=0.35, linewidth=0.8)
        axes.axvline(kept, color=INK, linewidth=0.8, linestyle=(0, (3, 3)))
        if len(begins):
            for number, first in enumerate([0.5, *begins], start=1):
                axes.annotate(str(number), (first, 1), xycoords=("data", "axes fraction"), xytext=(3, 2),
                              textcoords="offset points")  # fmt: skip
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_alpha(0.4)
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.7)
        axes.tick_params(length=0)
        axes.set_xlim(0.5, epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if factor == 100:
            low, high = axes.get_ylim()
            axes.set_ylim(low, min(high, 100 + 0.02 * (100 - low)))  # room for a line at 100 %, and no tick above
            axes.yaxis.set_major_formatter("{x:g} %")
        axes.set_xlabel("epoch")
        n_phases = len(begins) + 1
        in_phases = f" in {n_phases} phases" if n_phases > 1 else ""
        label = f"{_WORDS[quantity]} over {len(epochs)} epochs{in_phases}; epoch {kept} was kept."
        return as_svg(figure, name=name, label=label)


def _values(history: Sequence[Mapping[str, Any]], key: str) -> NDArray[np.float64]:
    found = [entry.get(key) for entry in history]
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)
