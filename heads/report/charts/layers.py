"""Figure of a ranking: the score of each layer of each backbone, from the lowest to the last."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from headstart.heads.report.charts.svg import INK, PALETTE, STYLE, as_svg, panel

_MOST_TICKS = 8
Curves = Mapping[str, Sequence[tuple[str, float]]]
"""Tap and score of each layer by backbone, the lowest layer first."""


def layers_chart(curves: Curves, *, classes: bool, name: str = "layers") -> str:
    """Draw a line for each backbone, as one `<svg>`; `classes` tells shares of images from R²."""
    with mpl.rc_context(STYLE):
        figure, axes = panel(5.6, 2.8)
        draw_layers(axes, curves, classes=classes)
        best = max(((score, backbone, tap) for backbone, some in curves.items() for tap, score in some))
        return as_svg(figure, name=name, label=f"Score by layer of {len(curves)} backbones; best {best[1]} {best[2]}.")


def draw_layers(axes: Axes, curves: Curves, *, classes: bool) -> None:
    """Draw what `layers_chart` draws: layers evenly from left to right, named where there is one backbone."""
    factor = 100 if classes else 1
    for (backbone, some), colour in zip(curves.items(), cycle(PALETTE)):
        places = [1 - at / max(1, len(some) - 1) for at in reversed(range(len(some)))]
        axes.plot(places, [factor * score for _, score in some], "o-", color=colour, linewidth=1.6, markersize=5,
                  label=backbone)  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_alpha(0.4)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.7)
    axes.tick_params(length=0)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel("score, %" if classes else "score (R²)")
    taps = [tap for tap, _ in next(iter(curves.values()))]
    if len(curves) == 1 and 1 < len(taps) <= _MOST_TICKS:
        axes.set_xticks([at / (len(taps) - 1) for at in range(len(taps))], taps, rotation=30, ha="right")
    else:
        axes.set_xticks([0, 1], ["lowest layer", "last"])
        axes.legend(frameon=False, loc="lower right")
