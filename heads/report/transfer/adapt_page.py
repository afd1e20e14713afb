"""One self-contained HTML page about an adaptation: methods beside their controls, and both domains on one map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.heads.report import ABSENT, ScoreRow, params_text, render
from headstart.heads.report.charts import PALETTE, map_chart, project
from headstart.heads.scoring import Difference


@dataclass(frozen=True, kw_only=True)
class AdaptRow:
    """One method.

    Attributes
    ----------
    name, title : str
    control : str or None
        Method that it has to beat, which never saw the target.
    params : mapping
        Chosen on the source.
    validation : float
        Accuracy on left-out images of the source.
    apart : float
        Mean share of images whose domain a classifier tells in the space where the head was fitted, .5 is chance.
    effective_size : float or None
        Images that weights leave; None where all count alike.
    scores : mapping of str to ScoreRow
        On the target's labels; empty without them.
    difference : Difference or None
        In accuracy from the control, on the same images.
    p_adjusted : float or None
        Of it, by Holm's method over all methods.
    verdict : str or None
        ``better``, ``worse`` or ``no different``.
    """

    name: str
    title: str
    control: str | None
    params: Mapping[str, Any]
    validation: float
    apart: float
    effective_size: float | None
    scores: Mapping[str, ScoreRow]
    difference: Difference | None
    p_adjusted: float | None
    verdict: str | None


@dataclass(frozen=True, kw_only=True)
class AdaptMap:
    """Images of both domains in one space.

    Attributes
    ----------
    name, title : str
        Id in the page, and heading.
    source, target : float arrays of shape (n_shown, k)
    """

    name: str
    title: str
    source: NDArray[Any]
    target: NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class AdaptPage:
    """Everything that the page shows; the attributes are those of `flows.transfer.adaptation.AdaptSummary`."""

    title: str
    source: str
    target: str
    n_source: int
    n_target: int
    n_labelled: int
    validation: str
    apart: float
    effective_size: float
    rows: Sequence[AdaptRow]
    saved: str
    conclusion: str
    maps: Sequence[AdaptMap]
    notes: Sequence[str]


def render_adaptation(page: AdaptPage) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    after = next(row for row in page.rows if row.name == page.saved)
    return render(
        "adapt_page.html.jinja",
        page=page,
        cells=[_cells(row) for row in page.rows],
        maps=[{"title": one.title, "chart": _chart(one, page)} for one in page.maps],
        domains=list(zip((page.source, page.target), PALETTE, strict=False)),
        before=_percent(page.apart),
        after=_percent(after.apart),
    )


def _chart(one: AdaptMap, page: AdaptPage) -> str:
    points = project(np.concatenate([one.source, one.target]))
    domain = np.repeat([0, 1], [len(one.source), len(one.target)])
    return map_chart(points, domain, np.zeros(len(domain), bool), [page.source, page.target], name=one.name)


def _cells(row: AdaptRow) -> dict[str, str | None]:
    score, apart = row.scores.get("accuracy"), row.difference
    return {
        "name": row.name,
        "title": row.title,
        "params": params_text(row.params),
        "control": row.control or ABSENT,
        "validation": _percent(row.validation),
        "apart": _percent(row.apart),
        "size": ABSENT if row.effective_size is None else f"{row.effective_size:.0f}",
        "score": ABSENT if score is None else _percent(score.value),
        "interval": "" if score is None else f"{_percent(score.low)} to {_percent(score.high)}",
        "difference": ABSENT if apart is None else f"{100 * apart.value:+.1f}",
        "ends": "" if apart is None else f"{100 * apart.low:+.1f} to {100 * apart.high:+.1f}",
        "verdict": row.verdict,
    }


def _percent(value: float | None) -> str:
    return ABSENT if value is None else f"{100 * value:.1f}"
