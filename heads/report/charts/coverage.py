"""Figures of what a model does not know: wrong answers against answers given, and how large its sets are."""

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter, MaxNLocator

from headstart.heads.report.charts.charts import HEAT, TRAIN
from headstart.heads.report.charts.svg import INK, STYLE, as_svg, panel

if TYPE_CHECKING:
    from headstart.heads.coverage import MeasuredDoubt

_MOST_SIZES = 12  # bars; the last counts all larger sets


def risk_chart(found: "MeasuredDoubt", *, name: str = "risk") -> str:
    """Draw the share of wrong answers, the surest given first, and the model that abstains, as one `<svg>`."""
    curve, answered, right = found.curve, found.answered.value, found.right.value
    with mpl.rc_context(STYLE):
        figure, axes = panel(4.2, 2.6)
        axes.plot(curve.answered, curve.risk, color=HEAT, linewidth=1.8)
        label = f"Wrong answers against answers given: {100 * curve.risk[-1]:.1f} % where all images are answered"
        if answered is not None and right is not None:
            axes.plot([answered], [1 - right], "o", color=INK, markersize=6, zorder=3)
            label += f", {100 * (1 - right):.1f} % where the model abstains"
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, max(0.01, *(1.15 * risk for risk in curve.risk[len(curve.risk) // 20 :])))
        axes.set_xlabel("images that are answered, the surest first")
        axes.set_ylabel("wrong among these")
        for axis, n_ticks in ((axes.xaxis, 5), (axes.yaxis, 4)):
            axis.set_major_locator(MaxNLocator(n_ticks))
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.7)
        axes.tick_params(length=0)
        return as_svg(figure, name=name, label=f"{label}.")


def sizes_chart(found: "MeasuredDoubt", *, name: str = "sizes") -> str:
    """Draw how many images have a set of 0, 1, 2, … classes, as one `<svg>`."""
    counts = [*found.sizes[:_MOST_SIZES]]
    names = [str(size) for size in range(len(counts))]
    if len(found.sizes) > _MOST_SIZES:
        counts, names = [*counts, sum(found.sizes[_MOST_SIZES:])], [*names, f"≥ {_MOST_SIZES}"]
    with mpl.rc_context(STYLE):
        figure, axes = panel(min(4.2, 0.6 * len(counts) + 0.8), 2.6)
        bars = axes.bar(range(len(counts)), counts, width=0.62, color=[HEAT if one == "1" else TRAIN for one in names])
        axes.bar_label(bars, labels=[str(count) if count else "" for count in counts], padding=2)
        axes.set_xticks(range(len(counts)), names)
        axes.set_yticks([])
        axes.set_xlabel("classes in the set")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(length=0)
        sizes = ", ".join(f"{count} of {size}" for size, count in zip(names, counts, strict=True) if count)
        return as_svg(figure, name=name, label=f"Images by the number of classes in their set: {sizes}.")
