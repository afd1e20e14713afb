"""Rows of `bench_gpu.py`'s table, printed by the process that measures for the one that draws."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NO_TIME = "left out: no time was left"


def say(what: str, setting: str = "", **values: Any) -> None:
    """Print a row."""
    print(json.dumps({"what": what, "setting": setting, **values}), flush=True)


@contextmanager
def failing_in_its_row(what: str, setting: str = "") -> Iterator[None]:
    """Let what fails be a row with its reason, so that all else is measured."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, the table says it, and the exit status
        reason = (str(error).strip().splitlines() or ["it says no more"])[0]
        say(what, failed=f"{f'{setting}: ' if setting else ''}{type(error).__name__}: {reason}")
