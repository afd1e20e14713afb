"""Figure of label columns over a shared trunk: the loss of each, shared and by itself, epoch by epoch."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import matplotlib as mpl
from matplotlib.ticker import MaxNLocator

from headstart.heads.report.charts.svg import INK, PALETTE, STYLE, as_svg, panel

Pair = tuple[Sequence[float], Sequence[float]]


def columns_chart(curves: Mapping[str, Pair], *, name: str = "columns") -> str:
    """Draw losses on the images that choose the epoch, as one `<svg>`.

    Parameters
    ----------
    curves : mapping of str to (sequence of float, sequence of float)
        By column the loss of each epoch as a share of what the prior's guess costs: on the shared trunk, a full line,
        and of the separate head, a dashed one.
    name : str
        Prefix of every id in the SVG; unique in the page.
    """
    with mpl.rc_context(STYLE):
        figure, axes = panel(5.6, 2.8)
        for (column, pair), colour in zip(curves.items(), cycle(PALETTE)):
            for values, style, label in zip(pair, ("-", (0, (4, 2))), (column, None), strict=True):
                axes.plot(range(1, len(values) + 1), values, color=colour, linewidth=1.5, linestyle=style, label=label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_alpha(0.4)
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.7)
        axes.tick_params(length=0)
        axes.set_ylim(0, max(1.0, min(1.6, max(max(one) for pair in curves.values() for one in pair))))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss, share of the prior's")
        axes.legend(frameon=False, loc="upper right")
        ends = ", ".join(f"{column} {pair[0][-1]:.2f} and {pair[1][-1]:.2f}" for column, pair in curves.items())
        return as_svg(figure, name=name, label=f"Loss epoch by epoch; at the end, shared and separate: {ends}.")
