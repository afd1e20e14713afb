"""Vectors of classes, as people have them: a CSV table of attributes or words, arrays by name, or names alone."""

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

from headstart.flows.errors import JobError

LARGEST = 2**30  # bytes
NAMES = ("class", "label", "name")
"""Columns that hold the classes' names, the first that there is; else the first column of the table does."""

_SUFFIXES = ".csv, .npz or .safetensors"
Given = str | Path | Mapping[str, Sequence[float]] | Sequence[str]


@dataclass(frozen=True)
class ClassVectors:
    """Classes and what describes them.

    Attributes
    ----------
    names : list of str
    vectors : float64 array of shape (n_classes, n_attributes)
        Of no columns where there are names alone.
    where : str
        For messages.
    """

    names: list[str]
    vectors: npt.NDArray[np.float64]
    where: str


def read_classes(given: Given) -> ClassVectors:
    """Read classes and their vectors.

    Parameters
    ----------
    given : path-like, mapping of str to sequence of float, or sequence of str
        A CSV file, a row a class: a column ``class`` (or ``label``, ``name``, or the first), and numbers in all others.
        An ``.npz`` or ``.safetensors`` file: a vector under each class's name; or, in the former, ``classes`` and
        ``vectors``. A table; or names alone.

    Raises
    ------
    JobError
        It cannot be read, a class is there twice, or what should be a number is none.
    """
    if isinstance(given, (str, Path)):
        path = Path(given)
        pairs, where = list(_read(path)), str(path)
    elif isinstance(given, Mapping):
        pairs, where = list(given.items()), "classes"
    else:
        pairs, where = [(name, ()) for name in given], "classes"
    if not pairs:
        raise JobError(f"{where}: holds no class; give a row for each, its name and its numbers")
    names = [normalize("NFC", str(name)).strip() for name, _ in pairs]
    _refuse_twice(names, where)
    return ClassVectors(names, _stacked(names, [values for _, values in pairs], where), where)


def _read(path: Path) -> Iterator[tuple[str, Any]]:
    readers = {".csv": _read_csv, ".npz": _read_npz, ".safetensors": _read_safetensors}
    if path.suffix.lower() not in readers:
        raise JobError(f"{path}: class vectors are read from {_SUFFIXES}; end the name so")
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise JobError(f"{path}: there is no such file of class vectors; give a {_SUFFIXES} file by --classes")
        yield from readers[path.suffix.lower()](path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JobError(f"{path}: cannot be read ({error}); give a {_SUFFIXES} file of class vectors") from error


def _read_csv(path: Path) -> Iterator[tuple[str, Sequence[float]]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file)
        header = [one.strip() for one in next(rows, [])]
        at = next((header.index(name) for name in NAMES if name in header), 0)
        for number, row in enumerate(rows, start=2):
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header) or not row[at].strip():
                raise JobError(
                    f"{path}, line {number}: has {len(row)} cells and the class {row[at] if at < len(row) else ''!r}, "
                    f"expected {len(header)} cells with a name among them: {', '.join(header[:5])}"
                )
            cells = [(name, cell) for place, (name, cell) in enumerate(zip(header, row, strict=True)) if place != at]
            yield row[at], [_number(cell, f"{path}, line {number}, {name}") for name, cell in cells]


def _number(cell: str, where: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise JobError(f"{where}: holds {cell!r}, expected a number; write 0 or 1 for no and yes") from error


def _read_npz(path: Path) -> Iterator[tuple[str, Any]]:
    import zipfile  # noqa: PLC0415 - for its error alone

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    except (ValueError, zipfile.BadZipFile, KeyError, EOFError) as error:
        raise JobError(
            f"{path}: is no readable .npz file ({error}); write it with numpy.savez, without objects"
        ) from error
    if set(held) == {"classes", "vectors"}:
        if len(held["classes"]) != len(held["vectors"]):
            raise JobError(
                f"{path}: has {len(held['classes'])} classes and {len(held['vectors'])} vectors; give each class one"
            )
        yield from zip(map(str, held["classes"]), held["vectors"], strict=True)
    else:
        yield from held.items()


def _read_safetensors(path: Path) -> Iterator[tuple[str, Any]]:
    from safetensors import SafetensorError  # noqa: PLC0415 - with `numpy`, only for who gives such a file
    from safetensors.numpy import load_file  # noqa: PLC0415 - likewise

    try:
        yield from load_file(path).items()
    except SafetensorError as error:
        raise JobError(f"{path}: is no readable safetensors file ({error}); write it again") from error


def _refuse_twice(names: Sequence[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise JobError(f"{where}: has {listed(twice)} more than once; keep one row for each class")


def _stacked(names: Sequence[str], vectors: Sequence[Any], where: str) -> npt.NDArray[np.float64]:
    found = []
    for name, values in zip(names, vectors, strict=True):
        try:
            one = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            raise JobError(f"{where}: the vector of {name!r} holds no numbers ({error}); give numbers alone") from error
        if one.ndim != 1 or len(one) != len(np.atleast_1d(vectors[0])):
            raise JobError(
                f"{where}: the vector of {name!r} has the shape {one.shape}, expected one row of "
                f"{len(np.atleast_1d(vectors[0]))} numbers as {names[0]!r} has; give all classes the same columns"
            )
        if not all(map(math.isfinite, one)):
            raise JobError(f"{where}: the vector of {name!r} holds a number that is not finite; fill the cell in")
        found.append(one)
    return np.stack(found)


def listed(names: Iterable[str], most: int = 5) -> str:
    """Write names for a message, the first few of many."""
    some = list(names)
    return ", ".join(map(repr, some[:most])) + (f" and {len(some) - most} more" if len(some) > most else "")
