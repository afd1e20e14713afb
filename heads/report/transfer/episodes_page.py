"""One self-contained HTML page about few-shot episodes: each layer and method, beside the plain mean and chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.heads.report import ABSENT, render
from headstart.heads.report.charts import episodes_chart


@dataclass(frozen=True, kw_only=True)
class EpisodeRow:
    """One method on one layer with so many shots.

    Attributes
    ----------
    label, tap, key : str
        `label` is the backbone, as shortly as it can be told apart.
    random : bool
        Whether its weights are random: a control.
    shots : int
        Labelled images of each class.
    method : str
    accuracy, half_width : float
        Mean over episodes, and 1.96 of its standard errors.
    gain, gain_half_width : float or None
        The same of the difference from the plain nearest mean on the same episodes; None of that itself.
    assumes : str
        About the queries of an episode together; empty where each is told by itself.
    """

    label: str
    tap: str
    key: str
    random: bool
    shots: int
    method: str
    accuracy: float
    half_width: float
    gain: float | None
    gain_half_width: float | None
    assumes: str

    @property
    def layer(self) -> tuple[str, str]:
        """Backbone and tap."""
        return self.label, self.tap

    @property
    def ahead(self) -> bool | None:
        """Whether it is ahead of the plain mean by more than the interval, or behind; None of neither, and of that."""
        if self.gain is None or self.gain_half_width is None or abs(self.gain) <= self.gain_half_width:
            return None
        return self.gain > 0


@dataclass(frozen=True, kw_only=True)
class EpisodesPage:
    """Contents of the page.

    Attributes
    ----------
    title, intro : str
    rows : sequence of EpisodeRow
        By layer, the best one first.
    chance : float
    covers : str
        What the intervals cover.
    findings, notes : sequence of str
    """

    title: str
    intro: str
    rows: Sequence[EpisodeRow]
    chance: float
    covers: str
    findings: Sequence[str]
    notes: Sequence[str]


def assumptions(rows: Sequence[EpisodeRow]) -> dict[str, str]:
    """Return the methods' assumptions of the queries, by name."""
    return {row.method: row.assumes for row in rows if row.assumes}


def render_episodes(page: EpisodesPage) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    first = [row for row in page.rows if row.layer == page.rows[0].layer]
    points = {
        f"{shots} of a class": [(row.method, row.accuracy, row.half_width) for row in first if row.shots == shots]
        for shots in sorted({row.shots for row in page.rows})
    }
    sections = [
        (shots, [_cells(row) for row in page.rows if row.shots == shots])
        for shots in sorted({row.shots for row in page.rows})
    ]
    return render(
        "episodes_page.html.jinja",
        page=page,
        chart=episodes_chart(points, page.chance),
        first=" · ".join(page.rows[0].layer),
        sections=sections,
        chance=f"{100 * page.chance:.1f}",
        assumptions=assumptions(page.rows),
    )


def _cells(row: EpisodeRow) -> dict[str, object]:
    gain = ABSENT if row.gain is None else f"{100 * row.gain:+.1f} ± {100 * (row.gain_half_width or 0):.1f}"
    return {
        "layer": " · ".join(row.layer),
        "random": row.random,
        "method": row.method,
        "accuracy": f"{100 * row.accuracy:.1f}",
        "half_width": f"{100 * row.half_width:.1f}",
        "gain": gain,
        "behind": row.ahead is False,
        "assumes": row.assumes,
    }
