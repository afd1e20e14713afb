"""One self-contained HTML page about an experiment: what won, how well, where it errs, and what was run."""

from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np

from headstart.heads.report.charts import (
    COUNTED_CLASSES,
    MOST_TSNE,
    PALETTE,
    PCA_SIZE,
    best_epoch,
    confusion_chart,
    confusion_counts,
    cost_chart,
    curve_chart,
    few_shot_chart,
    map_chart,
    map_details,
    project,
    reliability_chart,
    uses_tsne,
)
from headstart.heads.report.classes import class_curves, classes_table, decision_table, doubt_section, right_gallery
from headstart.heads.report.data import ReportData
from headstart.heads.report.galleries import (
    copies_gallery,
    mistakes_gallery,
    outliers_gallery,
    pair_of,
    suspects_gallery,
)
from headstart.heads.report.nested_text import nested_table
from headstart.heads.report.rendering import part, render, script_digest
from headstart.heads.report.table import candidate_table, controls_table, score_tiles
from headstart.heads.report.text import headline, interval_text, printable, score_text
from headstart.heads.scoring import find_metric, metric_name

if TYPE_CHECKING:
    from headstart.heads.analysis import FewShotPoint

__all__ = ["ReportData", "project", "render_report"]

MOST_CURVES = 6
FIRST_PICTURES = 8  # mistakes and right answers on the first screen
MOST_CONFUSIONS = 6
LEGEND_CLASSES = len(PALETTE)


def render_report(data: ReportData) -> str:
    """Render the page: HTML that loads nothing, runs one script of its own, and is the same for the same data.

    It reads well without the script too, which sorts and filters the table, filters the mistakes, shows what is under
    the pointer on the map, and takes labels. The page's policy allows this script by its digest, and no other.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    str
        To be written as UTF-8.

    Raises
    ------
    DataError
        The embedding is empty or not finite.
    """
    script = "\n".join(part(name) for name in ("labels.js", "map.js", "page.js"))
    return render(
        "page.html.jinja",
        title=data.title,
        created=_time_text(data.created),
        class_names=data.class_names,
        metric=metric_name(data.metric),
        lower_is_better=not find_metric(data.metric).higher_is_better,
        selection=data.selection,
        test_name=data.test_name,
        notes=data.notes,
        nested=nested_table(data.test, data.metric),
        headline=headline(data.metric, data.winner, data.test, data.test_name),
        backbone=data.winner.label,
        tiles=score_tiles(data.test.scores, data.metric),
        n_test=data.test.n_images,
        table=candidate_table(data.leaderboard, data.winner, data.test, data.metric),
        controls=controls_table(data.controls, data.winner, data.test, data.metric),
        cost=cost_chart(data.leaderboard, data.metric),
        few_shot=_few_shot(data),
        confusion=_confusion(data),
        reliability=_reliability(data),
        doubt=doubt_section(data),
        map=_map(data),
        **_classes(data),
        needs_probability=find_metric(data.metric).needs_probability,
        command=data.command,
        files=[{"name": name, "link": quote(file)} for name, file in data.files.items()],
        gallery=mistakes_gallery(data),
        suspects=suspects_gallery(data),
        outliers=outliers_gallery(data),
        copies=copies_gallery(data),
        curves=_curves(data),
        provenance=data.provenance,
        script=script,
        digest=script_digest(script),
        labelling=data.labelling.details() if data.labelling else None,
    )


def _time_text(created: str) -> str:
    return f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M %Z}".strip()


def _classes(data: ReportData) -> dict[str, object]:
    return {
        "decision": decision_table(data),
        "classes": classes_table(data),
        "class_curves": class_curves(data),
        "right": right_gallery(data),
        "right_first": _first_right(data),
        "first_pictures": FIRST_PICTURES,
    }


def _first_right(data: ReportData) -> list[tuple[object, object]]:
    """Return the class and the surest picture of some right answers, of every class in turn."""
    strips = [[(strip.name, one) for one in strip.kinds[0][1]] for strip in right_gallery(data)]
    turns = zip_longest(*strips)
    return [one for turn in turns for one in turn if one][:FIRST_PICTURES]


def _few_shot(data: ReportData) -> dict[str, object] | None:
    if not data.few_shot:
        return None
    others, winner = data.few_shot_others, data.winner.head
    rows = [
        {
            "per_class": _per_class(point),
            "n_train": point.n_train,
            "value": score_text("accuracy", point.accuracy),
            "interval": interval_text("accuracy", point.low, point.high),
            "others": [score_text("accuracy", curve[number].accuracy) for curve in others.values()],
        }
        for number, point in enumerate(data.few_shot)
    ]
    svg = few_shot_chart(data.few_shot, len(data.class_names), winner=winner, others=others)
    better: dict[str, list[str]] = {}
    for number, point in enumerate(data.few_shot):
        best = max(others, key=lambda head: others[head][number].accuracy, default="")
        if best and others[best][number].accuracy > point.high:
            better.setdefault(best, []).append(_per_class(point))
    return {"svg": svg, "rows": rows, "winner": winner, "heads": list(others), "better": better}


def _per_class(point: "FewShotPoint") -> str:
    return "all" if point.images_per_class is None else str(point.images_per_class)


def _confusion(data: ReportData) -> dict[str, object]:
    counts = confusion_counts(data.y_test, data.predicted, len(data.class_names))
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(flat), len(counts)) for flat in order if wrong.flat[flat]]
    counted = len(counts) <= COUNTED_CLASSES
    kept = {pair for mistake in data.mistakes if (pair := pair_of(mistake, data.class_names))}
    # Of many classes only the cells lead somewhere whose pictures the page has: thousands of links help nobody.
    linked = [(int(true), int(predicted)) for true, predicted in np.argwhere(wrong)]
    links = {pair: _link(pair, kept) for pair in linked if counted or pair in kept}
    return {
        "svg": confusion_chart(counts, printable(data.class_names), links),
        "counted": counted,
        "linked": bool(links),
        "n_wrong": int(wrong.sum()),
        "pairs": [
            {
                "true": data.class_names[true],
                "predicted": data.class_names[predicted],
                "count": int(wrong[true, predicted]),
                "of": int(counts[true].sum()),
                "pair": f"{true}-{predicted}",
                "link": _link((true, predicted), kept),
            }
            for true, predicted in pairs
        ],
    }


def _link(pair: tuple[int, int], kept: set[tuple[int, int]]) -> str:
    """Return where a pair of classes leads to without scripts: its first picture, or the section of the mistakes."""
    return "#pair-{}-{}".format(*pair) if pair in kept else "#mistakes"


def _reliability(data: ReportData) -> dict[str, object] | None:
    if data.reliability is None or not any(each.count for each in data.reliability.bins):
        return None
    error, temperature = data.reliability.error, data.reliability.temperature
    return {
        "svg": reliability_chart(data.reliability),
        "error": f"{100 * error.value:.1f} %",
        "by_chance": f"{100 * error.by_chance:.1f} %",
        "temperature": None if temperature is None else f"{temperature:.2f}",
        "too_sure": temperature is not None and temperature > 1,
        "n_bins": sum(1 for each in data.reliability.bins if each.count),
    }


def _map(data: ReportData) -> dict[str, object]:
    labels = np.asarray(data.embedding_labels)
    is_test = np.asarray(data.embedding_is_test, dtype=bool)
    numbers, counts = np.unique(labels, return_counts=True)
    legend = [
        {"name": data.class_names[number], "number": int(number), "count": int(count), "colour": PALETTE[number]}
        for number, count in zip(numbers, counts, strict=True)
        if len(data.class_names) <= LEGEND_CLASSES
    ]
    points = project(data.embedding) if data.points is None else data.points
    names = printable(data.class_names)
    return {
        "svg": map_chart(points, labels, is_test, names),
        "details": map_details(
            points, labels, is_test, names, data.embedding_paths, data.embedding_thumbnails, data.embedding_right
        )
        | {"test_name": data.test_name, "rest_name": _rest_name(data)},
        "legend": legend,
        "classes": [
            {"name": data.class_names[number], "number": int(number), "count": int(count)}
            for number, count in zip(numbers, counts, strict=True)
        ],
        "judged": data.embedding_right is not None,
        "n_images": len(labels),
        "n_test": int(is_test.sum()),
        "tsne": uses_tsne(data.embedding),
        "n_placed": min(MOST_TSNE, len(labels)),
        "pca_size": min(PCA_SIZE, *data.embedding.shape),
    }


def _rest_name(data: ReportData) -> str:
    """Say where a point of the map lies that is not in the test split; nested folds have none, and score each."""
    if data.test.nested:
        return data.test_name
    return "train or val" if data.selection == "val" else "train"


def _curves(data: ReportData) -> dict[str, object]:
    trained = [curve for curve in data.curves if curve.history]
    drawn = []
    for number, curve in enumerate(trained[:MOST_CURVES], start=1):
        best = best_epoch(curve.history)
        accuracy = None if best is None else best.get("val_accuracy")
        drawn.append(
            {
                "name": curve.name,
                "svg": curve_chart(curve.history, title=curve.name, name=f"curve{number}"),
                "epochs": len(curve.history),
                "best": None if best is None else best["epoch"],
                "val_loss": None if best is None else f"{best['val_loss']:.3f}",
                "val_accuracy": None if accuracy is None else f"{100 * accuracy:.1f} %",
            }
        )
    return {"drawn": drawn, "n_left_out": len(trained) - len(drawn)}
