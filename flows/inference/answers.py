"""Predictions of one call: a table that begins with what came out, in one line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.results import JobResult
from headstart.heads.prediction import predict
from headstart.heads.scoring import Decision
from headstart.heads.views import Views

_MOST_CLASSES = 5  # in one line
_MOST_ROWS = 8


class Predictions(JobResult, pd.DataFrame, says="{_line}"):
    """A row an image, as `flows.inference.prediction.predict` describes it; what is taken out of it is pandas' own."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    @property
    def _line(self) -> str:
        return summary_line(self, None)

    def __repr__(self) -> str:
        return f"{super().__repr__()}\n{self.to_string(max_rows=_MOST_ROWS)}"

    def to_pandas(self, table: str | None = None) -> pd.DataFrame:  # noqa: ARG002 - there is but one
        """Return the rows as pandas' own data frame."""
        return pd.DataFrame(self)


def answer(
    head: Any, views: list[Any], class_names: list[str], decision: Decision | None, *, all_classes: bool
) -> pd.DataFrame:
    """Return label and probability of each image, given the features of its views; and of all classes, if asked."""
    if not len(views[0]):  # not one image could be read
        names = [f"probability_{name}" for name in class_names] if all_classes else []
        return pd.DataFrame({"label": [], "probability": []} | {name: [] for name in names})
    answers = [predict(head, features, len(class_names)) for features in views]
    given = [one for _, one in answers if one is not None]
    classes, probability = Views(len(views), average=True).joined(
        np.stack([one for one, _ in answers], axis=1).ravel(),
        np.stack(given, axis=1).reshape(-1, len(class_names)) if given else None,
    )
    if decision is not None and probability is not None:
        classes = decision.classes(probability)
    columns = {
        "label": np.array(class_names, dtype=object)[classes],
        "probability": np.full(len(classes), np.nan)
        if probability is None
        else probability[np.arange(len(classes)), classes],
    }
    if all_classes and probability is not None:
        columns |= {f"probability_{name}": probability[:, number] for number, name in enumerate(class_names)}
    return pd.DataFrame(columns)


def answer_columns(
    trunk: Any, views: Sequence[Any], columns: Sequence[tuple[str, Sequence[str]]], *, all_classes: bool
) -> pd.DataFrame:
    """Return a trunk's answers on several label columns: label and probability of each, or a number.

    Parameters
    ----------
    trunk : fitted Pipeline
        Ends with `heads.transfer.multitask.estimator.SharedColumns`.
    views : sequence of array (n_images, n_features)
        Features of each view of the images.
    columns : sequence of (str, sequence of str)
        Name and classes of each; none of numbers.
    all_classes : bool
        Add the probability of every class, in ``probability_<column>_<class>``.
    """
    each = [trunk[-1].answers(trunk[:-1].transform(features)) for features in views if len(features)]
    found: dict[str, npt.NDArray[Any]] = {}
    for number, (name, classes) in enumerate(columns):
        own = np.mean([one[number] for one in each], axis=0) if each else np.empty((0, len(classes) or 1))
        if not classes:
            found[name] = own.ravel()
            continue
        best = own.argmax(axis=1)
        found |= {name: np.array(classes, dtype=object)[best], f"probability_{name}": own[np.arange(len(own)), best]}
        if all_classes:
            found |= {f"probability_{name}_{one}": own[:, code] for code, one in enumerate(classes)}
    return pd.DataFrame(found)


class Counts(TypedDict):
    """Images; of a model that doubts, outliers and those without an answer; of classes, images of each."""

    images: int
    unreadable: int
    outliers: NotRequired[int]
    without_answer: NotRequired[int]
    classes: NotRequired[dict[str, int]]


def count_predictions(predictions: pd.DataFrame) -> Counts:
    """Count images, those of each class (the most frequent first), and those that could not be read."""
    unread = predictions["reason"] != ""
    counts: Counts = {"images": len(predictions), "unreadable": int(unread.sum())}
    if "outlier" in predictions:
        counts["outliers"] = int(predictions["outlier"].sum())
        counts["without_answer"] = int((predictions["label"].isna() & ~unread).sum())
    if "label" in predictions:
        counts["classes"] = {str(name): int(n) for name, n in predictions["label"].value_counts().items()}
    return counts


def summary_line(predictions: pd.DataFrame, out: Path | None) -> str:
    """Write in one line what came out: ``8 images: 5 bees, 2 ants, 1 unreadable → p.csv``."""
    counts = count_predictions(predictions)
    classes = counts.get("classes", {})
    parts = [f"{n_images} {name}" for name, n_images in list(classes.items())[:_MOST_CLASSES]]
    if len(classes) > _MOST_CLASSES:
        others = sum(list(classes.values())[_MOST_CLASSES:])
        parts.append(f"{others} of {len(classes) - _MOST_CLASSES} other classes")
    values = predictions["value"].dropna() if "value" in predictions else ()
    if len(values):
        parts.append(f"from {min(values):.4g} to {max(values):.4g}")
    if counts.get("outliers"):
        parts.append(f"{counts['outliers']} outlier{'' if counts['outliers'] == 1 else 's'}")
    if counts.get("without_answer"):
        parts.append(f"{counts['without_answer']} without an answer")
    if counts["unreadable"]:
        parts.append(f"{counts['unreadable']} unreadable")
    total = f"{len(predictions)} image{'' if len(predictions) == 1 else 's'}"
    return f"{total}: {', '.join(parts)}" + (f" → {out}" if out else "")
