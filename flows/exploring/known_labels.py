"""Labels that are known so far, and the file in which a person adds some: read, written, and never lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.errors import ImageSetError
from headstart.extractors.images import ImageRoot, label_columns, read_manifest
from headstart.flows.errors import JobError
from headstart.flows.problem import encode_target, find_usual_target, merge_labels

_SCORED = ("val", "test")  # which choose or score a model, and teach it nothing


@dataclass(frozen=True)
class KnownLabels:
    """Images, and the labels that are known of them.

    Attributes
    ----------
    rows : DataFrame
        ``path``, ``split``, ``group`` and the label columns of every image, `target` among them.
    target : str
        The label column that is to be filled in.
    class_names : list of str
        None where numbers are to be predicted.
    codes : int array (n_images,)
        Number of each image's class; -1 where it has no label, and 0 where that is a number.
    """

    rows: pd.DataFrame
    target: str
    class_names: list[str]
    codes: npt.NDArray[np.intp]

    @property
    def with_label(self) -> npt.NDArray[np.intp]:
        """Images with a label, of no split that chooses or scores."""
        return np.flatnonzero((self.codes >= 0) & ~self.rows["split"].isin(_SCORED))

    @property
    def without_label(self) -> npt.NDArray[np.intp]:
        """Images without one, of no split that chooses or scores."""
        return np.flatnonzero((self.codes < 0) & ~self.rows["split"].isin(_SCORED))


def read_known(
    rows: pd.DataFrame,
    root: ImageRoot,
    notes: list[str],
    *,
    labels: Path | None,
    target: str | None,
    task: str | None,
) -> KnownLabels:
    """Gather the labels of a listing, or of a file in their place; there may be none at all.

    Raises
    ------
    JobError
        It is not clear which column is meant, or its values do not fit the task.
    """
    if labels is not None:
        rows = merge_labels(labels, rows, root, notes)
    columns = label_columns(rows)
    column = target or (find_usual_target(columns) if columns else "label")
    if column is None:
        raise JobError(f"which of the label columns is meant? Say --target {' or --target '.join(columns)}")
    if columns and column not in columns:
        raise JobError(f"no label column {column!r}; there are {', '.join(columns)}; to begin one, add it, empty")
    known = rows[["path", "split", "group", *columns]].reset_index(drop=True)
    known = known if columns else known.assign(**{column: None})
    codes, names = np.full(len(known), -1, dtype=np.intp), []
    has_label = known[column].notna().to_numpy()
    if has_label.any():
        found = encode_target(known[column][has_label], column, task)
        names = found.class_names
        codes[has_label] = found.y if found.task == "classify" else 0
        notes += found.notes
    return KnownLabels(known, column, names, codes)


def write_to_fill(file: Path, known: KnownLabels, chosen: Sequence[str], root: ImageRoot) -> None:
    """Write a table of labels: first the images that were chosen, whose label is empty, then all that have one.

    So `fit --labels` and the next choice take the file alone, once it is filled in.

    Raises
    ------
    JobError
        A file of that name is no table of labels, or holds some that would be lost.
    CacheError
        The file system refuses.
    """
    if file.suffix.lower() != ".csv":
        raise JobError(f"{file}: labels are written as CSV; end the name in .csv (--out FILE)")
    columns = label_columns(known.rows)
    if file.exists():
        _refuse_loss(file, known, root)
    labelled = known.rows["path"][known.rows[columns].notna().any(axis=1)]
    table = known.rows.set_index("path", drop=False).loc[[*chosen, *labelled[~labelled.isin(chosen)]]]
    own = [name for name in ("split", "group") if table[name].notna().any()]
    table = table[["path", *own, *columns]].assign(**{name: _as_written(table[name]) for name in columns})
    write_atomically(file, table.to_csv(index=False, errors="backslashreplace").encode(errors="backslashreplace"))


def _as_written(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return whole numbers as such again: beside images without one, pandas makes fractions of them."""
    if column.dtype.kind == "f" and not (column.dropna() % 1).any():
        return column.astype("Int64")
    return column


def _refuse_loss(file: Path, known: KnownLabels, root: ImageRoot) -> None:
    """Refuse to write over a file that holds another label than those that are known."""
    other = "name another file (--out FILE)"
    try:
        there = read_manifest(file)
    except ImageSetError as error:
        raise JobError(f"{file}: is there, and no table of labels; {other}") from error
    columns = label_columns(there)
    if known.target not in columns:
        raise JobError(f"{file}: is there, without a column {known.target!r}; {other}")
    labelled = there[there[columns].notna().any(axis=1)]
    if labelled.empty:
        return
    bare = known.rows[["path", "split", "group"]]
    try:
        merged = merge_labels(file, bare, root, [])
    except JobError:
        merged = bare.assign(**dict.fromkeys(columns))
    n_kept = 0
    for name in (name for name in columns if name in known.rows):
        same = merged[name].notna() & (merged[name].map(_spelt) == known.rows[name].map(_spelt))
        n_kept += int(same.sum())
    n_lost = int(labelled[columns].notna().sum().sum()) - n_kept
    if n_lost:
        raise JobError(
            f"{file}: holds {n_lost} labels that would be lost; give it as --labels {file}, or {other}",
        )


def _spelt(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
