"""One self-contained HTML page about advice: what to do, what was measured for it, and the controls beside."""

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.heads.analysis import FewShotPoint
from headstart.heads.report import ABSENT, render
from headstart.heads.report.charts import few_shot_chart, layers_chart
from headstart.heads.transfer.advice import ACTIONS, Growth
from headstart.heads.transfer.likeness import Likeness

_SHORT = {
    "linear-last": "linear head on the last layer",
    "linear-earlier": "linear head on an earlier layer",
    "finetune-tail": "fine-tune the last layers, then more",
    "retrain": "train all layers, or from scratch",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was measured.

    Attributes
    ----------
    about : str
        ``size``, ``labels``, ``layers``, ``likeness``, ``control``, ``errors`` or ``matrix``.
    says : str
        In a sentence with its numbers.
    """

    about: str
    says: str


@dataclass(frozen=True, kw_only=True)
class AdviceLayer:
    """One layer and what it tells.

    Attributes
    ----------
    name, network, tap, key : str
    kind : str
        ``learned``, ``raw pixels`` or ``random weights``.
    score, low, high : float
        Share of images that neighbours or ridge tell, and its 95 % interval.
    """

    name: str
    network: str
    tap: str
    key: str
    kind: str
    score: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class AdvicePage:
    """Everything that the page shows.

    Attributes
    ----------
    title, intro, transfer : str
    warns : bool
        Whether `transfer` is a warning.
    cell : (str, str)
        Size and likeness, as in `heads.transfer.advice.ACTIONS`.
    findings : sequence of Finding
    layers : sequence of AdviceLayer
        Those of a network together, the lowest first.
    growth : Growth or None
    likeness : Likeness or None
    commands, notes : sequence of str
    """

    title: str
    intro: str
    transfer: str
    warns: bool
    cell: tuple[str, str]
    findings: Sequence[Finding]
    layers: Sequence[AdviceLayer]
    growth: Growth | None
    likeness: Likeness | None
    commands: Sequence[str]
    notes: Sequence[str]


def render_advice(page: AdvicePage) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    curves: dict[str, list[tuple[str, float]]] = {}
    for layer in page.layers:
        curves.setdefault(layer.network, []).append((layer.tap, layer.score))
    several = max(map(len, curves.values())) > 1
    matrix = [
        [(_SHORT[ACTIONS[size, near]], (size, near) == page.cell) for near in ("similar", "different")]
        for size in ("little", "lots")
    ]
    return render(
        "advice_page.html.jinja",
        page=page,
        matrix=list(zip(("little data", "lots of data"), matrix, strict=True)),
        layers=[
            (layer, *(f"{100 * one:.1f}" for one in (layer.score, layer.low, layer.high))) for layer in page.layers
        ],
        chart=layers_chart(curves, classes=True) if several else "",
        growth=few_shot_chart(_points_of(page.growth), 1, winner="the best layer") if page.growth else "",
        measures=_measures_of(page.likeness),
    )


def _points_of(growth: Growth) -> list[FewShotPoint]:
    return [
        FewShotPoint(
            images_per_class=round(one.images_per_class),
            n_train=round(one.images_per_class),
            n_short=0,
            accuracy=one.score,
            low=one.low,
            high=one.high,
            per_draw=(),
        )
        for one in growth.points
    ]


def _measures_of(likeness: Likeness | None) -> list[tuple[str, ...]]:
    found = likeness.measures if likeness else []
    return [
        (
            one.name,
            f"{one.value:.3f}",
            f"{one.null_high:.3f}",
            f"{one.p_value:.3f}",
            ABSENT if one.between is None else f"{one.between:.3f}",
            ABSENT if one.between_high is None else f"{one.between_high:.3f}",
            one.verdict,
        )
        for one in found
    ]
