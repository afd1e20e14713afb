"""An experiment file read, with every relative path in it anchored to a folder."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headstart.extractors.images import is_url
from headstart.extractors.spec import RESERVED_WEIGHTS
from headstart.flows.errors import JobError
from headstart.flows.experiment.tables import Experiment

LARGEST_EXPERIMENT = 2**20  # bytes; one has a hundred lines
MOST_DOTS = 5_000  # reading a.b.c… = 1 takes time and memory by the square of the dots: 0.1 GB for so many
_MOST_NAMED = 10


def read_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file; cache and results stand beside it unless it says otherwise.

    Raises
    ------
    JobError
        The file is missing, is no TOML, or has unknown or missing fields; the message names each.
    """
    file = Path(path)
    values = _read_toml(file)
    values = {"name": file.stem, "cache": f"{file.stem}.headstart", "out": f"{file.stem}.results"} | values
    try:
        return Experiment(**anchor_values(values, file.resolve().parent))
    except ValidationError as error:
        faults = [f"{_place(fault['loc'], values)}: {fault['msg']}" for fault in error.errors()]
        more = [f"and {len(faults) - _MOST_NAMED} more such faults"] if len(faults) > _MOST_NAMED else []
        raise JobError(f"{file}: {'; '.join([*faults[:_MOST_NAMED], *more])}") from error


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST_EXPERIMENT + 1)
    except OSError as error:
        raise JobError(
            f"{file}: cannot be read ({error.strerror}); name an experiment file, see README.md for an example"
        ) from error
    for found, most, what in (
        (len(content), LARGEST_EXPERIMENT, "bytes"),
        (content.count(b"."), MOST_DOTS, "dots"),
    ):
        if found > most:
            raise JobError(f"{file}: has over {most} {what}, and is no experiment; see README.md for an example")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # of which the former is also told of numbers without an end
        raise JobError(f"{file}: is no TOML: {error}; see README.md for an example") from error


def anchor_values(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths absolute, so that a flow finds them wherever it runs."""

    def place(table: dict[str, Any], *names: str) -> dict[str, Any]:
        return table | {name: _anchor(table[name], folder) for name in names if isinstance(table.get(name), str)}

    anchored = place(values, "images", "cache", "out")
    if isinstance(values.get("security"), dict):
        anchored["security"] = _anchored_roots(values["security"], folder)
    if isinstance(values.get("extract"), list):
        anchored["extract"] = [
            place(table, "weights") if isinstance(table, dict) and _is_file(table.get("weights"), folder) else table
            for table in values["extract"]
        ]
    for kind in ("fit", "finetune"):
        tables = values.get(kind)
        if isinstance(tables, dict | list):
            several = tables if isinstance(tables, list) else [tables]
            anchored[kind] = [
                place(table, "labels", *_files_named(table, folder)) if isinstance(table, dict) else table
                for table in several
            ]
    return anchored


def _files_named(table: Mapping[str, object], folder: Path) -> list[str]:
    """Return the keys of a table whose texts are files, and no published weights or costs written out."""
    weights = ["weights"] if _is_file(table.get("weights"), folder) else []
    return weights if "=" in str(table.get("costs")) else [*weights, "costs"]


def _anchor(place: str, folder: Path) -> str:
    """Make a path absolute; a URL is so already, and a path would lose one of its slashes."""
    return place if is_url(place) else str(folder / Path(place).expanduser())


def _anchored_roots(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    roots = table.get("roots")
    if not isinstance(roots, list):
        return table
    return table | {"roots": [_anchor(root, folder) if isinstance(root, str) and root else root for root in roots]}


def _place(location: tuple[int | str, ...], values: dict[str, Any]) -> str:
    """Write where a fault is, as the file has it: ``[fit]`` has no number."""
    alone = location[:1] in (("fit",), ("finetune",)) and isinstance(values.get(str(location[0])), dict)
    return ".".join(str(part) for part in location if not (alone and part == 0))


def _is_file(weights: Any, folder: Path) -> bool:
    """Tell weights that are a file, perhaps beside the experiment, from names such as ``default``."""
    return (
        isinstance(weights, str) and weights not in RESERVED_WEIGHTS and (folder / Path(weights).expanduser()).is_file()
    )
