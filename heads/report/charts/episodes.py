"""Figure of few-shot episodes: the accuracy of each method with its interval, for each number of shots."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import MaxNLocator

from headstart.heads.report.charts.svg import INK, PALETTE, STYLE, as_svg, panel


def episodes_chart(
    points: Mapping[str, Sequence[tuple[str, float, float]]], chance: float, *, name: str = "episodes"
) -> str:
    """Draw name, accuracy and half width of methods, the first one on top and chance as a line, as one `<svg>`.

    Parameters
    ----------
    points : mapping of str to sequence of (str, float, float)
        By what is told apart by colour.
    chance : float
    name : str
        Prefix of every id in the SVG; unique in the page.
    """
    methods = list(dict.fromkeys(method for some in points.values() for method, _, _ in some))
    with mpl.rc_context(STYLE):
        figure, axes = panel(4.6, 0.4 * len(methods) + 0.7)
        for (title, some), colour in zip(points.items(), cycle(PALETTE)):
            places = [methods.index(method) for method, _, _ in some]
            value, half = 100 * np.array([one[1:] for one in some]).T
            axes.hlines(places, value - half, value + half, colors=colour, linewidth=1.6)
            axes.scatter(value, places, s=30, color=colour, linewidths=0, zorder=3, label=title)
        axes.axvline(100 * chance, color=INK, alpha=0.5, linewidth=0.9, linestyle=":", label="chance")
        axes.set_yticks(range(len(methods)), methods)
        axes.set_ylim(len(methods) - 0.5, -0.5)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", color=INK, alpha=0.12, linewidth=0.7)
        axes.tick_params(length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("accuracy, %")
        axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.45, 1.0 + 0.35 / len(methods) + 0.08), ncols=3)
        return as_svg(figure, name=name, label=f"Accuracy of {', '.join(methods)} with intervals over episodes.")
