"""One self-contained HTML page about a fine-tuned tail: beside linear heads, epoch by epoch, and how to repeat it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from headstart.heads.report.charts import confusion_chart, confusion_counts, epochs_chart, intervals_chart
from headstart.heads.report.rendering import render
from headstart.heads.report.rows import CandidateRow, TestResult
from headstart.heads.report.table import score_tiles, seconds_text
from headstart.heads.report.text import ABSENT, headline, interval_text, p_text, params_text, printable, score_text
from headstart.heads.scoring import Difference, find_metric, metric_name


@dataclass(frozen=True, kw_only=True)
class TailReport:
    """Everything that the page shows; names, paths and notes may hold anything and are written as text.

    Parameters
    ----------
    title, created
        As of `ReportData`.
    winner : CandidateRow
        The tail.
    heads : sequence of CandidateRow
        The linear heads, the one that it is compared with first; `scores` of these and of the tail are of the test
        images.
    test : TestResult
    difference : Difference
        The tail's score minus the first head's on the test images.
    verdict : str
        What that says, in a sentence.
    metric : str
    class_names : sequence of str
    y_test, predicted : (n_test,) int
    candidates : sequence of CandidateRow
        What a sweep compared, best first; none where there was one choice.
    history : sequence of mapping
        One an epoch, as `epochs_chart` takes it.
    best_epoch : int
    blocks : sequence of (str, int, float)
        Name, parameters and first rate of what was trained.
    mistakes : sequence of (str, int, int, float)
        Path, true and predicted class, and its probability.
    notes : sequence of str
    provenance : sequence of (str, str)
    command : str
        What makes the same again.
    """

    title: str
    created: str
    winner: CandidateRow
    heads: Sequence[CandidateRow]
    test: TestResult
    difference: Difference
    verdict: str
    metric: str
    class_names: Sequence[str]
    y_test: NDArray[np.integer]
    predicted: NDArray[np.integer]
    candidates: Sequence[CandidateRow]
    history: Sequence[Mapping[str, float | int | None]]
    best_epoch: int
    blocks: Sequence[tuple[str, int, float]]
    mistakes: Sequence[tuple[str, int, int, float]]
    notes: Sequence[str]
    provenance: Sequence[tuple[str, str]]
    command: str


def render_tail_report(data: TailReport) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data."""
    metric, names = data.metric, printable(data.class_names)
    counts = confusion_counts(data.y_test, data.predicted, len(names))
    beside = [data.winner, *data.heads]
    return render(
        "tail_page.html.jinja",
        data=data,
        created=f"{datetime.fromisoformat(data.created):%Y-%m-%d %H:%M %Z}".strip(),
        headline=headline(metric, data.winner, data.test, data.test.split),
        metric=metric_name(metric),
        lower_is_better=not find_metric(metric).higher_is_better,
        tiles=score_tiles(data.test.scores, metric),
        beside=[_on_test(row, metric) for row in beside],
        beside_chart=intervals_chart(beside, metric),
        difference=_difference(data.difference),
        candidates=[_chosen(row, metric) for row in data.candidates],
        charts=[epochs_chart(data.history, one, data.best_epoch, name=one) for one in ("loss", "accuracy")],
        n_phases=len({entry["phase"] for entry in data.history}),
        validated=any(entry["val_loss"] is not None for entry in data.history),
        kept=_kept(data),
        blocks=[(name, f"{size:,}".replace(",", "\u202f"), f"{rate:.2g}") for name, size, rate in data.blocks],
        confusion=confusion_chart(counts, names),
        mistakes=[
            (path, data.class_names[true], data.class_names[found], f"{100 * sure:.1f} %")
            for path, true, found, sure in data.mistakes
        ],
        n_wrong=int((np.asarray(data.y_test) != np.asarray(data.predicted)).sum()),
    )


def _on_test(row: CandidateRow, metric: str) -> dict[str, object]:
    score = row.scores.get(metric)
    return {
        "name": row.head,
        "params": params_text(row.params),
        "tap": row.tap,
        "score": score_text(metric, score.value if score else None),
        "interval": interval_text(metric, score.low, score.high) if score else "",
        "seconds": seconds_text(row.fit_seconds),
    }


def _chosen(row: CandidateRow, metric: str) -> dict[str, object]:
    return {
        "name": row.head,
        "params": params_text(row.params),
        "tap": row.tap,
        "score": score_text(metric, row.score),
        "interval": interval_text(metric, row.low, row.high),
        "split": row.split,
        "tied": bool(row.tied),
        "p": p_text(row.p_value) or ABSENT,
        "error": row.error,
    }


def _difference(found: Difference) -> dict[str, str]:
    share = find_metric(found.metric).unit == "share"
    numbers = [100 * one if share else one for one in (found.value, found.low, found.high)]
    value, low, high = (f"{one:+.1f}" if share else f"{one:+.3f}" for one in numbers)
    return {
        "value": f"{value} points" if share else value,
        "interval": f"[{low}, {high}]",
        "p": f"{found.p_value:.2g}",
        "test": found.test,
    }


def _kept(data: TailReport) -> dict[str, str]:
    entry = next(one for one in data.history if one["epoch"] == data.best_epoch)
    loss, accuracy = entry["val_loss"], entry["val_accuracy"]
    return {
        "loss": ABSENT if loss is None else f"{loss:.3f}",
        "accuracy": ABSENT if accuracy is None else f"{100 * accuracy:.1f} %",
    }
