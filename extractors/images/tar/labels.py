"""Labels that the `.cls` and `.json` members of tar shards give to the images of their sample."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images import (
    DIGEST_COLUMN,
    LISTING_COLUMNS,
    QUARANTINED,
    ListedImage,
    split_of,
    text_series,
)

Scalar = str | int | float | bool | None


@dataclass
class Sample:
    """Facts about one sample besides its images: its class, the scalars of its JSON, and why one is unreadable."""

    class_name: str | None = None
    scalars: dict[str, Scalar] = field(default_factory=dict)
    reason: str = ""

    def read_class(self, data: bytes) -> None:
        """Take the class from the content of a `.cls` member."""
        try:
            self.class_name = data.decode("utf-8").strip() or None
        except UnicodeDecodeError:
            self.reason = "its .cls is not UTF-8 text"

    def read_json(self, data: bytes) -> None:
        """Take the scalar values of the object in a `.json` member."""
        try:
            values = json.loads(data)
        except (ValueError, RecursionError) as error:  # what is no JSON, no text, or nested a thousand times
            self.reason = f"its .json cannot be read ({error})"
            return
        if not isinstance(values, dict):
            self.reason = f"its .json holds no object but a {type(values).__name__}"
            return
        self.scalars = {
            _storable(name): _storable(value) if isinstance(value, str) else value
            for name, value in values.items()
            if value is None or isinstance(value, str | int | float)
        }


def describe(
    images: Sequence[ListedImage], samples: Sequence[Sample | None], where: object
) -> tuple[list[ListedImage], dict[str, "pd.Series[Any]"]]:
    """Return the rows with the splits, groups and flaws of their samples, and the label columns by name.

    `samples` goes along with `images`; None stands for a row that belongs to none. An image whose labels cannot be read
    is quarantined, because a label that is missing by accident would pass for one that was left out on purpose.

    Raises
    ------
    ImageSetError
        A split is unknown.
    """
    known = [sample or Sample() for sample in samples]
    rows = [
        image._replace(split=_split(sample, f"{where}: {image.path}"), group=_text(sample.scalars.get("group")))
        for image, sample in zip(images, known, strict=True)
    ]
    rows = [
        row._replace(status=QUARANTINED, reason=row.reason or sample.reason) if sample.reason else row
        for row, sample in zip(rows, known, strict=True)
    ]
    labels: dict[str, pd.Series[Any]] = {}
    if any(sample.class_name is not None for sample in known):
        labels["label"] = text_series([sample.class_name for sample in known])  # classes by convention, never a number
    taken = {*LISTING_COLUMNS, DIGEST_COLUMN, *labels}
    names = dict.fromkeys(name for sample in known for name in sample.scalars if name not in {"split", "group"})
    for name in names:
        labels[f"json_{name}" if name in taken else name] = scalar_series(
            [sample.scalars.get(name) for sample in known]
        )
    return rows, labels


def scalar_series(values: Sequence[Scalar]) -> "pd.Series[Any]":
    """Return booleans, whole numbers (int64), numbers (float64) or text, whichever holds all values but None."""
    present = [value for value in values if value is not None]
    kinds = {type(value) for value in present}
    complete = len(present) == len(values)
    if any(isinstance(value, int) and not -(2**63) <= value < 2**63 for value in present):
        return text_series(values)
    if kinds == {bool}:
        return pd.Series(values, dtype="bool" if complete else "boolean")
    if kinds == {int}:
        return pd.Series(values, dtype="int64" if complete else "Int64")
    if kinds and kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    return text_series(values)


def _split(sample: Sample, where: str) -> str | None:
    found = _text(sample.scalars.get("split"))
    if found is None:
        return None
    split = split_of(found)
    if split is None:
        raise ImageSetError(f"{where}: unknown split {found!r} in its .json; write train, val or test")
    return split


def _text(value: Scalar) -> str | None:
    return None if value is None else str(value)


def _storable(text: str) -> str:
    r"""Return text that UTF-8 can hold: JSON may write half of a surrogate pair, as \ud800."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
