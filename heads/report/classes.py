"""The report's sections on classes: each one's scores, curves, pictures of right answers, and coverage by sets."""

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.report.charts import DRAWN_CLASSES, curves_chart, risk_chart, sizes_chart
from headstart.heads.report.data import ReportData
from headstart.heads.report.rows import NO_SCORE
from headstart.heads.report.table import Scale, score_scale
from headstart.heads.report.text import (
    ABSENT,
    change_texts,
    decision_gain,
    decision_text,
    decision_title,
    interval_text,
    is_number,
    score_text,
)
from headstart.heads.scoring import ClassScore, curves_of_classes, metric_name

if TYPE_CHECKING:
    from headstart.heads.coverage import Share

OPENING_ROWS = 12  # of the table
_COVERED_CLASSES = 30
_KINDS = {"lac": "LAC", "aps": "APS", "raps": "RAPS", "mahalanobis": "Mahalanobis", "knn": "to the tenth nearest"}
_MEANING = {
    False: "Sets were calibrated by the models of the folds, and the one that answers was fitted on all of train: "
    "where a fold more or less changes it little, coverage is about what was asked for; that is measured here, and not "
    "proven. It holds for images that come from where those of train do.",
    True: "Of a model that is fixed, new images are covered as was asked for, exactly; here val chose it among the "
    "candidates, too, which takes a little from that. It holds for images that come from where those of val do.",
}


def classes_table(data: ReportData) -> dict[str, object] | None:
    """Lay out the scores of the classes, the worst first; None without them."""
    if not data.classes:
        return None
    ends = [end for one in data.classes for end in (one.low, one.recall, one.high) if end is not None]
    scale = score_scale("accuracy", ends or [0.0, 1.0])
    return {
        "rows": [_row(one, rank, scale) for rank, one in enumerate(data.classes, start=1)],
        "ticks": [(scale.position(tick), _share(tick).removesuffix(".0")) for tick in scale.ticks],
        "opening": OPENING_ROWS,
        "with_curves": any(one.average_precision is not None for one in data.classes),
    }


def decision_table(data: ReportData) -> dict[str, object] | None:
    """Lay out what the chosen decision costs and wins, the rarest class first; None where the likeliest is taken."""
    rows = data.test.decision
    if rows is None:
        return None
    table = []
    for one in sorted(rows.classes, key=lambda one: one.support):
        recall, precision = change_texts(one)
        table.append({"name": one.name, "support": one.support, "recall": recall, "precision": precision})
    score = rows.plain.get(data.metric, NO_SCORE)
    with_it = data.test.scores.get(data.metric, NO_SCORE)
    return {
        "title": decision_title(rows),
        "rule": decision_text(rows, nested=data.test.nested is not None),
        "gain": decision_gain(rows),
        "metric": metric_name(data.metric),
        "scores": [
            f"{score_text(data.metric, one.value)} {interval_text(data.metric, one.low, one.high)}".strip()
            for one in (score, with_it)
        ],
        "rows": table,
    }


def _row(one: ClassScore, rank: int, scale: Scale) -> dict[str, object]:
    numbers = {name: getattr(one, name) for name in ("recall", "precision", "f1", "average_precision")}
    at = None
    if one.recall is not None and one.low is not None and one.high is not None:
        at = {"at": scale.position(one.recall), "ends": (scale.position(one.low), scale.position(one.high))}
    return {
        "name": one.name,
        "rank": rank,
        "support": one.support,
        "mark": at,
        "interval": "" if at is None else f"[{_share(one.low)}, {_share(one.high)}]",
        "texts": {name: ABSENT if value is None else f"{_share(value)} %" for name, value in numbers.items()},
        "sort": {name: repr(float(value)) if is_number(value) else "" for name, value in numbers.items()}
        | {"support": str(one.support)},
    }


def _share(value: float | None) -> str:
    return score_text("accuracy", value, unit=False)


def class_curves(data: ReportData) -> dict[str, object] | None:
    """Draw the curves of the classes with the least average precision, and their mean; None without probabilities."""
    if data.probability is None:
        return None
    curves = curves_of_classes(np.asarray(data.y_test), np.asarray(data.probability))
    if not curves:
        return None
    ordered = sorted(curves, key=lambda one: one.average_precision)
    charts = curves_chart(ordered, data.class_names)
    return {
        "roc": charts.roc,
        "precision": charts.precision,
        "legend": [
            {
                "name": data.class_names[one.number],
                "colour": colour,
                "area": f"{_share(one.roc_auc)} %",
                "precision": f"{_share(one.average_precision)} %",
            }
            for one, colour in zip(ordered, charts.colours, strict=False)
        ],
        "mean_area": f"{_share(float(np.mean([one.roc_auc for one in curves])))} %",
        "mean_precision": f"{_share(float(np.mean([one.average_precision for one in curves])))} %",
        "n_curves": len(curves),
        "n_pale": max(0, len(curves) - DRAWN_CLASSES),
    }


@dataclass(frozen=True)
class AnswerPicture:
    """A right answer: its image's path and picture, in base64, and what the winner is sure of, in per cent."""

    path: str
    probability: str | None
    thumbnail: str | None


@dataclass(frozen=True)
class ClassStrips:
    """Right answers of a class: strips by kind."""

    name: str
    kinds: list[tuple[str, list[AnswerPicture]]]


def right_gallery(data: ReportData) -> list[ClassStrips]:
    """Lay out right answers by class: strips of those that the winner is surest of, and least."""
    strips: dict[str, dict[str, list[AnswerPicture]]] = {}
    for one in data.right:
        picture = AnswerPicture(
            path=one.path,
            probability=None if one.probability is None else f"{100 * one.probability:.0f} %",
            thumbnail=None if one.thumbnail is None else b64encode(one.thumbnail).decode("ascii"),
        )
        strips.setdefault(one.true, {}).setdefault(one.kind, []).append(picture)
    return [ClassStrips(name, list(kinds.items())) for name, kinds in strips.items()]


def doubt_section(data: ReportData) -> dict[str, object] | None:
    """Lay out coverage, set sizes and outliers on the test images; None of a fit without."""
    found = data.doubt
    if found is None:
        return None
    rows = [
        {
            "name": one.name,
            "n_images": one.covered.of,
            "covered": _part(one.covered),
            "interval": _ends(one.covered),
            "size": ABSENT if one.mean_size is None else f"{one.mean_size:.2f}",
            "answered": _part(one.answered),
        }
        for one in found.classes
    ]
    return {
        "method": _KINDS[found.method],
        "outlier": _KINDS[found.outlier],
        "asked": f"{100 * found.coverage:g} %",
        "by_class": found.by_class,
        "n_calibrated": found.n_calibrated,
        "held_out": found.held_out,
        "tiles": [
            _tile("class in its set", found.covered, f"asked for {100 * found.coverage:g} %"),
            _tile("taken for outliers", found.flagged, f"stated: {100 * found.false_alarms:g} %"),
            _tile("answered, where it abstains", found.answered, ""),
            _tile("right among these", found.right, ""),
        ],
        "risk": risk_chart(found),
        "sizes": sizes_chart(found),
        "kept": found.right.of > 0,
        "area": f"{100 * found.curve.area:.2f} %",
        "best_area": f"{100 * found.curve.best_area:.2f} %",
        "mean_size": f"{found.mean_size:.2f}",
        "rows": rows[:_COVERED_CLASSES],
        "n_left_out": max(0, len(rows) - _COVERED_CLASSES),
        "threshold": f"{found.threshold:.4g}",
        "missed": found.missed,
        "uneven": found.uneven,
        "meaning": _MEANING[found.held_out],
    }


def _tile(name: str, share: "Share", note: str) -> dict[str, str]:
    return {"name": name, "value": _part(share), "interval": _ends(share), "note": note}


def _part(share: "Share") -> str:
    return ABSENT if share.value is None else f"{_share(share.value)} %"


def _ends(share: "Share") -> str:
    return "" if share.value is None else f"[{_share(share.low)}, {_share(share.high)}]"
