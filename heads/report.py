"""One self-contained HTML page about an experiment: what won, how well, where it errs, and what was run."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from numpy.typing import NDArray

from heads.charts import COUNTED_CLASSES, PALETTE, best_epoch, confusion_chart, confusion_counts, curve_chart, map_chart
from heads.errors import DataError
from heads.projection import PCA_SIZE, project, uses_tsne
from heads.report_table import candidate_table
from heads.report_text import headline, interval_text, is_loss, metric_name, score_text

__all__ = ["ReportData", "project", "render_report"]

HERE = Path(__file__).parent
MOST_CURVES = 6
MOST_CONFUSIONS = 6
LEGEND_CLASSES = len(PALETTE)


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """Everything that the page shows; names, paths and notes may hold anything and are written as text.

    Parameters
    ----------
    title : str
        What was learned, as in ``hymenoptera``.
    created : str
        ISO 8601 time.
    class_names : sequence of str
        (n_classes,); the integers below index it.
    metric : str
        What chose the winner; one of ``test["scores"]``.
    selection : {"cv", "val"}
        Where the leaderboard's scores come from: cross-validation inside train, or the validation split.
    test_name : str
        What the winner was scored on, as in ``test``, ``val`` or ``held-out 20 %``.
    notes : sequence of str
        What a reader must know, as in ``3 duplicates of test images were dropped from train``.
    leaderboard : sequence of mappings
        Best first: `backbone`, `tap`, `head`, `params` (a mapping), `metric`, `score`, `low`, `high`, `split`, `scores`
        (metric → (value, low, high)), `fit_seconds`, `error` (str or None). Scores are shares (0.954) or nats, and
        None after a failure.
    winner : mapping
        One of its rows.
    test : mapping
        `n_images`, `split` and `scores` (metric → mapping of `value`, `low` and `high`, or None).
    y_test, predicted : (n_test,) int
        True and predicted classes of the test images.
    probability : (n_test, n_classes) float or None
        What the winner gave each class of each test image.
    embedding : (n_images, n_features) float
        For the map: at most about 2000 images, train and test.
    embedding_labels : (n_images,) int
    embedding_is_test : (n_images,) bool
    mistakes : sequence of mappings
        Most confident first, where there are probabilities: `path`, `true`, `predicted` (names),
        `probability` (or None), `thumbnail` (JPEG or None).
        24 thumbnails of 15 kB make half a megabyte.
    curves : sequence of mappings
        `name`, and `history`: one mapping an epoch with `epoch`, `loss`, `val_loss` and `val_accuracy`.
    provenance : sequence of (str, str)
        What was run: key, backbone, digest of the weights, preprocessing, versions, times, command.

    Raises
    ------
    DataError
        Lengths, shapes or class numbers do not fit together, or the metric was not scored on the test images.
    """

    title: str
    created: str
    class_names: Sequence[str]
    metric: str
    selection: str
    test_name: str
    notes: Sequence[str]
    leaderboard: Sequence[Mapping[str, Any]]
    winner: Mapping[str, Any]
    test: Mapping[str, Any]
    y_test: NDArray[np.integer]
    predicted: NDArray[np.integer]
    probability: NDArray[np.floating] | None
    embedding: NDArray[np.floating]
    embedding_labels: NDArray[np.integer]
    embedding_is_test: NDArray[np.bool_]
    mistakes: Sequence[Mapping[str, Any]]
    curves: Sequence[Mapping[str, Any]]
    provenance: Sequence[tuple[str, str]]

    def __post_init__(self) -> None:
        n_test, n_images, n_classes = len(self.y_test), len(self.embedding), len(self.class_names)
        for field, shape in (
            ("y_test", (n_test,)),
            ("predicted", (n_test,)),
            ("embedding_labels", (n_images,)),
            ("embedding_is_test", (n_images,)),
            ("probability", (n_test, n_classes)),
        ):
            values = getattr(self, field)
            if values is not None and np.shape(values) != shape:
                raise DataError(
                    f"report: {field} has shape {np.shape(values)}, expected {shape}; pass one entry per image"
                )
        for field in ("y_test", "predicted", "embedding_labels"):
            values = np.asarray(getattr(self, field))
            if values.size and (values.min() < 0 or values.max() >= n_classes):
                raise DataError(
                    f"report: {field} holds classes {values.min()}…{values.max()}, expected 0…{n_classes - 1} "
                    f"for {n_classes} class names; pass numbers that index class_names"
                )
        if self.test["n_images"] != n_test:
            raise DataError(
                f"report: test counts {self.test['n_images']} images, y_test holds {n_test}; pass those that it scored"
            )
        scored = [metric for metric, score in self.test["scores"].items() if score is not None]
        if self.metric not in scored:
            raise DataError(
                f"report: the winner was chosen by {self.metric!r}, but the test images were scored by "
                f"{', '.join(scored) or 'nothing'}; score them by {self.metric!r} too"
            )


def render_report(data: ReportData) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data.

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
    # FileSystemLoader and not PackageLoader: the templates lie beside this file, not in a folder of their own.
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("report.html.jinja").render(
        title=data.title,
        created=_time_text(data.created),
        class_names=data.class_names,
        metric=metric_name(data.metric),
        lower_is_better=is_loss(data.metric),
        selection=data.selection,
        test_name=data.test_name,
        notes=data.notes,
        headline=headline(data.metric, data.winner, data.test, data.test_name),
        backbone=data.winner["backbone"],
        tiles=_tiles(data),
        n_test=data.test["n_images"],
        table=candidate_table(data.leaderboard, data.winner, data.test, data.metric),
        confusion=_confusion(data),
        map=_map(data),
        gallery=_gallery(data),
        curves=_curves(data),
        provenance=data.provenance,
        css=(HERE / "report.css").read_text(encoding="utf-8"),
    )
    # A path that is no UTF-8 reaches Python as lone surrogates, which cannot be written: show them as \udcff.
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _time_text(created: str) -> str:
    return f"{datetime.fromisoformat(created):%Y-%m-%d %H:%M %Z}".strip()


def _tiles(data: ReportData) -> list[dict[str, Any]]:
    """Return one entry per metric of the test, the one that chose the winner first."""
    scores = {metric: score for metric, score in data.test["scores"].items() if score is not None}
    return [
        {
            "name": metric_name(metric),
            "value": score_text(metric, scores[metric]["value"]),
            "interval": interval_text(metric, scores[metric]["low"], scores[metric]["high"]),
            "lower_is_better": is_loss(metric),
        }
        for metric in sorted(scores, key=lambda metric: metric != data.metric)
    ]


def _confusion(data: ReportData) -> dict[str, Any]:
    counts = confusion_counts(data.y_test, data.predicted, len(data.class_names))
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(flat), len(counts)) for flat in order if wrong.flat[flat]]
    return {
        "svg": confusion_chart(counts, _printable(data.class_names)),
        "counted": len(counts) <= COUNTED_CLASSES,
        "n_wrong": int(wrong.sum()),
        "pairs": [
            {
                "true": data.class_names[true],
                "predicted": data.class_names[predicted],
                "count": int(wrong[true, predicted]),
                "of": int(counts[true].sum()),
            }
            for true, predicted in pairs
        ],
    }


def _map(data: ReportData) -> dict[str, Any]:
    labels = np.asarray(data.embedding_labels)
    is_test = np.asarray(data.embedding_is_test, dtype=bool)
    numbers, counts = np.unique(labels, return_counts=True)
    legend = [
        {"name": data.class_names[number], "count": int(count), "colour": PALETTE[number]}
        for number, count in zip(numbers, counts, strict=True)
        if len(data.class_names) <= LEGEND_CLASSES
    ]
    return {
        "svg": map_chart(project(data.embedding), labels, is_test, _printable(data.class_names)),
        "legend": legend,
        "n_images": len(labels),
        "n_test": int(is_test.sum()),
        "tsne": uses_tsne(data.embedding),
        "pca_size": min(PCA_SIZE, *data.embedding.shape),
    }


def _gallery(data: ReportData) -> dict[str, Any]:
    wrong = np.asarray(data.y_test) != np.asarray(data.predicted)
    confidence = None
    if data.probability is not None and wrong.any() and not wrong.all():
        given = np.max(data.probability, axis=1)
        confidence = {"right": f"{100 * given[~wrong].mean():.0f} %", "wrong": f"{100 * given[wrong].mean():.0f} %"}
    mistakes = [
        {
            **mistake,
            "probability": None if mistake["probability"] is None else f"{100 * mistake['probability']:.0f} %",
            "thumbnail": None if mistake["thumbnail"] is None else b64encode(mistake["thumbnail"]).decode("ascii"),
        }
        for mistake in data.mistakes
    ]
    ranked = data.probability is not None
    return {"mistakes": mistakes, "n_wrong": int(wrong.sum()), "confidence": confidence, "ranked": ranked}


def _curves(data: ReportData) -> dict[str, Any]:
    trained = [curve for curve in data.curves if curve["history"]]
    drawn = []
    for number, curve in enumerate(trained[:MOST_CURVES], start=1):
        best = best_epoch(curve["history"])
        accuracy = None if best is None else best.get("val_accuracy")
        drawn.append(
            {
                "name": curve["name"],
                "svg": curve_chart(curve["history"], title=curve["name"], name=f"curve{number}"),
                "epochs": len(curve["history"]),
                "best": None if best is None else best["epoch"],
                "val_loss": None if best is None else f"{best['val_loss']:.3f}",
                "val_accuracy": None if accuracy is None else f"{100 * accuracy:.1f} %",
            }
        )
    return {"drawn": drawn, "n_left_out": len(trained) - len(drawn)}


def _printable(names: Sequence[str]) -> list[str]:
    """Return names that a font can lay out: lone surrogates and control characters are written as escapes."""
    return ["".join(c if c.isprintable() else ascii(c)[1:-1] for c in name) for name in names]
