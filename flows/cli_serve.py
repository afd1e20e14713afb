"""The command that serves an experiment; `flows.cli` adds it to the others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from headstart.flows.output.console import show_notes

if TYPE_CHECKING:  # 'headstart --help' waits for no Prefect
    from headstart.flows.serving.server import Served


def serve(
    experiment: Annotated[Path, typer.Argument(help="A TOML file; see README.md.", show_default=False)],
    cron: Annotated[
        str | None, typer.Option(help="When to run: minute, hour, day, month, weekday, such as '0 2 * * *'.")
    ] = None,
    interval: Annotated[str | None, typer.Option(help="Time between two starts: seconds, or 30m, 1h, 1d.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Run whenever the images changed and are still.")] = False,
    look_every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks of --watch.")] = 60.0,
    timezone: Annotated[str, typer.Option(help="Of --cron, such as Europe/Berlin.")] = "UTC",
    name: Annotated[str | None, typer.Option(help="Of the deployment.", show_default="the experiment's")] = None,
) -> None:
    """Run an experiment on a schedule, or on demand, steered in Prefect's UI; needs a Prefect server."""
    from headstart.flows.serving.schedules import read_when
    from headstart.flows.serving.server import serve as run_serve

    when = read_when(cron, interval, watch=watch, timezone=timezone)
    run_serve(experiment, when, name=name, look_every=look_every, on_ready=_show)


def _show(served: "Served") -> None:
    console = Console(stderr=True)
    lines = [
        f"serving [bold]{escape(served.deployment)}[/] {escape(served.when)}; Ctrl-C ends it and pauses its schedule",
        f"run now   prefect deployment run {escape(repr(served.deployment))}",
        f"look at   {escape(served.address)}",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)  # a command and an address are there to be copied
    show_notes(served.notes)
