"""Columns of a model that may not know: the set of classes of each image, whether it is an outlier, and how far."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.flows.errors import JobError
from headstart.heads.coverage import Doubt, Judged, draws_of
from headstart.heads.prediction import class_scores

SET = "set"
_BETWEEN = "|"
_DIGEST = 32  # bytes


def refuse_without_doubt(doubt: Doubt | None, model: Path) -> None:
    """Refuse to abstain where a model cannot tell when.

    Raises
    ------
    JobError
        The model was saved without sets.
    """
    if doubt is None:
        raise JobError(f"{model}: holds no sets to abstain by; fit it with --coverage 0.9, or leave out --abstain")


def judge_images(doubt: Doubt, head: Any, views: Sequence[npt.NDArray[np.float32]], digests: Sequence[str]) -> Judged:
    """Judge images by the mean of what a head says of their views, by the plain ones, and by what they hold.

    Parameters
    ----------
    doubt : Doubt
    head : fitted scikit-learn classifier
    views : sequence of float32 array of shape (n_images, n_features)
        Of which the first is of the plain images.
    digests : sequence of str
        Of the images.

    Raises
    ------
    JobError
        The head is not the one that the sets are of.
    """
    n_classes = len(doubt.sets.thresholds)
    found = (
        [class_scores(head, features, n_classes) for features in views] if len(digests) else [np.empty((0, n_classes))]
    )
    scores = [one for one in found if one is not None]
    if not scores:
        raise JobError("the head gives no scores of classes, and its sets are made of such; fit the model again")
    raw = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(len(digests), _DIGEST)
    plain = views[0] if len(digests) else np.empty((0, doubt.outliers.n_features))
    return doubt.judge(np.mean(scores, axis=0), plain, draws_of(raw))


def add_doubt(predicted: pd.DataFrame, judged: Judged, class_names: Sequence[str], *, abstain: bool) -> pd.DataFrame:
    """Return predictions with the columns ``set``, ``outlier`` and ``outlier_score`` behind the probability.

    To abstain, a label is left empty unless the set holds that class alone and the image is no outlier.

    Parameters
    ----------
    predicted : DataFrame
        ``label, probability`` and further columns, a row an image.
    judged : Judged
        The same images.
    class_names : sequence of str
    abstain : bool
    """
    names = np.array(class_names, dtype=object)
    found = predicted.copy()
    place = list(found.columns).index("probability") + 1
    found.insert(place, SET, pd.Series([names[inside].tolist() for inside in judged.sets], dtype=object))
    found.insert(place + 1, "outlier", pd.Series(judged.outlier, dtype="boolean"))
    found.insert(place + 2, "outlier_score", judged.distance)
    if abstain:
        number = {name: code for code, name in enumerate(class_names)}
        kept = judged.keeps([number[name] for name in predicted["label"]])
        found["label"] = predicted["label"].where(pd.Series(kept))
    return found


def set_text(names: object) -> object:
    """Write a set in one cell: ``ants|bees``; what is no set stays as it is."""
    if not isinstance(names, list):
        return names
    return _BETWEEN.join(str(name).replace("\\", r"\\").replace(_BETWEEN, rf"\{_BETWEEN}") for name in names)
