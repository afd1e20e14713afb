"""What fits found, kept: a table of every candidate, and a history with one line a run.

The history is a folder ``runs``: ``history.jsonl``, and beside it ``<id>.parquet`` with what the winner of each run
said of every test image. It lies in the cache, since results folders are overwritten by the next fit and the cache is
what runs have in common; a run on a cache that cannot be written keeps its history in its results folder.
"""

import io
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.extractors.atomic import append_line, errors_explained, write_atomically
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.errors import JobError
from headstart.flows.output import as_line, plain
from headstart.heads.scoring import METRICS, REGRESSION_METRICS

FOLDER = "runs"
TABLE = "results.parquet"
FORMAT_VERSION = 1

_LINES = "history.jsonl"
_PREDICTIONS = ("digest", "true", "predicted", "probability_of_true", "group")


@dataclass(frozen=True, kw_only=True)
class Run:
    """One fit: what was asked for, on what, and what came of it.

    Attributes
    ----------
    id, time : str
        Sortable by time, in UTC; see `new_id`.
    settings, versions : dict
        What was asked for, and what computed it.
    data : dict
        ``cache, name, target, n_images, n_classes, n_test``, and digests ``images, train, test`` of which images with
        which labels these were: runs are ranked together only on the same test images.
    embedding : dict
        The winner's key, as `EmbeddingKey.as_dict` gives it.
    winner, test : dict
        As in `FitSummary`.
    results : str
        Absolute path of the results folder.
    n_candidates : int
    seconds : float
    """

    id: str
    time: str
    settings: dict[str, Any]
    versions: dict[str, Any]
    data: dict[str, Any]
    embedding: dict[str, Any]
    winner: dict[str, Any]
    test: dict[str, Any]
    results: str
    n_candidates: int
    seconds: float

    def as_line(self) -> str:
        """Return one line of JSON without its end."""
        return as_line({"format_version": FORMAT_VERSION} | plain(self))

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """Read what `as_line` wrote.

        Raises
        ------
        ValueError
            The line is damaged, or of another format.
        """
        values = json.loads(line)
        if not isinstance(values, dict) or values.get("format_version") != FORMAT_VERSION:
            raise ValueError(f"expected a run in format {FORMAT_VERSION}")
        for field in fields(cls):
            found = values.get(field.name)
            if found is None or (str(field.type).startswith("dict") and not isinstance(found, dict)):
                raise ValueError(f"{field.name} is {found!r}")
        return cls(**{field.name: values[field.name] for field in fields(cls)})


def new_id(now: datetime | None = None) -> str:
    """Return a run's id: date and time in UTC, then four hex digits that tell runs of one second apart."""
    return f"{(now or datetime.now(UTC)):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def append_run(history: Path, run: Run, predictions: pd.DataFrame) -> None:
    """Add a run to a history; several processes may do so at once, and a kill harms no run but its own.

    Parameters
    ----------
    history : Path
        The folder ``runs``; made where it is missing.
    run : Run
    predictions : DataFrame
        Of the winner on the test images, one row each: ``digest`` (hex), ``true`` and ``predicted`` (class names, or
        float64 numbers), ``probability_of_true`` (float32, NaN where the head gives none), ``group`` (int).

    Raises
    ------
    CacheError
        The folder cannot be written.
    """
    with writer_lock(history):
        buffer = io.BytesIO()
        predictions[list(_PREDICTIONS)].to_parquet(buffer, index=False, compression="zstd")
        write_atomically(history / f"{run.id}.parquet", buffer.getvalue())
        append_line(history / _LINES, run.as_line())


def read_runs(history: Path) -> tuple[list[Run], list[str]]:
    """Return the runs of a history, oldest first, and a note for each line that is damaged; of none, empty lists.

    Raises
    ------
    CacheError
        The file is there and cannot be read.
    """
    path = history / _LINES
    if not path.exists():
        return [], []
    with errors_explained(path):
        lines = path.read_bytes().split(b"\n")
    runs, notes = [], []
    for number, line in enumerate(lines, 1):
        try:
            runs += [Run.from_line(line)] if line.strip() else []
        except ValueError as error:
            notes.append(f"{path}, line {number}: no run can be read here and it is left out ({error})")
    return sorted(runs, key=lambda run: run.id), notes


def read_predictions(history: Path, run: Run) -> pd.DataFrame:
    """Return what a run's winner said of its test images, as `append_run` was given it.

    Raises
    ------
    JobError
        The file is missing or damaged.
    """
    path = history / f"{run.id}.parquet"
    try:
        table = pq.read_table(path, columns=list(_PREDICTIONS)).to_pandas()
    except FileNotFoundError as error:
        raise JobError(f"{path}: the predictions of run {run.id} are gone; fit again to compare it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise JobError(f"{path}: damaged ({error}); fit again to compare run {run.id}") from error
    return pd.DataFrame(table)


def write_results(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write ``results.parquet``: one row a candidate, in the order given, failed ones with their error.

    Columns are the leaderboard's, with ``params`` as JSON text; for each metric ``<metric>``, ``<metric>_low``,
    ``<metric>_high`` and the list ``<metric>_per_fold``; and ``tied`` and ``p_value`` against the winner.

    Parameters
    ----------
    folder : Path
        It exists.
    rows : sequence of mapping
        As `flows.fitting.leaderboard_row` gives them; and where known ``per_fold`` (a list of metric → value, one a
        fold), ``tied`` (bool) and ``p_value`` (float). What is absent is null.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    CacheError
        The file system refuses.
    """
    usual = REGRESSION_METRICS if any(row["metric"] in REGRESSION_METRICS for row in rows) else METRICS
    metrics = list(dict.fromkeys([*usual, *(name for row in rows for name in row["scores"])]))
    text, number = pa.string(), pa.float64()
    types = dict.fromkeys(("backbone", "weights", "label", "key", "tap", "head", "params", "metric"), text)
    types |= dict.fromkeys(("score", "low", "high"), number) | {"split": text}
    for name in metrics:
        types |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), number) | {f"{name}_per_fold": pa.list_(number)}
    types |= {"fit_seconds": number, "tied": pa.bool_(), "p_value": number}
    types |= {"error": text, "warnings": pa.list_(text)}
    table = pa.Table.from_pylist([_flat(row, metrics) for row in rows], schema=pa.schema(list(types.items())))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    path = folder / TABLE
    write_atomically(path, buffer.getvalue())
    return path


def _flat(row: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    flat = {**row, "params": as_line(row["params"])}
    for name in metrics:
        score = row["scores"].get(name, {})
        flat |= {name: score.get("value"), f"{name}_low": score.get("low"), f"{name}_high": score.get("high")}
        flat[f"{name}_per_fold"] = [fold.get(name) for fold in row["per_fold"]] if row.get("per_fold") else None
    return flat
