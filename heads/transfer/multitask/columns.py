"""A label column as arrays: classes or numbers, and which images have none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.heads.errors import DataError

Doubles = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One of several label columns.

    Attributes
    ----------
    name : str
    class_names : sequence of str
        None of numbers.
    y : float64 ndarray of shape (n_images,)
        Class numbers, which index `class_names`, or numbers; NaN where the label is missing.
    metric : str
        What it is scored by.
    """

    name: str
    class_names: Sequence[str]
    y: Doubles
    metric: str

    @property
    def task(self) -> str:
        """``classify`` or ``regress``."""
        return "classify" if self.class_names else "regress"

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """Which images have a label, (n_images,)."""
        return ~np.isnan(self.y)

    def truth(self, rows: Rows) -> NDArray[Any]:
        """Return the labels of rows that have one: classes as int, or numbers."""
        return self.y[rows].astype(np.intp) if self.class_names else self.y[rows]

    def refuse_unusable(self, train: Rows, test: Rows) -> None:
        """Tell of a column that cannot be learned or scored.

        Raises
        ------
        DataError
            The training images hold no label, one class or one number; or the test images hold too few.
        """
        for side, rows in (("training", train), ("test", test)):
            if not self.labelled[rows].any():
                raise DataError(
                    f"{self.name}: not one of the {len(rows)} {side} images has a label; label some of them, or leave "
                    "the column out"
                )
        found = np.unique(self.y[train][self.labelled[train]])
        if len(found) < 2:
            what = f"class, {self.class_names[int(found[0])]!r}" if self.class_names else f"number, {found[0]:g}"
            raise DataError(f"{self.name}: the training images hold one {what}; label others too, or leave it out")
        if not self.class_names and len(np.unique(self.y[test][self.labelled[test]])) < 2:
            raise DataError(f"{self.name}: the test images hold one number; label more of them, or leave it out")

    def without_training(self, train: Rows, test: Rows) -> list[str]:
        """Return notes on classes that test images have and training images lack."""
        if not self.class_names:
            return []
        trained, tested = (np.bincount(self.truth(rows[self.labelled[rows]])) for rows in (train, test))
        missing = [code for code, n in enumerate(tested) if n and (code >= len(trained) or not trained[code])]
        return [
            f"{self.name}: {self.class_names[code]!r} has {tested[code]} test images and none in train: all of them "
            "will count as wrong"
            for code in missing
        ]
