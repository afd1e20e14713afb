"""Curves of each class against all others: true against false positives, and precision against recall."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from headstart.heads.report.charts.svg import PALETTE

if TYPE_CHECKING:
    from headstart.heads.scoring import ClassCurves

DRAWN_CLASSES = 5  # in a colour of their own
_PALE_CLASSES = 40  # and so many more, evenly drawn, in grey
_SIDE, _LEFT, _TOP, _WIDTH, _HEIGHT = 300, 46, 10, 360, 352  # CSS pixels
_GRID = np.linspace(0.0, 1.0, 101)
_MOST_POINTS = 300


class CurveCharts(NamedTuple):
    """Two `<svg>` elements, and the colours of the first classes in them."""

    roc: str
    precision: str
    colours: tuple[str, ...]


def curves_chart(curves: "Sequence[ClassCurves]", class_names: Sequence[str]) -> CurveCharts:
    """Draw both curves of every class.

    Parameters
    ----------
    curves : sequence of ClassCurves
        The first five have a colour; of the others 40 are drawn in grey, and the mean of all as a thick line.
    class_names : sequence of str
    """
    colours = PALETTE[: min(DRAWN_CLASSES, len(curves))]
    rest = curves[DRAWN_CLASSES:]
    pale = [rest[at] for at in np.unique(np.linspace(0, len(rest) - 1, min(len(rest), _PALE_CLASSES)).astype(int))]
    lines: dict[str, list[str]] = {"roc": [], "precision": []}
    for one, colour in [*((one, "") for one in pale), *zip(curves, colours, strict=False)]:
        name = class_names[one.number]
        lines["roc"].append(_line(*_false_and_true(one), colour, name))
        lines["precision"].append(_line(*_recall_and_precision(one), colour, name))
    if len(curves) > 1:
        mean_roc = np.mean([np.interp(_GRID, *_false_and_true(one)) for one in curves], axis=0)
        mean_roc[0] = 0.0
        mean_precision = np.mean([_precision_at(one) for one in curves], axis=0)
        lines["roc"].append(_line(_GRID, mean_roc, "mean", "the mean of all classes"))
        lines["precision"].append(_line(_GRID, mean_precision, "mean", "the mean of all classes"))
    area, precision = (float(np.mean([getattr(one, name) for one in curves])) for name in _METRICS)
    roc = f"True against false positives of {len(curves)} classes; the mean area is {100 * area:.1f} %."
    precisions = f"Precision against recall of {len(curves)} classes; the mean is {100 * precision:.1f} %."
    diagonal = f'<path class="chance" d="M{_place(0, 0)}L{_place(1, 1)}"/>'
    return CurveCharts(
        _chart(roc, "false positives", "true positives", diagonal + "".join(lines["roc"])),
        _chart(precisions, "recall", "precision", "".join(lines["precision"])),
        colours,
    )


_METRICS = ("roc_auc", "average_precision")


def _false_and_true(one: "ClassCurves") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return one.others / one.others[-1], one.own / one.own[-1]


def _recall_and_precision(one: "ClassCurves") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return recall and precision at every place; where nothing is given yet, the precision of the first that is."""
    given = one.own + one.others
    recall, precision = one.own / one.own[-1], one.own / np.maximum(given, 1)
    precision[given == 0] = precision[given > 0][0]
    return recall, precision


def _precision_at(one: "ClassCurves") -> NDArray[np.float64]:
    """Return the precision at each recall of the grid, that of the first place where it is reached."""
    recall, precision = _recall_and_precision(one)
    return np.asarray(precision[np.minimum(np.searchsorted(recall, _GRID - 1e-12), len(recall) - 1)])


def _line(x: NDArray[np.float64], y: NDArray[np.float64], colour: str, name: str) -> str:
    some = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int))
    corners = [_place(*corner) for corner in zip(x[some].tolist(), y[some].tolist(), strict=True)]
    data = "M" + "L".join(one for at, one in enumerate(corners) if at == 0 or one != corners[at - 1])
    kind = 'class="mean"' if colour == "mean" else f'stroke="{colour}"' if colour else 'class="pale"'
    return f'<path {kind} d="{data}"><title>{escape(name)}</title></path>'


def _place(x: float, y: float) -> str:
    return f"{_LEFT + _SIDE * x:.1f} {_TOP + _SIDE * (1 - y):.1f}"


def _chart(label: str, x_name: str, y_name: str, lines: str) -> str:
    ticks = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        across, up = _LEFT + _SIDE * share, _TOP + _SIDE * (1 - share)
        ticks.append(f'<path class="grid" d="M{_LEFT} {up:.1f}h{_SIDE}"/>')
        ticks.append(f'<text x="{across:.1f}" y="{_TOP + _SIDE + 16}" text-anchor="middle">{100 * share:.0f}</text>')
        ticks.append(f'<text x="{_LEFT - 6}" y="{up + 4:.1f}" text-anchor="end">{100 * share:.0f}</text>')
    return (
        f'<svg class="chart curves-of-classes" role="img" aria-label="{escape(label)}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(ticks)}'
        f'<text x="{_LEFT + _SIDE / 2}" y="{_TOP + _SIDE + 36}" text-anchor="middle">{x_name}, %</text>'
        f'<text transform="translate(12 {_TOP + _SIDE / 2}) rotate(-90)" text-anchor="middle">{y_name}, %</text>'
        f"<g>{lines}</g></svg>"
    )
