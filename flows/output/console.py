"""Output of the commands: JSON on standard output for programs, tables that fit one screen of 80 columns for people."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from rich import box
from rich.table import Table

from headstart.extractors.images.remote import redacted
from headstart.flows.output.json_values import plain
from headstart.flows.output.latest import as_latest
from headstart.flows.output.terminal import Console, escape

MOST_ROWS = 12  # what prints by default fits a screen


def emit_json(value: Any) -> None:
    """Print one JSON object on standard output; dataclasses become objects, paths strings."""
    sys.stdout.write(json.dumps(plain(value), indent=1, allow_nan=False) + "\n")


def fail(message: str) -> NoReturn:
    """Print one clear line on standard error, without the passwords of addresses, and end with exit status 1."""
    message = redacted(message) if "://" in message else message
    _tell(f"[bold red]headstart:[/] {escape(' '.join(message.split()))}")
    raise SystemExit(1)


def show_notes(notes: Sequence[str]) -> None:
    """Print what a person should know, on standard error."""
    for note in notes:
        _tell(f"[yellow]note:[/] {escape(note)}")


def show_line(text: str) -> None:
    """Print what a person should see before the work begins, on standard error."""
    _tell(escape(text))


def _tell(markup: str) -> None:
    """Print on standard error: between words on a screen, and as one line where programs read it."""
    console = Console(stderr=True)
    console.print(markup, highlight=False, soft_wrap=not console.is_terminal)


def nearby(path: str) -> str:
    """Write a path as seen from the current folder where it lies below it."""
    here, there = Path.cwd(), Path(path).absolute()
    return str(there.relative_to(here)) if there.is_relative_to(here) else str(there)


def show_files(table: str, page: str) -> None:
    """Print where a table and a page are, under the names by which the latest are found."""
    console = Console()
    console.print(f"\ntable   {escape(nearby(str(as_latest(table))))}", highlight=False, soft_wrap=True)
    there = escape(nearby(str(as_latest(page))))
    console.print(f"page    {there}   ← open this in a browser", highlight=False, soft_wrap=True)


def table_of(*columns: str) -> Table:
    """Make a table whose second column gives way on a narrow screen; names to copy and numbers never break."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=number != 1)
    return table


def size_text(n_bytes: int) -> str:
    """Write a number of bytes as people read it: ``1.2 MB``."""
    size, unit = float(n_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.1f} {unit}"
