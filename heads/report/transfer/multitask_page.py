"""One self-contained HTML page about label columns over a shared trunk: scores, differences, and training curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from headstart.heads.report import ScoreRow, interval_text, params_text, render, score_text
from headstart.heads.report.charts import columns_chart
from headstart.heads.scoring import SIGNIFICANCE, Difference, find_metric, metric_name


@dataclass(frozen=True, kw_only=True)
class ColumnRow:
    """One label column: on a shared trunk, by itself, and by a linear head, on the same test images.

    Attributes
    ----------
    column : str
    task : {"classify", "regress"}
    classes : int
        0 of numbers.
    n_train, n_test : int
        Labels.
    metric : str
    shared, separate, linear : ScoreRow
        By that metric, with 95 % intervals.
    head : str
        The linear head's name.
    params : mapping of str to Any
    difference : Difference
        Shared minus separate.
    p_adjusted : float
        Of this difference, by test images and by seeds, corrected for the number of columns.
    verdict : {"helped", "harmed", "no difference"}
    against_linear : Difference
        Shared minus linear.
    p_linear : float
        Corrected for the number of columns.
    seeds : list of (float, float)
        Of each seed the score of the network on the shared trunk, and that of the separate one.
    """

    column: str
    task: str
    classes: int
    n_train: int
    n_test: int
    metric: str
    shared: ScoreRow
    separate: ScoreRow
    linear: ScoreRow
    head: str
    params: Mapping[str, Any] = field(repr=False)
    difference: Difference
    p_adjusted: float
    verdict: str
    against_linear: Difference = field(repr=False)
    p_linear: float = field(repr=False)
    seeds: list[tuple[float, float]] = field(repr=False)

    @property
    def linear_is_ahead(self) -> bool:
        """Whether the linear head is better than the shared trunk by more than chance."""
        better = find_metric(self.metric).higher_is_better == (self.against_linear.value > 0)
        return self.p_linear < SIGNIFICANCE and not better


@dataclass(frozen=True, kw_only=True)
class MultitaskPage:
    """Everything that the page shows.

    Attributes
    ----------
    title, intro : str
    rows : sequence of ColumnRow
    curves : mapping of str to (sequence, sequence)
        By column the loss on the images that chose the epoch, shared and separate, epoch by epoch, as a share of what
        the prior's guess costs; columns whose labels chose nothing are not there.
    rule : str
        How the losses are weighted.
    notes : sequence of str
    """

    title: str
    intro: str
    rows: Sequence[ColumnRow]
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    rule: str
    notes: Sequence[str]


def verdict_text(rows: Sequence[ColumnRow]) -> str:
    """Say for which columns sharing helped beyond chance, and where a linear head is better than both."""
    found = {
        verdict: [row.column for row in some]
        for verdict, some in groupby(sorted(rows, key=lambda row: row.verdict), lambda row: row.verdict)
    }
    parts = [f"sharing {verdict} {_listed(found[verdict])}" for verdict in ("helped", "harmed") if verdict in found]
    if "no difference" in found:
        alone = "no difference beyond chance"
        parts.append(f"{alone} for {_listed(found['no difference'])}" if parts else f"{alone} for any column")
    ahead = [f"{row.column} ({row.head})" for row in rows if row.linear_is_ahead]
    linear = f"; a linear head beats the shared trunk for {_listed(ahead)}" if ahead else ""
    return "; ".join(parts) + linear


def change_text(difference: Difference) -> str:
    """Write a difference with its interval, as in ``+2.8 [+0.3, +5.5]``."""
    factor, digits = (100, 1) if find_metric(difference.metric).unit == "share" else (1, 3)
    value, low, high = (f"{factor * one:+.{digits}f}" for one in (difference.value, difference.low, difference.high))
    return f"{value} [{low}, {high}]"


def render_multitask(page: MultitaskPage) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    cells = [
        {
            "column": row.column,
            "kind": f"{row.classes} classes" if row.classes else "numbers",
            "metric": metric_name(row.metric),
            "labels": f"{row.n_train} / {row.n_test}",
            "separate": score_text(row.metric, row.separate.value),
            "shared": score_text(row.metric, row.shared.value),
            "shared_interval": interval_text(row.metric, row.shared.low, row.shared.high),
            "linear": score_text(row.metric, row.linear.value),
            "linear_title": f"{row.head} {params_text(row.params)}".strip(),
            "linear_is_ahead": row.linear_is_ahead,
            "change": change_text(row.difference),
            "p": f"{row.p_adjusted:.3f}" if row.p_adjusted >= 0.001 else "< .001",
            "verdict": row.verdict,
            "ahead": f"{_ahead(row)} of {len(row.seeds)}",
        }
        for row in page.rows
    ]
    chart = columns_chart(page.curves) if page.curves else ""
    left_out = [row.column for row in page.rows if row.column not in page.curves]
    verdict = verdict_text(page.rows)
    return render(
        "multitask_page.html.jinja",
        page=page,
        cells=cells,
        chart=chart,
        verdict=verdict[0].upper() + verdict[1:],
        left_out=_listed(left_out) if left_out else "",
    )


def _ahead(row: ColumnRow) -> int:
    """Count the seeds whose network on the shared trunk is the better one."""
    sign = 1 if find_metric(row.metric).higher_is_better else -1
    return sum(sign * (shared - separate) > 0 for shared, separate in row.seeds)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
