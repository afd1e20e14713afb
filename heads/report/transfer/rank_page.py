"""One self-contained HTML page about a ranking: backbones and layers in order, and a curve over the layers of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.heads.report import ABSENT, render
from headstart.heads.report.charts import layers_chart


@dataclass(frozen=True, kw_only=True)
class RankRow:
    """One layer of one backbone.

    Attributes
    ----------
    rank : int
        From 1, by `score`.
    backbone, label, tap, key : str
        `label` is the backbone, as shortly as it can be told apart.
    depth : int
        Place of the layer among those of its key that are ranked, from 1 for the lowest.
    features : int
    score : float
        The better of `knn` and `ridge`.
    tied : bool or None
        Whether the first one is better by no more than chance allows; None of the first one itself.
    knn, ridge : float
        Share of images whose class the others tell, or R² of numbers.
    logme : float
        Log evidence by image, in nats.
    h_score : float or None
        None of numbers.
    static : int or None
        Rank without a look at the images.
    """

    rank: int
    backbone: str
    label: str
    tap: str
    key: str
    depth: int
    features: int
    score: float
    tied: bool | None
    knn: float
    ridge: float
    logme: float
    h_score: float | None
    static: int | None


@dataclass(frozen=True, kw_only=True)
class RankPage:
    """Everything that the page shows.

    Attributes
    ----------
    title, intro : str
    rows : sequence of RankRow
        The first one first.
    classes : bool
        Whether scores are shares of images, and not R².
    static_by : str or None
        What static ranks go by.
    agreement : float or None
        Kendall's τ between both orders.
    notes : sequence of str
    """

    title: str
    intro: str
    rows: Sequence[RankRow]
    classes: bool
    static_by: str | None
    agreement: float | None
    notes: Sequence[str]


def curves_of(rows: Sequence[RankRow]) -> Mapping[str, Sequence[tuple[str, float]]]:
    """Return tap and score of each layer by backbone, the lowest layer first, and the best backbone first."""
    found: dict[str, list[RankRow]] = {}
    for row in rows:
        found.setdefault(row.label, []).append(row)
    return {
        label: [(row.tap, row.score) for row in sorted(some, key=lambda row: row.depth)]
        for label, some in found.items()
    }


def render_ranking(page: RankPage) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    curves = curves_of(page.rows)
    several = max(map(len, curves.values())) > 1
    share = _percent if page.classes else _plain
    cells = [
        {
            "rank": row.rank,
            "label": row.label,
            "tap": row.tap,
            "features": row.features,
            "score": share(row.score),
            "tied": row.tied,
            "knn": share(row.knn),
            "ridge": share(row.ridge),
            "logme": _plain(row.logme),
            "h_score": ABSENT if row.h_score is None else f"{row.h_score:.2f}",
            "static": ABSENT if row.static is None else row.static,
        }
        for row in page.rows
    ]
    chart = layers_chart(curves, classes=page.classes) if several else ""
    return render("rank_page.html.jinja", page=page, cells=cells, chart=chart)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _plain(value: float) -> str:
    return f"{value:.3f}"
