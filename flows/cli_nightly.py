"""The command that holds one night now; `flows.cli` adds it to the others."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from headstart.flows.cli_options import Json
from headstart.flows.output.console import emit_json, show_notes


def nightly(
    experiment: Annotated[Path, typer.Argument(help="A TOML file; see README.md.", show_default=False)],
    json: Json = False,
) -> None:
    """Embed what is new, fit again if that matters, and compare with the last night, as a schedule would."""
    from headstart.flows.nightly.flow import hold_night
    from headstart.flows.nightly.text import night_lines

    night = hold_night(experiment, progress=True)
    if json:
        emit_json(night)
        return
    console = Console()
    for line in night_lines(night):
        console.print(escape(line), highlight=False)
    for alert in night.alerts:
        console.print(f"[bold red]alert[/]   {escape(alert)}", highlight=False)
    show_notes(night.notes)
