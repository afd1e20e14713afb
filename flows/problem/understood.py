"""Meaning that a set of images is given: its label column, classes or numbers, and splits."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from headstart.extractors.images import OK, label_columns
from headstart.flows.errors import JobError
from headstart.flows.fit_summary import Understood
from headstart.flows.problem.label_columns import Target, encode_target, find_usual_target

if TYPE_CHECKING:
    import numpy.typing as npt

_SPLITS = ("train", "val", "test")


def describe_target(target: Target, understood: Understood) -> Understood:
    """Return the same with the values of a label column, of which none is missing."""
    understood = replace(understood, task=target.task, why=target.why, instead=target.instead)
    if target.task == "regress":
        return replace(understood, numbers=_range(target.y))
    counts = np.bincount(target.y, minlength=len(target.class_names))
    classes = {name: int(count) for name, count in zip(target.class_names, counts, strict=True)}
    return replace(understood, classes=classes)


def describe_images(
    rows: pd.DataFrame, *, not_listed: int = 0, passed_over: Mapping[str, int] | None = None
) -> tuple[Understood, list[str]]:
    """Say what a fit would take images for that have not been embedded yet, and what a person should know of it.

    Parameters
    ----------
    rows : DataFrame
        As listed: those that can be read are looked at.
    not_listed, passed_over
        As in `Understood`.
    """
    found = label_columns(rows)
    rows = rows.loc[rows["status"] == OK, ["split", *found]]  # of millions of images, only what is needed is copied
    column = find_usual_target(found)
    understood = Understood(
        images=len(rows),
        column=column,
        other_columns=[name for name in found if name != column],
        splits=count_splits(rows["split"]),
        not_listed=not_listed,
        passed_over=dict(passed_over or {}),
    )
    if column is None:
        return understood, []
    labelled = rows[column].notna()
    if not labelled.any():
        return replace(understood, column=None), []
    understood = replace(understood, without_label=int((~labelled).sum()))
    try:
        target = encode_target(rows.loc[labelled, column], column)
    except JobError as error:  # embeddings do not need labels, and a fit will say the same
        return understood, [str(error)]
    return describe_target(target, understood), target.notes


def count_splits(splits: "pd.Series[Any] | npt.NDArray[Any]") -> dict[str, int]:
    """Return the number of images of each split that there is."""
    counts = pd.Series(splits, dtype=object).value_counts()
    return {name: int(counts[name]) for name in _SPLITS if name in counts}


def _range(values: "npt.NDArray[np.float64]") -> list[float]:
    return [float(values.min()), float(values.max())]
