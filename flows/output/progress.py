"""How a job gets on, told on standard error, so that standard output carries results alone."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from headstart.flows.output.console import show_notes
from headstart.flows.output.terminal import Console

Advance = Callable[[int], None]
Begin = Callable[[str], None]


class _Rate(ProgressColumn):
    """Units a second, over the last moments while running and the whole once finished; until the first, the time."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        waited = f"{task.elapsed:.0f} s" if task.elapsed and task.elapsed >= 1 and not task.completed else ""
        return Text(f"{speed:,.0f} {self._unit}/s" if speed else waited, style="cyan")


@contextmanager
def progress_bar(description: str, total: int, *, unit: str = "images", show: bool = True) -> Iterator[Advance]:
    """Show a bar with rate and time left; yields a function that is called with how many more are done."""
    if not show or not total:
        yield lambda _: None
        return
    columns = [
        TextColumn("{task.description}"),
        BarColumn(20),
        MofNCompleteColumn(),
        _Rate(unit),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(description, total=total)
        yield lambda count: bars.advance(task, count)


@contextmanager
def phases(first: str = "", *, show: bool = True) -> Iterator[Begin]:
    """Show what is being done, and for how long; yields a function that is called with the name of each next phase.

    On a terminal it is one line, which goes when all phases are over; anywhere else it is nothing.
    """
    if not show:
        yield lambda _: None
        return
    columns = [TextColumn("{task.description}", markup=False), TimeElapsedColumn()]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(first, total=None, visible=bool(first))
        yield lambda name: bars.reset(task, description=name, total=None, visible=True)


def say_waiting(lock: Path) -> None:
    """Say that another process writes into the same embeddings, and that this one waits."""
    show_notes([f"another process writes these embeddings; waiting for it to end ({lock})"])
