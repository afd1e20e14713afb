"""One self-contained HTML page about zero-shot learning: methods beside their rivals, and class by class."""

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.heads.report import ABSENT, interval_text, render, score_text
from headstart.heads.scoring import ClassScore, Score


@dataclass(frozen=True, kw_only=True)
class ZeroShotRow:
    """One method, or one rival.

    Attributes
    ----------
    name : str
    embedding : str
        Backbone and layer; empty of chance.
    detail : str
        Hyper-parameters, or what a rival does.
    control : bool
        Whether it is there to be beaten.
    held_out : float or None
        Accuracy on classes that were held out to choose by; None of what was not chosen so.
    zero_shot : Score or None
        Accuracy of images of unseen classes among these.
    unseen, seen, harmonic : Score or None
        Accuracies among all classes, and their harmonic mean.
    """

    name: str
    embedding: str = ""
    detail: str = ""
    control: bool = False
    held_out: float | None = None
    zero_shot: Score | None = None
    unseen: Score | None = None
    seen: Score | None = None
    harmonic: Score | None = None


@dataclass(frozen=True, kw_only=True)
class ZeroShotPage:
    """Everything that the page shows.

    Attributes
    ----------
    title, intro, verdict : str
    rows : sequence of ZeroShotRow
    classes : sequence of ClassScore
    unseen : sequence of str
        Classes that were not fitted on.
    notes : sequence of str
    """

    title: str
    intro: str
    verdict: str
    rows: Sequence[ZeroShotRow]
    classes: Sequence[ClassScore]
    unseen: Sequence[str]
    notes: Sequence[str]


def render_zero_shot(page: ZeroShotPage) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    columns = ("zero_shot", "unseen", "seen", "harmonic")
    rows = [
        {
            "row": row,
            "held_out": ABSENT if row.held_out is None else _percent(row.held_out),
            "scores": [_texts(getattr(row, name)) for name in columns],
        }
        for row in page.rows
    ]
    classes = [
        {
            "name": one.name,
            "unseen": one.name in page.unseen,
            "images": one.support,
            "recall": ABSENT if one.recall is None else _percent(one.recall),
            "interval": interval_text("accuracy", one.low, one.high),
            "precision": ABSENT if one.precision is None else _percent(one.precision),
        }
        for one in page.classes
    ]
    return render("zero_shot_page.html.jinja", page=page, rows=rows, classes=classes)


def _texts(score: Score | None) -> tuple[str, str]:
    """Return a score and its interval; one that has none, such as chance, is alone."""
    if score is None:
        return ABSENT, ""
    alone = score.low == score.high
    return _percent(score.value), "" if alone else interval_text("accuracy", score.low, score.high)


def _percent(value: float) -> str:
    return score_text("accuracy", value, unit=False)
