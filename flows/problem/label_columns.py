"""Label columns: which are meant, labels from a file of their own, and whether a column holds classes or numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.images import (
    ImageRoot,
    are_whole_numbers,
    label_columns,
    read_manifest,
    refuse_duplicates,
    relative_path,
)
from headstart.extractors.images.tables import find_places, with_slashes
from headstart.extractors.listing import UsableImages
from headstart.flows.errors import JobError

TASKS = ("classify", "regress")
ALL = "all"

_CLASSIFY, _REGRESS = "--task classify", "--task regress"

_MOST_CLASSES_OF_NUMBERS = 100  # more distinct numbers measure something, unless they are ids: 0 or 1, 2, 3 …
_IMAGES_OF_AN_ID = 2  # that ids of classes have on average; what differs for every image is no class


@dataclass(frozen=True)
class Target:
    """A label column as a head learns it.

    Attributes
    ----------
    task : {"classify", "regress"}
    class_names : list of str
        Sorted; none for numbers.
    y : array (n_images,)
        Classes, which index `class_names`, as int64; or numbers as float64.
    notes : list of str
        What a person should know.
    why, instead : str
        Where it could be meant otherwise: why it was taken so, in few words, and the option for the other.
    """

    task: str
    class_names: list[str]
    y: npt.NDArray[Any]
    notes: list[str] = field(default_factory=list)
    why: str = ""
    instead: str = ""


def merge_labels(file: Path, rows: pd.DataFrame, root: ImageRoot, notes: list[str]) -> pd.DataFrame:
    """Return the listing's rows with the labels of a CSV or Parquet file in place of their own.

    Raises
    ------
    JobError
        None of its paths is among the images.
    """
    table = read_manifest(file, notes)
    own = label_columns(table)
    table = table.assign(path=_among(table["path"].map(lambda path: relative_path(root, path)), rows["path"], notes))
    refuse_duplicates(table["path"].tolist(), file, "keep one row for each image")
    known = table["path"].isin(rows["path"])
    if not known.any():
        raise JobError(
            f"{file}: none of its {len(table)} paths is among the images of {root}; write them as the listing does, "
            f"for instance {rows['path'].iloc[0]}",
        )
    if not known.all():
        notes.append(
            f"{int((~known).sum())} of {len(table)} paths in {file} are not among the images, "
            f"first {table['path'][~known].iloc[0]}"
        )
    columns = [name for name in ("split", "group") if name in table] + own
    merged = rows.drop(columns=[*label_columns(rows), *(name for name in columns if name in rows)], errors="ignore")
    return merged.merge(table[["path", *columns]], how="left", on="path", validate="1:1")


def _among(paths: "pd.Series[Any]", images: "pd.Series[Any]", notes: list[str]) -> list[str]:
    """Return paths as the listing has them, where a table writes them as on Windows, or without folder or suffix."""
    known = set(images)
    written = with_slashes(paths.tolist(), lambda path: path not in known, notes)
    if known.isdisjoint(written):
        written, _ = find_places(written, known, notes)
    return written


def note_conflicts(
    labels: "pd.Series[Any]", contents: npt.NDArray[np.int64], images: UsableImages, notes: list[str]
) -> None:
    """Say which copies of one image have different labels: at least one of them is wrong.

    Parameters
    ----------
    labels : Series (n_images,)
        None is missing.
    contents : int64 array (n_images,)
        Copies of one image have one number, counted from 0.
    images : UsableImages
        They tell the path of the first.
    notes : list of str
        Told, where there are any.
    """
    copied = np.flatnonzero((np.bincount(contents) > 1)[contents])
    if not len(copied):
        return
    different = labels.iloc[copied].groupby(contents[copied]).transform("nunique").to_numpy() > 1
    if different.any():
        (first,) = images.paths(copied[different][:1])
        notes.append(f"{int(different.sum())} images have copies with another {labels.name}, first {first}")


def choose_targets(rows: pd.DataFrame, wanted: Sequence[str] | None, cache: Path) -> list[str]:
    """Return the label columns that are meant: those named, every one for ``all``, or else the only one or ``label``.

    Raises
    ------
    JobError
        There is none, it is not clear which, or one is not there or empty.
    """
    found = label_columns(rows)
    if not found:
        raise JobError(f"{cache}: the images have no labels; give them with --labels FILE (columns 'path' and 'label')")
    if wanted is not None and list(wanted) == [ALL] and ALL not in found:
        labelled = [name for name in found if rows[name].notna().any()]
        if not labelled:
            raise JobError(f"{cache}: not one image has a label; give labels with --labels FILE")
        return labelled
    if wanted is None:
        usual = find_usual_target(found)
        if usual is None:
            raise JobError(
                f"{cache}: which of the label columns is meant? Say --target {' or --target '.join(found)}, "
                "several of them, or --target all"
            )
        wanted = [usual]
    for target in wanted:
        if target not in found:
            parts = [part for part in target.split(",") if part in found]
            several = f"; several are words of their own: --target {' '.join(parts)}" if len(parts) > 1 else ""
            raise JobError(f"{cache}: no label column {target!r}; there are {', '.join(found)}{several}")
        if rows[target].isna().all():
            raise JobError(
                f"{cache}: not one image has a {target}; give labels with --labels FILE (columns 'path' and {target!r})"
            )
    return list(dict.fromkeys(wanted))


def find_usual_target(columns: Sequence[str]) -> str | None:
    """Return the label column that is meant where nobody says it: the only one, or ``label``; None of others."""
    return "label" if "label" in columns else columns[0] if len(columns) == 1 else None


def check_task(task: str | None) -> None:
    """Tell that no task is called so.

    Raises
    ------
    JobError
        There is another name than those of tasks.
    """
    if task is not None and task not in TASKS:
        raise JobError(f"no task is called {task!r}; expected {' or '.join(TASKS)}")


def encode_target(values: "pd.Series[Any]", name: str, task: str | None = None) -> Target:
    """Return a column's values, of which none is missing, as classes or as numbers.

    Without `task`, numbers with a fraction are numbers to predict, and so are more than 100 different whole ones that
    are no ids of classes: ids repeat, and go from 0 or 1 without gaps. All else names classes. Where it could be
    meant otherwise, a note says what was taken, why, and how to say the other.

    Raises
    ------
    JobError
        The values do not fit the task, or are of several types.
    """
    check_task(task)
    numeric = pd.api.types.is_numeric_dtype(values)
    measured = numeric and not pd.api.types.is_bool_dtype(values)
    fractional = bool(measured and (values % 1 != 0).any())
    if task == "regress":
        return _numbers(values if numeric else _read_numbers(values, name), name)
    if task is None and (fractional or (measured and _is_measured(values))):
        return _numbers(values, name, why="with a fraction" if fractional else "many, with gaps")
    codes, found = pd.factorize(values)  # of millions of values few are different, and only these are sorted
    try:
        classes, place = np.unique(pd.Series(found).map(_composed).to_numpy(), return_inverse=True)
    except TypeError as error:  # what cannot be sorted is of several kinds
        raise JobError(f"target {name!r} mixes text and numbers; give it one type") from error
    whole = measured and not fractional
    names = [str(int(value)) if whole else str(value) for value in classes]
    if len(set(names)) < len(names):
        raise JobError(f"target {name!r} has classes that are written alike; give each class a name of its own")
    if not numeric and are_whole_numbers(names):  # class 10 comes after class 9
        order = np.argsort(np.array(names, dtype=np.int64))
        names, place = [names[at] for at in order], np.argsort(order)[place]
    why = "" if task else _doubt(values, names)
    note = f"target {name!r} holds {why}, taken for the names of classes ({_REGRESS}: heads predict the number)"
    notes = [*([note] if why else []), *_near_names(names, name)]
    return Target("classify", names, place[codes].astype(np.int64), notes, why, _REGRESS if why else "")


def _composed(value: Any) -> Any:
    """Return text in Unicode's composed form: é in one sign and é in two are one class."""
    return normalize("NFC", value) if isinstance(value, str) else value


def _near_names(classes: list[str], name: str) -> list[str]:
    """Return a note where classes differ only in case or in blanks at their ends, as slips do."""
    alike: dict[str, list[str]] = {}
    for one in classes:
        alike.setdefault(one.strip().casefold(), []).append(one)
    slips = [" and ".join(map(repr, names)) for names in alike.values() if len(names) > 1]
    return [f"target {name!r} has classes that differ only in case or blanks: {'; '.join(slips[:3])}"] if slips else []


def _is_measured(values: "pd.Series[Any]") -> bool:
    """Tell many different whole numbers that measure something from the ids of many classes."""
    different = np.unique(values.to_numpy(dtype=np.float64))
    if len(different) <= _MOST_CLASSES_OF_NUMBERS:
        return False
    without_gaps = different[0] in (0, 1) and different[-1] - different[0] + 1 == len(different)
    return not (without_gaps and len(values) >= _IMAGES_OF_AN_ID * len(different))


def _read_numbers(values: "pd.Series[Any]", name: str) -> "pd.Series[Any]":
    """Read numbers that are written in more than one way, such as 1.10 beside 1.1, as a person has asked for."""
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = values[numbers.isna()]
    if len(wrong):
        raise JobError(f"target {name!r} holds text, such as {wrong.iloc[0]!r}; --task regress wants numbers")
    return numbers


def _doubt(values: "pd.Series[Any]", classes: list[str]) -> str:
    """Return in few words which numbers were taken for classes, though they could be measured; empty for others."""
    if pd.api.types.is_bool_dtype(values):
        return ""
    if pd.api.types.is_numeric_dtype(values):
        without_gaps = " without gaps" if len(classes) > _MOST_CLASSES_OF_NUMBERS else ""
        return f"{len(classes)} different whole numbers{without_gaps}"
    numbers = pd.to_numeric(pd.Series(classes), errors="coerce")
    if numbers.isna().any() or are_whole_numbers(classes):
        return ""
    return f"numbers that are no plain ones ({', '.join(classes[:3])})"


def _numbers(values: "pd.Series[Any]", name: str, *, why: str = "") -> Target:
    y = values.to_numpy(dtype=np.float64)
    if not np.isfinite(y).all():
        raise JobError(
            f"target {name!r} holds {int((~np.isfinite(y)).sum())} infinite numbers; leave their cells empty, so that "
            "these images are left out"
        )
    n_different = len(np.unique(y))
    if n_different < 2:
        raise JobError(f"target {name!r} is {y[0]:g} for every image; there is nothing to predict")
    if not why:
        return Target("regress", [], y)
    note = (
        f"target {name!r} holds {n_different} different numbers, {why}: heads predict the number ({_CLASSIFY}: classes)"
    )
    return Target("regress", [], y, [note], why, _CLASSIFY)
