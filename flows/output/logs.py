"""Structured logs on demand: one JSON object a line, of every shard, every candidate and every fit.

The environment variable ``HEADSTART_LOG`` says where to: ``stderr``, or a file to which lines are added. Without it
nothing is written. It is a variable and no option, because a process that a Prefect worker or a Dask scheduler starts
has no command line of ours, but an environment. Several processes may add to one file.

Records go through the standard `logging` module, at level INFO, so that a program that embeds headstart routes them as
it does its own. A line has ``time`` (UTC), ``level``, ``logger``, ``message``, and the fields of its logger:

- ``headstart.extraction``: ``key, backbone, shard, shards, rows, unreadable, seconds``
- ``headstart.sweep``: ``key, backbone, tap, head, params, metric, score, seconds, error``; with nested folds ``stage``
- ``headstart.fit``: ``run, cache, results, key, head, metric, score, low, high, images, candidates, seconds``
"""

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from headstart.flows.errors import JobError
from headstart.flows.output.json_values import as_line

if TYPE_CHECKING:  # each of these loads torch, scikit-learn or pandas, for which an extraction need not wait
    from headstart.extractors.extraction import MissingRows, ShardResult
    from headstart.heads.sweep import Result

_Step = TypeVar("_Step")

VARIABLE = "HEADSTART_LOG"

_ROOT = "headstart"


class JsonLines(logging.Formatter):
    """Write a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end; what JSON cannot hold becomes text, and numbers that are not finite null."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in getattr(record, "fields", {}).items() if name not in line}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return as_line(line)


def log_event(subject: str, message: str, **fields: Any) -> None:
    """Log what happened, with its numbers as fields; it is written where ``HEADSTART_LOG`` or a program asks for it.

    Parameters
    ----------
    subject : str
        ``extraction``, ``sweep`` or ``fit``: the record's logger is ``headstart.<subject>``.
    message : str
        For people.
    **fields
        For programs: plain values, and no secrets.

    Raises
    ------
    JobError
        The file that ``HEADSTART_LOG`` names cannot be written.
    """
    attach_json_lines(os.environ.get(VARIABLE, ""))
    logging.getLogger(f"{_ROOT}.{subject}").info(message, extra={"fields": fields})


@cache
def attach_json_lines(place: str) -> logging.Handler | None:
    """Have headstart's records written as lines of JSON to a place, once in a process; to none where it is empty.

    Parameters
    ----------
    place : str
        ``stderr``, a file, or ``""``.

    Raises
    ------
    JobError
        The file cannot be written.
    """
    if not place:
        return None
    handler: logging.Handler
    try:
        handler = (
            logging.StreamHandler(sys.stderr) if place == "stderr" else logging.FileHandler(Path(place), "a", "utf-8")
        )
    except OSError as error:
        raise JobError(
            f"{VARIABLE}={place}: cannot be written ({error.strerror}); name another file, or stderr"
        ) from error
    handler.setFormatter(JsonLines())
    root = logging.getLogger(_ROOT)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return handler


def timed(steps: Iterable[_Step]) -> Iterator[tuple[_Step, float]]:
    """Yield each step with the seconds for which it was waited."""
    begun = time.monotonic()
    for step in steps:
        yield step, time.monotonic() - begun
        begun = time.monotonic()


def record_shard(extraction: "MissingRows", number: int, result: "ShardResult", seconds: float) -> None:
    """Log what came of a shard of an extraction; `number` counts from 0."""
    backbone, n_shards = extraction.store.key.backbone, len(extraction.shards)
    log_event(
        "extraction",
        f"{backbone}, shard {number + 1} of {n_shards}: {result.embedded} rows in {seconds:.1f} s",
        key=extraction.store.key.id,
        backbone=backbone,
        shard=number + 1,
        shards=n_shards,
        rows=result.embedded,
        unreadable=len(result.unreadable) + len(result.not_read),
        seconds=round(seconds, 3),
    )


def record_candidate(result: "Result", metric: str, stage: str = "") -> None:
    """Log what one candidate of a sweep reached, or why it failed; of several sweeps, `stage` says which it was."""
    candidate, score = result.candidate, result.scores.get(metric)
    value = score.value if score else None
    log_event(
        "sweep",
        f"{candidate.head} on {candidate.backbone}, {candidate.tap}: {result.error or f'{metric} {value}'}",
        key=candidate.key,
        backbone=candidate.backbone,
        tap=candidate.tap,
        head=candidate.head,
        params=dict(candidate.params),
        metric=metric,
        score=value,
        seconds=round(result.fit_seconds, 3),
        error=result.error,
        **({"stage": stage} if stage else {}),
    )
