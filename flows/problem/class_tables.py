"""Weights and costs of classes as people give them, by name: a word, a text, a table, or a CSV file."""

import csv
import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import numpy.typing as npt

from headstart.flows.errors import JobError

BALANCED = "balanced"
LARGEST_TABLE = 2**24  # bytes of a CSV file: a thousand classes have a million costs

Weights = str | Mapping[str, float]
Costs = str | Path | Mapping[str, Mapping[str, float]]


def read_weights(given: Weights) -> str | dict[str, float]:
    """Return ``balanced``, or the weight of each class that is named.

    Parameters
    ----------
    given : str or mapping of str to float
        ``balanced``, a text such as ``bee=3,ant=1``, or a table.

    Raises
    ------
    JobError
        It is none of these, or a weight is no finite number above 0.
    """
    if given == BALANCED:
        return BALANCED
    named: Mapping[str, object] = (
        dict(_pairs(given, "class weights", "balanced, or bee=3,ant=1")) if isinstance(given, str) else given
    )
    found = {name: _number(value, f"the weight of class {name!r}") for name, value in named.items()}
    if not found:
        raise JobError("class weights: no class is named; give balanced, or bee=3,ant=1")
    for name, value in found.items():
        if not value > 0:
            raise JobError(
                f"the weight of class {name!r} is {value:g}, expected above 0; to leave a class out, unlabel it"
            )
    return found


def number_weights(
    weights: str | Mapping[str, float], class_names: list[str], left_out: Iterable[str] = ()
) -> str | dict[int, float]:
    """Return ``balanced``, or the weight of each class by its number; a class that is not named weighs 1.

    Classes that were `left_out` of the fit may be named.

    Raises
    ------
    JobError
        A name is no class; the message names the nearest.
    """
    if isinstance(weights, str):
        return weights
    for name in weights:
        _require_class(name, class_names, left_out, "class weights")
    return {number: float(weights.get(name, 1.0)) for number, name in enumerate(class_names)}


def _is_written_out(given: object) -> bool:
    """Tell costs that are written out, as in ``bee:ant=10``, from the name of a file, which has no ``=``."""
    return "=" in str(given)


def read_costs(given: Costs) -> dict[tuple[str, str], float]:
    """Return the costs of taking an image of the first class for one of the second.

    Parameters
    ----------
    given : path-like, str, or mapping of str to mapping of str to float
        A CSV file with ``true``, ``predicted`` and ``cost``, a text such as ``bee:ant=10,ant:bee=1``, true class first,
        or a table of tables: ``{"bee": {"ant": 10}}``.

    Raises
    ------
    JobError
        It is none of these, or a cost is no finite number of at least 0.
    """
    if isinstance(given, Mapping):
        cells: list[tuple[str, str, object]] = []
        for true, row in given.items():
            if not isinstance(row, Mapping):
                raise JobError(f"costs: {true!r} is {row!r}, expected a table: {{ {true} = {{ other-class = 10 }} }}")
            cells += [(true, taken, value) for taken, value in row.items()]
    elif _is_written_out(given):
        cells = []
        for name, number in _pairs(str(given), "costs", "a CSV file, or bee:ant=10,ant:bee=1"):
            true, colon, taken = name.partition(":")
            if not colon:
                raise JobError(f"costs: {name!r} names one class, expected two, true:predicted, as in bee:ant=10")
            cells.append((true.strip(), taken.strip(), number))
    else:
        cells = _read_csv(Path(given))
    found: dict[tuple[str, str], float] = {}
    for true, taken, value in cells:
        cost = _number(value, f"the cost of taking {true!r} for {taken!r}")
        if (true, taken) in found or cost < 0:
            wrong = "is given twice" if (true, taken) in found else f"is {cost:g}, expected at least 0"
            raise JobError(f"the cost of taking {true!r} for {taken!r} {wrong}; correct it in the table of costs")
        found[true, taken] = cost
    if not found:
        raise JobError("costs: none is given; give a CSV file with true,predicted,cost, or bee:ant=10,ant:bee=1")
    return found


def number_costs(
    costs: Mapping[tuple[str, str], float], class_names: list[str], left_out: Iterable[str] = ()
) -> npt.NDArray[np.float64]:
    """Return the costs (n_classes, n_classes) by classes' numbers, true class first.

    What is not given costs 1 where the classes differ, and nothing where they are the same.

    Raises
    ------
    JobError
        A name is no class; the message names the nearest.
    """
    left_out, known = set(left_out), {name: number for number, name in enumerate(class_names)}
    table = 1.0 - np.eye(len(class_names))
    for pair, cost in costs.items():
        for name in pair:
            _require_class(name, class_names, left_out, "costs")
        if not left_out.intersection(pair):
            table[known[pair[0]], known[pair[1]]] = cost
    return table


def table_text(given: object) -> str:
    """Write a table as the text that a command takes; what is none, as it is."""
    if not isinstance(given, Mapping):
        return str(given)
    cells = {
        f"{name}:{taken}" if taken else name: number
        for name, value in given.items()
        for taken, number in (value.items() if isinstance(value, Mapping) else [("", value)])
    }
    return ",".join(f"{name}={number:g}" for name, number in cells.items())


def _pairs(text: str, what: str, example: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.rpartition("=")
        if not equals or not name.strip():
            raise JobError(f"{what}: {part!r} cannot be read; expected {example}")
        if name.strip() in dict(found):
            raise JobError(f"{what}: {name.strip()!r} is given twice; give it once")
        found.append((name.strip(), value.strip()))
    return found


def _number(value: object, what: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # whatever a table holds
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise JobError(f"{what} is {value!r}, expected a finite number; correct it")
    return number


def _require_class(name: str, class_names: list[str], left_out: Iterable[str], what: str) -> None:
    if name in class_names or name in left_out:
        return
    near = get_close_matches(name, class_names, n=1, cutoff=0.4)
    shown = ", ".join(class_names[:10]) + (", …" if len(class_names) > 10 else "")
    meant = f"did you mean {near[0]!r}? " if near else ""
    raise JobError(f"{what}: no class is called {name!r}; {meant}The classes are {shown}")


def _read_csv(path: Path) -> list[tuple[str, str, object]]:
    columns = ("true", "predicted", "cost")
    try:
        if path.stat().st_size > LARGEST_TABLE or not path.is_file():
            raise JobError(f"{path}: is no table of costs; give a CSV file with the columns {', '.join(columns)}")
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not set(columns) <= set(reader.fieldnames or ()):
                raise JobError(
                    f"{path}: has the columns {', '.join(reader.fieldnames or ()) or 'none'}, expected "
                    f"{', '.join(columns)}: what it costs to take an image of class true for one of class predicted"
                )
            return [(row["true"], row["predicted"], row["cost"]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise JobError(
            f"{path}: cannot be read ({error}); give a CSV file with {', '.join(columns)}, or bee:ant=10,ant:bee=1"
        ) from error
