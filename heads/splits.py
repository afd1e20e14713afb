"""Which images fit, which choose between candidates, and which are scored once at the end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np
from sklearn.model_selection import StratifiedShuffleSplit

from headstart.heads.errors import DataError, RareClassError
from headstart.heads.folds import Draw, check_folds, unit_name
from headstart.heads.views import ONE_VIEW, Views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from headstart.heads.folds import DrawKeywords

    Rows = NDArray[np.intp]

SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """Row numbers for every step of an experiment, sorted; no group is on two sides of any of them.

    Parameters
    ----------
    folds : list of (fit_rows, score_rows)
        What candidates are compared by: one fold where `val` chooses, else cross-validation.
    train : int ndarray
        What the winner is fitted on.
    test : int ndarray
        What the winner is scored on, once; empty where nested folds score (`heads.sweep.nested`).
    selection : {"val", "cv"}
        What chooses.
    test_name : str
        What `test` is, for tables: "test", "val" or, for instance, "held-out fifth".
    dropped : int ndarray
        Rows left out because their group is also on the other side of a given split.
    notes : list of str
        What people should know about the plan.
    repeats : int
        How often every image that chooses is scored: `folds` holds so many rounds, each with other folds and, of heads
        that draw, another seed.
    views : Views
        Of each image, where features have several rows of it; all row numbers here are of images.
    """

    folds: list[tuple[Rows, Rows]]
    train: Rows
    test: Rows
    selection: Literal["val", "cv"]
    test_name: str
    dropped: Rows
    notes: list[str]
    repeats: int = 1
    views: Views = ONE_VIEW

    @property
    def first_folds(self) -> list[tuple[Rows, Rows]]:
        """The first round of `folds`, which scores every image once."""
        return self.folds[: len(self.folds) // self.repeats]

    def round_of(self, fold: int) -> int:
        """Return which round a fold belongs to, counted from 0."""
        return fold // (len(self.folds) // self.repeats)


def plan_splits(
    y: ArrayLike,
    *,
    split: Sequence[str | None] | NDArray[Any] | None = None,
    groups: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    stratify: bool = True,
    **drawn: Unpack[DrawKeywords],
) -> SplitPlan:
    """Plan an experiment from labels, the splits that were given, if any, and groups that must not be torn apart.

    ========== =============================== ============================
    given      candidates are chosen by        scored once at the end
    ========== =============================== ============================
    val, test  val, fitted on train            test
    val        cross-validation inside train   val
    test       cross-validation inside train   test
    neither    cross-validation inside train   `test_size`, held back by seed
    ========== =============================== ============================

    Images without a split, where others have one, count as train. Where a group is on two sides of a given split, test
    keeps its images, val those that are not in test, and train the rest; `dropped` and a note tell of the others.

    Parameters
    ----------
    y : array of shape (n_images,)
        Classes, 0 … n_classes - 1, as int; or numbers, without `stratify`.
    split : sequence of {"train", "val", "test", None} or None
        The given split of each image.
    groups : int array of shape (n_images,) or None
        Images with the same number stay together (one patient, one film, one digest); with None all are independent.
    class_names : sequence of str or None
        For messages; without `stratify` one name, of what the numbers measure.
    stratify : bool
        Whether every part gets its share of each class; False draws images or groups alike, whatever their `y`.
    **drawn
        ``test_size, folds, repeats, seed`` of `Draw`.

    Raises
    ------
    RareClassError
        A class has fewer images (or groups) than folds.
    DataError
        A single class, an unknown split name, nothing to train on, or a `test_size` or `folds` out of its range.
    """
    draw = Draw(**drawn)
    # Without strata all images are of one class for whatever is drawn here.
    labels = np.asarray(y) if stratify else np.zeros(len(np.asarray(y)), dtype=np.intp)
    fewest = 2 if stratify else 1
    group_ids = np.arange(len(labels)) if groups is None else number_groups(np.asarray(groups))
    names = checked_names(labels, group_ids, class_names, fewest)
    notes: list[str] = []
    sides = _sides(split, len(labels), notes)
    dropped = _straddling(sides, group_ids, notes)
    train, val, test = (np.flatnonzero(sides == name) for name in SPLIT_NAMES)
    test_name = "test" if len(test) else "val"
    if not len(test) and not len(val):
        train, test = _hold_back(labels, group_ids, train, draw, names)
        share = len(test) / (len(train) + len(test))  # whole groups can be more or less than was asked for
        test_name = "held-out fifth" if 0.15 <= share < 0.25 else f"held-out {share:.2g} of the images"
    elif not len(test):
        val, test = test, val
    _check_train(labels, train, test, names, notes, fewest)
    if len(val):
        planned, selection = [(train, val)] * draw.repeats, "val"
    else:
        planned, selection = draw.rounds(labels, group_ids, train, names), "cv"
        check_folds(labels, train, planned, names, notes, fewest)
    return SplitPlan(
        folds=planned,
        train=train,
        test=test,
        selection="val" if selection == "val" else "cv",
        test_name=test_name,
        dropped=dropped,
        notes=notes,
        repeats=draw.repeats,
    )


def number_groups(groups: NDArray[Any]) -> Rows:
    """Return the number of each image's group, by first appearance: a plan does not depend on their names."""
    _, first, numbers = np.unique(groups, return_index=True, return_inverse=True)
    return np.asarray(first.argsort().argsort()[numbers])


def checked_names(labels: NDArray[Any], group_ids: Rows, class_names: Sequence[str] | None, fewest: int) -> list[str]:
    """Return a name for each class, after checking that there are labels of at least so few.

    Raises
    ------
    DataError
        Shapes, types or numbers are not those of classes, or there are fewer classes than `fewest`.
    """
    if labels.ndim != 1 or labels.shape != group_ids.shape or labels.dtype.kind not in "iu":
        raise DataError(
            f"labels have shape {labels.shape} and dtype {labels.dtype}, groups shape {group_ids.shape}; expected "
            "whole numbers of shape (n_images,) each"
        )
    n_classes = int(labels.max(initial=-1)) + 1
    names = [f"class {code}" for code in range(n_classes)] if class_names is None else list(class_names)
    if labels.min(initial=0) < 0 or n_classes > len(names):
        raise DataError(f"labels go from {labels.min()} to {labels.max()}, expected 0 to {len(names) - 1}")
    present = np.unique(labels)
    if len(present) < fewest:
        found = f"one class ({names[present[0]]!r})" if len(present) else "no image"
        raise DataError(f"the labels hold {found}; a head needs images of at least two classes")
    return names


def _sides(split: Sequence[str | None] | NDArray[Any] | None, n_images: int, notes: list[str]) -> NDArray[Any]:
    """Return "train", "val" or "test" for each image."""
    if split is None:
        return np.full(n_images, "train", dtype=object)
    given = np.array(list(split), dtype=object)
    if len(given) != n_images:
        raise DataError(f"{len(given)} splits were given for {n_images} labels, expected one for each")
    missing = np.array([name is None for name in given], dtype=bool)
    unknown = sorted({repr(name) for name in given[~missing] if name not in SPLIT_NAMES})
    if unknown:
        raise DataError(f"unknown split {', '.join(unknown)}; expected train, val, test or none at all")
    if missing.any() and not missing.all():
        notes.append(f"{missing.sum()} images have no split while others do: they count as train")
    given[missing] = "train"
    return given


def _straddling(sides: NDArray[Any], group_ids: Rows, notes: list[str]) -> Rows:
    """Blank the sides of images whose group is also on a side that is scored later, and return their rows."""
    in_test = np.isin(group_ids, group_ids[sides == "test"])
    in_val = np.isin(group_ids, group_ids[sides == "val"])
    leaking = {"train": (sides == "train") & (in_val | in_test), "val": (sides == "val") & in_test}
    for name, rows in leaking.items():
        if rows.any():
            others = "val or test" if name == "train" else "test"
            notes.append(f"{rows.sum()} {name} images are left out: their group or the same image is also in {others}")
            sides[rows] = ""
    return np.flatnonzero(leaking["train"] | leaking["val"])


def _check_train(
    labels: NDArray[Any], train: Rows, test: Rows, names: list[str], notes: list[str], fewest: int
) -> None:
    trained = np.unique(labels[train])
    if len(trained) < fewest:
        found = f"only {names[trained[0]]!r}" if len(trained) else "no image"
        raise DataError(f"train holds {found}; a head needs images of at least two classes there: check the splits")
    for code, count in zip(*np.unique(labels[test], return_counts=True), strict=True):
        if code not in trained:
            notes.append(f"{names[code]!r} has {count} test images and none in train: all of them will count as wrong")


def _group_classes(labels: NDArray[Any], group_ids: Rows) -> tuple[Rows, Rows]:
    """Return the groups present and the most frequent class of each."""
    n_classes = int(labels.max()) + 1
    pairs, counts = np.unique(group_ids * n_classes + labels, return_counts=True)
    pairs = pairs[np.lexsort((-counts, pairs // n_classes))]
    present, first = np.unique(pairs // n_classes, return_index=True)
    return present, pairs[first] % n_classes


def _hold_back(labels: NDArray[Any], group_ids: Rows, rows: Rows, draw: Draw, names: list[str]) -> tuple[Rows, Rows]:
    """Return (train, test): whole groups, drawn so that the test size is the share of each class's groups."""
    present, classes = _group_classes(labels[rows], group_ids[rows])
    codes, counts = np.unique(classes, return_counts=True)
    unit = unit_name(group_ids[rows])
    if counts.min() < 2:
        raise RareClassError(
            f"{names[codes[counts.argmin()]]!r} has 1 {unit[:-1]}; holding some back needs 2 of each class: add "
            "images, or give splits of your own",
            classes=codes[counts < 2].tolist(),
        )
    n_test = math.ceil(draw.test_size * len(present))
    if n_test < len(codes) or len(present) - n_test < len(codes):
        message = (
            f"test_size {draw.test_size:g} of {len(present)} {unit} holds {n_test} back, expected at least one of each "
            f"of the {len(codes)} classes on both sides: use another --test-size or more images"
        )
        if (rare := codes[counts < draw.folds]).size:  # no share to hold back would do for these
            raise RareClassError(message, classes=rare.tolist())
        raise DataError(message)
    drawn = StratifiedShuffleSplit(n_splits=1, test_size=n_test, random_state=draw.seed)
    _, test_groups = next(drawn.split(np.zeros((len(present), 1)), classes))
    held_back = np.isin(group_ids[rows], present[test_groups])
    return rows[~held_back], rows[held_back]
