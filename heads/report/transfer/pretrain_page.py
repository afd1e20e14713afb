"""One self-contained HTML page about an encoder that learned without labels: its curve, and its controls beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.heads.report import ABSENT, render
from headstart.heads.report.charts import epochs_chart, layers_chart
from headstart.heads.transfer.pretraining import Measured


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One layer of the encoder, or of a control, on a few labels a class.

    Attributes
    ----------
    weights : str
        ``pre-trained``, ``random`` or ``raw pixels``.
    tap, key : str
    features : int
    accuracy : Measured
        Share of the other images whose class is told.
    over_random, over_pixels : Measured or None
        What it is ahead of the same layer with random weights, and of raw pixels, on the same draws; None of these.
    """

    weights: str
    tap: str
    key: str
    features: int
    accuracy: Measured
    over_random: Measured | None = None
    over_pixels: Measured | None = None


@dataclass(frozen=True, kw_only=True)
class PretrainPage:
    """Everything that the page shows.

    Attributes
    ----------
    title, intro, command : str
        The last is how the encoder is used.
    history : sequence of mappings
        One an epoch, see `extractors.pretraining.checkpoints.Epoch`.
    counts : bool
        Whether the task has right answers.
    verdict : str
        Empty where nothing was compared.
    rows : sequence of ComparedRow
    shots, draws : int
    notes : sequence of str
    """

    title: str
    intro: str
    command: str
    history: Sequence[Mapping[str, Any]]
    counts: bool
    verdict: str
    rows: Sequence[ComparedRow]
    shots: int
    draws: int
    notes: Sequence[str]


def render_pretraining(page: PretrainPage) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    last = page.history[-1]
    history = [{**one, "phase": 1} for one in page.history]
    loss = epochs_chart(history, "loss", len(history), name="loss", level=last["trivial"])
    accuracy = epochs_chart(history, "accuracy", len(history), name="accuracy", level=0.25) if page.counts else ""
    curves: dict[str, list[tuple[str, float]]] = {}
    for row in page.rows:
        curves.setdefault(row.weights, []).append((row.tap, row.accuracy.value))
    layers = layers_chart(curves, classes=True) if max(map(len, curves.values()), default=0) > 1 else ""
    cells = [
        {
            "name": f"{row.weights} · {row.tap}" if row.weights != row.tap else row.weights,
            "features": row.features,
            "accuracy": f"{100 * row.accuracy.value:.1f}",
            "interval": _ends(row.accuracy),
            "over_random": _points(row.over_random),
            "over_pixels": _points(row.over_pixels),
        }
        for row in page.rows
    ]
    return render(
        "pretrain_page.html.jinja", page=page, last=last, loss=loss, accuracy=accuracy, layers=layers, cells=cells
    )


def _points(found: Measured | None) -> str:
    return ABSENT if found is None else f"{100 * found.value:+.1f} {_ends(found)}"


def _ends(found: Measured) -> str:
    return f"[{100 * found.low:.1f}, {100 * found.high:.1f}]"
