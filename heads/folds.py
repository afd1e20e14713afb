"""Folds of the images to train on: stratified, with groups kept whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from headstart.heads.errors import DataError, RareClassError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.intp]


def cross_validate(
    labels: NDArray[Any],
    group_ids: Rows,
    train: Rows,
    folds: int,
    seed: int,
    names: list[str],
    *,
    option: str = "--folds",
) -> list[tuple[Rows, Rows]]:
    """Return the rows to fit on and those to score of each fold of `train`, stratified, with groups kept whole.

    `option` is what the number of folds was asked for by, for messages.

    Raises
    ------
    RareClassError
        A class has fewer images, or groups, than there are folds.
    """
    n_classes = int(labels.max()) + 1
    pairs = np.unique(group_ids[train] * n_classes + labels[train])  # a group counts once for each class it holds
    codes, counts = np.unique(pairs % n_classes, return_counts=True)
    fewest = counts.argmin()
    if counts[fewest] < folds:
        advice = f"use {option} {counts[fewest]}" if counts[fewest] >= 2 else "leave this class out"
        raise RareClassError(
            f"{names[codes[fewest]]!r} has {counts[fewest]} {unit_name(group_ids[train])} to train on, expected at "
            f"least one for each of the {folds} folds: {advice}, or add images",
            classes=codes[counts < folds].tolist(),
        )
    single = len(np.unique(group_ids[train])) == len(train)
    kind = StratifiedKFold if single else StratifiedGroupKFold
    splitter = kind(n_splits=folds, shuffle=True, random_state=seed)
    numbered = splitter.split(np.zeros((len(train), 1)), labels[train], None if single else group_ids[train])
    return [(train[fit], train[score]) for fit, score in numbered]


def check_folds(
    labels: NDArray[Any], train: Rows, folds: list[tuple[Rows, Rows]], names: list[str], notes: list[str], fewest: int
) -> None:
    """Check what whole groups leave to fit on: a class can lie in the scored part alone.

    Raises
    ------
    DataError
        A fold fits on fewer than `fewest` classes. Of classes that it lacks, a note tells.
    """
    for number, (fit, _) in enumerate(folds, start=1):
        fitted = np.unique(labels[fit])
        if len(fitted) < fewest:
            raise DataError(
                f"fold {number} of {len(folds)} fits on {len(fit)} images of one class, expected at least two classes: "
                "use fewer folds, a val split, or more groups of each class"
            )
        missing = [names[code] for code in np.setdiff1d(labels[train], fitted)]
        if missing:
            notes.append(
                f"fold {number} of {len(folds)} fits without {', '.join(map(repr, missing))}: all of its images count "
                "as wrong there"
            )


def unit_name(group_ids: Rows) -> str:
    """Say what is counted: images, or groups of them."""
    return "images" if len(np.unique(group_ids)) == len(group_ids) else "groups"


class DrawKeywords(TypedDict, total=False):
    """The fields of `Draw`, by name."""

    test_size: float
    folds: int
    repeats: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How images are drawn into folds, and which are held back.

    Parameters
    ----------
    test_size : float
        Share of the images, or groups, held back where no split is given, between 0 and 1.
    folds : int
        Of the cross-validation, at least 2.
    repeats : int
        Rounds of it, each with other folds; where val chooses, of heads with another seed. At least 1.
    seed : int
        Of everything drawn here; each round has the next one.

    Raises
    ------
    DataError
        One is out of its range.
    """

    test_size: float = 0.2
    folds: int = 5
    repeats: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.test_size < 1:
            raise DataError(f"test_size is {self.test_size!r}, expected a share between 0 and 1, such as 0.2")
        if self.folds < 2:
            raise DataError(f"folds is {self.folds!r}, expected at least 2")
        if self.repeats < 1:
            raise DataError(f"repeats is {self.repeats!r}, expected at least 1")

    def rounds(self, labels: NDArray[Any], group_ids: Rows, rows: Rows, names: list[str]) -> list[tuple[Rows, Rows]]:
        """Return the folds of all rounds over these rows, as `cross_validate` has them."""
        each = (
            cross_validate(labels, group_ids, rows, self.folds, self.seed + at, names) for at in range(self.repeats)
        )
        return [fold for folds in each for fold in folds]
