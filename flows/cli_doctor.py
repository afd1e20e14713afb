"""The command that looks at an installation; `flows.cli` adds it to the others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headstart.flows.cli_options import Json
from headstart.flows.output.console import emit_json

if TYPE_CHECKING:  # 'headstart --help' waits for nothing
    from headstart.flows.doctor.finding import Finding

_MARKS = {"ok": "[green]✓ ok[/]", "warn": "[yellow]! warn[/]", "fail": "[bold red]✗ fail[/]"}


def doctor(
    experiment: Annotated[
        Path | None, typer.Argument(help="A TOML file whose folders, weights and servers are looked at, too.")
    ] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://10.0.0.5:8786.")] = None,
    json: Json = False,
) -> None:
    """Check installation, machine and servers, and say what to do; exit status 1 if a run would not get through."""
    from headstart.flows.doctor.diagnosis import diagnose
    from headstart.flows.experiment.tables import read_experiment

    findings = diagnose(read_experiment(experiment) if experiment else None, dask=dask)
    emit_json({"findings": findings}) if json else _show(findings)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def _show(findings: "list[Finding]") -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=16)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(_MARKS[finding.state], escape(finding.name), escape(finding.found))
        if finding.advice:
            table.add_row("", "", f"[bold]→ {escape(finding.advice)}[/]")
    Console().print(table, highlight=False)
