"""Results of fits, kept: a table of every candidate, and a history with one line a run.

The history is a folder ``runs``: ``history.jsonl``, and beside it ``<id>.parquet`` with what the winner of each run
said of every test image. It lies in the cache, which is what runs have in common, and outlives their folders; a run on
a cache that cannot be written keeps its history in its own folder.
"""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.extractors.atomic import append_line, errors_explained, write_atomically
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.errors import JobError
from headstart.flows.history.run import Run
from headstart.flows.output import as_line
from headstart.heads.report import NO_SCORE, CandidateRow
from headstart.heads.scoring import METRICS, REGRESSION_METRICS

FOLDER = "runs"
PROBABILITIES = "probabilities"
TABLE = "results.parquet"

_LINES = "history.jsonl"
_CLASSES = b"headstart.classes"
_PREDICTIONS = ("digest", "true", "predicted", "probability_of_true", "group")


def append_run(history: Path, run: Run, predictions: pd.DataFrame) -> None:
    """Add a run to a history; several processes may do so at once, and a kill harms no run but its own.

    Parameters
    ----------
    history : Path
        The folder ``runs``; made where it is missing.
    run : Run
    predictions : DataFrame
        Of the winner on the test images, one row each: ``digest`` (hex), ``true`` and ``predicted`` (class names, or
        float64 numbers), ``probability_of_true`` (float32, NaN where the head gives none), ``group`` (int); and, where
        they are kept, ``probabilities``, a float32 array of every class, named in ``attrs["classes"]``.

    Raises
    ------
    CacheError
        The folder cannot be written.
    """
    with writer_lock(history):
        buffer = io.BytesIO()
        columns = [name for name in (*_PREDICTIONS, PROBABILITIES) if name != PROBABILITIES or name in predictions]
        table = pa.Table.from_pandas(predictions[columns], preserve_index=False)
        classes = {_CLASSES: json.dumps(predictions.attrs.get("classes", []))}
        pq.write_table(table.replace_schema_metadata(table.schema.metadata | classes), buffer, compression="zstd")
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
    """Return the predictions of a run's winner for its test images, as `append_run` was given it.

    Raises
    ------
    JobError
        The file is missing or damaged.
    """
    path = history / f"{run.id}.parquet"
    try:
        schema = pq.read_schema(path)
        read = pq.read_table(path, columns=[name for name in (*_PREDICTIONS, PROBABILITIES) if name in schema.names])
        table = pd.DataFrame(read.to_pandas())
        table.attrs = {"classes": json.loads((schema.metadata or {}).get(_CLASSES, b"[]"))}
    except FileNotFoundError as error:
        raise JobError(f"{path}: the predictions of run {run.id} are gone; fit again to compare it") from error
    except (OSError, ValueError) as error:
        raise JobError(f"{path}: damaged ({error}); fit again to compare run {run.id}") from error
    return table


def write_results(
    folder: Path,
    rows: Sequence[CandidateRow],
    per_fold: Sequence[Sequence[Mapping[str, float | None]]] = (),
    *,
    run: str = "",
) -> Path:
    """Write ``results.parquet``: one row a candidate, in the order given, failed ones with their error.

    Columns are the leaderboard's, with ``params`` as JSON text; for each metric ``<metric>``, ``<metric>_low``,
    ``<metric>_high`` and the list ``<metric>_per_fold``; and ``tied`` and ``p_value`` against the winner.

    Parameters
    ----------
    folder : Path
        It exists.
    rows : sequence of CandidateRow
    per_fold : sequence of sequence of mapping, optional
        Of each row metric → value, one mapping a fold. What is absent is null.
    run : str
        Id of the run, for the schema's metadata.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    CacheError
        The file system refuses.
    """
    usual = REGRESSION_METRICS if any(row.metric in REGRESSION_METRICS for row in rows) else METRICS
    metrics = list(dict.fromkeys([*usual, *(name for row in rows for name in row.scores)]))
    folds = per_fold or [()] * len(rows)
    flat = [_flat(row, own, metrics) for row, own in zip(rows, folds, strict=True)]
    table = pa.Table.from_pylist(flat, schema=_schema(metrics).with_metadata({"run": run}))
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    path = folder / TABLE
    write_atomically(path, buffer.getvalue())
    return path


def _schema(metrics: Sequence[str]) -> pa.Schema:
    text, number = pa.string(), pa.float64()
    types = dict.fromkeys(("backbone", "weights", "label", "key", "tap", "head", "params", "metric"), text)
    types |= dict.fromkeys(("score", "low", "high"), number) | {"split": text}
    for name in metrics:
        types |= dict.fromkeys((name, f"{name}_low", f"{name}_high"), number) | {f"{name}_per_fold": pa.list_(number)}
    types |= {"fit_seconds": number, "tied": pa.bool_(), "p_value": number, "views": pa.int64()}
    types |= {"error": text, "warnings": pa.list_(text)}
    return pa.schema(list(types.items()))


def _flat(
    row: CandidateRow, per_fold: Sequence[Mapping[str, float | None]], metrics: Sequence[str]
) -> dict[str, object]:
    flat = {**vars(row), "params": as_line(row.params)}
    for name in metrics:
        score = row.scores.get(name, NO_SCORE)
        flat |= {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
        flat[f"{name}_per_fold"] = [fold.get(name) for fold in per_fold] or None
    return flat
