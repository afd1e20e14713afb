"""One self-contained HTML page about heads that predict a number: what won, how well, and where it errs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from headstart.heads.report.charts import INK, STYLE, as_svg, panel
from headstart.heads.report.nested_text import nested_table
from headstart.heads.report.rendering import render
from headstart.heads.report.rows import CandidateRow, TestResult
from headstart.heads.report.table import score_tiles
from headstart.heads.report.text import ABSENT, headline, interval_text, params_text, score_text
from headstart.heads.scoring import find_metric, metric_name

_COLOUR = "#2f6db5"  # a mid tone: 3:1 against a white and against a near-black page
_MOST_POINTS = 3000


@dataclass(frozen=True, kw_only=True)
class NumberReport:
    """Everything that the page shows; names, paths and notes may hold anything and are written as text.

    Parameters
    ----------
    title, target : str
        The image set, and the column of the numbers.
    created : str
        ISO 8601 time.
    metric : str
        What chose the winner.
    leaderboard : sequence of CandidateRow
        Best first, the winner's row in front.
    test : TestResult
    true, predicted : float ndarray of shape (n_test,)
    worst : sequence of (path, true, predicted)
        Test images with the largest errors, worst first.
    notes : sequence of str
    provenance : mapping of str to str
    """

    title: str
    target: str
    created: str
    metric: str
    leaderboard: Sequence[CandidateRow]
    test: TestResult
    true: NDArray[np.float64]
    predicted: NDArray[np.float64]
    worst: Sequence[tuple[str, float, float]]
    notes: Sequence[str]
    provenance: Mapping[str, str]


def render_number_report(data: NumberReport) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    return render(
        "number_page.html.jinja",
        data=data,
        headline=headline(data.metric, data.leaderboard[0], data.test, data.test.split),
        nested=nested_table(data.test, data.metric),
        metric=metric_name(data.metric),
        lower_is_better=not find_metric(data.metric).higher_is_better,
        tiles=score_tiles(data.test.scores, data.metric),
        rows=[_row(row, data.metric) for row in data.leaderboard],
        worst=[
            {"path": path, "true": f"{true:.5g}", "predicted": f"{predicted:.5g}", "error": f"{predicted - true:+.4g}"}
            for path, true, predicted in data.worst
        ],
        scatter=scatter_chart(data.true, data.predicted, data.target),
        residuals=residual_chart(data.true, data.predicted, data.target),
    )


def _row(row: CandidateRow, metric: str) -> dict[str, object]:
    return {
        "name": f"{row.label} · {row.tap} · {row.head}",
        "params": params_text(row.params),
        "score": score_text(metric, row.score),
        "interval": interval_text(metric, row.low, row.high),
        "seconds": ABSENT if row.fit_seconds is None else f"{row.fit_seconds:.2f} s",
        "error": row.error,
        "tied": row.tied,
    }


def scatter_chart(true: NDArray[np.float64], predicted: NDArray[np.float64], target: str) -> str:
    """Draw predicted against true numbers (n_images,) as one `<svg>`, with the line where they are equal."""
    label = f"Predicted against true {target} of {len(true)} test images; points on the line are predicted exactly."
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    return _points(true, predicted, f"true {target}", f"predicted {target}", line=(ends, ends), name="fit", label=label)


def residual_chart(true: NDArray[np.float64], predicted: NDArray[np.float64], target: str) -> str:
    """Draw predicted less true numbers (n_images,) against the predicted ones, with the line of no error."""
    label = f"Error of {len(true)} test images against the predicted {target}; a good fit has no shape."
    ends = [predicted.min(), predicted.max()]
    return _points(
        predicted, predicted - true, f"predicted {target}", "error", line=(ends, [0, 0]), name="errors", label=label
    )


def _points(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    x_name: str,
    y_name: str,
    *,
    line: tuple[Sequence[float], Sequence[float]],
    name: str,
    label: str,
) -> str:
    # Of very many images some, evenly drawn: the page stays small, and the cloud looks the same.
    shown = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(np.intp))
    with mpl.rc_context(STYLE):
        figure, axes = panel(4.2, 3.4)
        axes.plot(*line, color=INK, linewidth=1, linestyle="--")
        axes.scatter(x[shown], y[shown], s=14, color=_COLOUR, alpha=0.6, linewidths=0)
        axes.set_xlabel(x_name)
        axes.set_ylabel(y_name)
        axes.spines[["top", "right"]].set_visible(False)
        return as_svg(figure, name=name, label=label)
