"""Figures of scores: against the cost of the fit, the number of labels, and what a head says of itself."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from types import MappingProxyType
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from headstart.heads.report import CandidateRow, Reliability, is_number, score_text
from headstart.heads.report.charts.charts import HEAT, TRAIN
from headstart.heads.report.charts.svg import INK, STYLE, as_svg, panel, shortened
from headstart.heads.scoring import find_metric, metric_name

if TYPE_CHECKING:  # loads scikit-learn
    from headstart.heads.analysis import FewShotPoint

BRIEFEST = 1e-4  # seconds: what the clock of a fit resolves, and a place on the logarithmic axis for 0
_DASHES = ((5, 2), (1.5, 1.5), (6, 2, 1.5, 2))
# Where a label may stand beside its point: offset in points of 1/72 inch, and how the text is aligned to it.
PLACES = [
    (7, 0, "left", "center"), (-7, 0, "right", "center"), (0, 8, "center", "bottom"), (0, -8, "center", "top"),
    *((sign * 6, step * 12, "left" if sign > 0 else "right", "center")
      for step in (1, -1, 2, -2, 3, -3, 4, -4) for sign in (1, -1)),
]  # fmt: skip


def cost_chart(leaderboard: Sequence[CandidateRow], metric: str, *, name: str = "cost") -> tuple[str, int] | None:
    """Draw candidates' scores against the seconds of their fits, naming the best of each head.

    The axis holds the best of each head that looks at the features. Those far worse than these, as the dummy is, would
    press all others together, and are left out.

    Parameters
    ----------
    leaderboard : sequence of CandidateRow
        Best first.
    metric : str
    name : str
        Prefix of every id in the SVG; unique in the page.

    Returns
    -------
    (str, int) or None
        One `<svg>` element, and how many candidates were left out; None where fewer than two can be drawn.
    """
    timed = [row for row in leaderboard if is_number(row.score) and is_number(row.fit_seconds)]
    rows = within_reach(timed)
    if len(rows) < 2:
        return None
    best = _best_of_heads(rows)
    seconds = np.maximum(np.array([row.fit_seconds for row in rows], dtype=float), BRIEFEST)
    scores = np.array([row.score for row in rows], dtype=float)
    first = np.array(sorted(best.values()))
    rest = np.setdiff1d(np.arange(len(rows)), first)
    with mpl.rc_context(STYLE):
        figure, axes = panel(6.6, 3.6)
        axes.set_xscale("log")
        # Before anything is drawn: matplotlib makes no axis of its own out of equal times.
        low, high = float(seconds.min()), float(seconds.max())
        axes.set_xlim(low / 1.8, high * 1.8 if high > 30 * low else high * 6)
        whiskers = [_reach(rows[index]) for index in first]
        axes.errorbar(seconds[first], scores[first], np.transpose(whiskers), fmt="none", ecolor=HEAT, alpha=0.6, lw=1.2)
        axes.scatter(seconds[rest], scores[rest], s=14, color=TRAIN, alpha=0.55, linewidths=0)
        axes.scatter(seconds[first], scores[first], s=38, color=HEAT, linewidths=0, zorder=3)
        _quiet(axes)
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        _score_axis(axes, metric)
        axes.set_xlabel("seconds to fit (each step is ten times as long)")
        _name_points(axes, seconds, scores, best)
        label = f"Scores of {len(rows)} candidates, in {metric_name(metric)}, against the seconds of their fits."
        return as_svg(figure, name=name, label=label), len(timed) - len(rows)


def few_shot_chart(
    curve: "Sequence[FewShotPoint]",
    n_classes: int,
    *,
    winner: str = "the winner",
    others: "Mapping[str, Sequence[FewShotPoint]]" = MappingProxyType({}),
    name: str = "fewshot",
) -> str:
    """Draw accuracy against images per class, with 95 % intervals; lines of other heads without.

    Parameters
    ----------
    curve : sequence of FewShotPoint
        Fewest first.
    n_classes : int
        Places the last point, all images, at their mean number per class.
    winner : str
        Name of the head whose curve it is.
    others : mapping of str to sequence of FewShotPoint
        Curves of other heads, by name.
    name : str
        Prefix of every id in the SVG; unique in the page.

    Returns
    -------
    str
        One `<svg>` element.
    """
    with mpl.rc_context(STYLE):
        figure, axes = panel(4.6, 2.8)
        draw_few_shot(axes, curve, n_classes, winner=winner, others=others)
        first, last = (
            f"{score_text('accuracy', point.accuracy)} with {_size(point)}" for point in (curve[0], curve[-1])
        )
        return as_svg(figure, name=name, label=f"Accuracy against images per class: {first}, {last}.")


def draw_few_shot(
    axes: Axes,
    curve: "Sequence[FewShotPoint]",
    n_classes: int,
    *,
    winner: str,
    others: "Mapping[str, Sequence[FewShotPoint]]" = MappingProxyType({}),
) -> None:
    """Draw what `few_shot_chart` draws."""
    per_class = [point.images_per_class or point.n_train / n_classes for point in curve]
    values, low, high = np.array([(point.accuracy, point.low, point.high) for point in curve]).T
    axes.set_xscale("log")
    axes.fill_between(per_class, low, high, color=HEAT, alpha=0.18, linewidth=0)
    axes.plot(per_class, values, "o-", color=HEAT, linewidth=1.8, markersize=5, label=winner, zorder=3)
    for (head, other), dashes in zip(others.items(), cycle(_DASHES)):
        own = [point.accuracy for point in other]
        axes.plot(per_class, own, color=INK, alpha=0.75, linewidth=1.3, linestyle=(0, dashes), label=head)
    if others:
        axes.legend(frameon=False, loc="lower right", handlelength=2.4)
    _quiet(axes)
    ticks = [at for at, size in enumerate(per_class) if size * 1.25 < per_class[-1]]  # room for the last one
    ticks.append(len(curve) - 1)
    axes.set_xticks([per_class[at] for at in ticks], [_size(curve[at]) for at in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(min(per_class) / 1.2, max(per_class) * 1.2)
    _score_axis(axes, "accuracy")
    axes.set_xlabel("training images of each class")


def _size(point: "FewShotPoint") -> str:
    return "all" if point.images_per_class is None else str(point.images_per_class)


def reliability_chart(reliability: Reliability, *, name: str = "reliability") -> str:
    """Draw how often answers are right against how sure the head was of them, and how many there are of each kind.

    Parameters
    ----------
    reliability : Reliability
    name : str
        Prefix of every id in the SVG; unique in the page.

    Returns
    -------
    str
        One `<svg>` element: the shares, and below them the counts.
    """
    bins = [each for each in reliability.bins if each.count]
    columns = [(each.confidence, each.accuracy, each.low, each.high, each.count) for each in bins]
    sure, right, low, high, counts = np.array(columns, dtype=float).T
    with mpl.rc_context(STYLE):
        figure, axes = panel(3.4, 3.4)
        start = 0.05 * np.floor(20 * min(sure.min(initial=0.95), low.min(initial=0.95)))
        limits = (float(start), 1.02)
        axes.plot([start, 1], [start, 1], color=INK, alpha=0.5, linewidth=1, linestyle=(0, (4, 4)))
        ends = np.maximum(0, [right - low, high - right])
        axes.errorbar(sure, right, ends, fmt="o", color=HEAT, ecolor=HEAT, markersize=5.5, elinewidth=1.3)
        axes.set(xlim=limits, ylim=limits)
        axes.set_ylabel("share that is right")
        below = figure.add_axes((0, -0.28, 1, 0.2), sharex=axes)
        below.bar(sure, counts, width=0.025 * (1 - start), color=TRAIN, linewidth=0)
        below.set_xlabel("probability of the answer")
        below.set_ylabel("images")
        below.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        for each in (axes, below):
            _quiet(each)
        axes.tick_params(labelbottom=False)
        per_cent = FuncFormatter(lambda value, _: f"{100 * value:.0f} %")
        axes.yaxis.set_major_formatter(per_cent)
        below.xaxis.set_major_formatter(per_cent)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        label = (
            f"How often answers are right against how sure the head is, in {len(bins)} groups of "
            f"{int(counts.sum())} images; the expected calibration error is {100 * reliability.error.value:.1f} %."
        )
        return as_svg(figure, name=name, label=label)


def _best_of_heads(rows: Sequence[CandidateRow]) -> dict[str, int]:
    """Return the index of the best row of each head."""
    best: dict[str, int] = {}
    for index, row in enumerate(rows):
        best.setdefault(row.head, index)
    return best


def within_reach(rows: Sequence[CandidateRow]) -> list[CandidateRow]:
    """Leave out the dummy, candidates without a score, and scores far outside the range of the heads' best ones.

    Far is more than the width of that range, or than 2 % of the highest of these where that is more.
    """
    real = [(row, row.score) for row in rows if row.head != "dummy" and row.score is not None]
    best = [real[index][1] for index in _best_of_heads([row for row, _ in real]).values()]
    if not best:
        return []
    reach = max(max(best) - min(best), 0.02 * abs(max(best)))
    return [row for row, score in real if min(best) - reach <= score <= max(best) + reach]


def _reach(row: CandidateRow) -> tuple[float, float]:
    """Return how far the interval reaches below and above the score; nowhere where there is none."""
    score, low, high = row.score, row.low, row.high
    if score is None or low is None or high is None:
        return 0.0, 0.0
    return max(0.0, score - low), max(0.0, high - score)


def _quiet(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_alpha(0.4)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, which="both")


def _score_axis(axes: Axes, metric: str) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: score_text(metric, value).replace(".0 %", " %")))
    axes.set_ylabel(f"{metric_name(metric)}{'' if find_metric(metric).higher_is_better else ', lower is better'}")


def _name_points(
    axes: Axes, seconds: NDArray[np.float64], scores: NDArray[np.float64], named: Mapping[str, int]
) -> None:
    """Write names beside their points, each at the first place where it covers no point and no other name."""
    axes.apply_aspect()
    points = 72 / axes.figure.dpi * axes.transData.transform(np.column_stack([seconds, scores]))
    marked = points[list(named.values())]
    taken: list[tuple[float, float, float, float]] = [(x - 4, y - 4, x + 4, y + 4) for x, y in marked.tolist()]
    for text, index in named.items():
        boxes = [_box(points[index], shortened(text), place) for place in PLACES]
        free = [at for at, box in enumerate(boxes) if not any(_overlap(box, other) for other in taken)]
        at = free[0] if free else 0
        taken.append(boxes[at])
        x, y, align, valign = PLACES[at]
        axes.annotate(
            shortened(text),
            (seconds[index], scores[index]),
            (x, y),
            textcoords="offset points",
            ha=align,
            va=valign,
            fontsize=9,
        )


def _box(point: NDArray[np.float64], text: str, place: tuple[int, int, str, str]) -> tuple[float, float, float, float]:
    width, height = 5.6 * len(text), 11.0
    x, y = point[0] + place[0], point[1] + place[1]
    left = {"left": x, "right": x - width, "center": x - width / 2}[place[2]]
    bottom = {"bottom": y, "top": y - height, "center": y - height / 2}[place[3]]
    return left, bottom, left + width, bottom + height


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
