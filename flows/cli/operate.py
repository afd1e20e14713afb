"""The commands that run an experiment, now or on a schedule, and look after the machine that does."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from headstart.flows.cli.extract import show_extraction
from headstart.flows.cli.networks import show_tail
from headstart.flows.cli.options import Json
from headstart.flows.cli.scores import show_fit
from headstart.flows.output import Console, emit_json, escape, show_notes

if TYPE_CHECKING:
    from headstart.flows.doctor import Finding
    from headstart.flows.nightly import NightSummary
    from headstart.flows.serving import Served


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
    from headstart.flows.serving import serve as run_serve

    run_serve(
        experiment,
        cron=cron,
        interval=interval,
        watch=watch,
        timezone=timezone,
        name=name,
        look_every=look_every,
        on_ready=_show_served,
    )


def _show_served(served: "Served") -> None:
    console = Console(stderr=True)
    lines = [
        f"serving [bold]{escape(served.deployment)}[/] {escape(served.when)}; Ctrl-C ends it and pauses its schedule",
        f"run now   prefect deployment run {escape(repr(served.deployment))}",
        f"look at   {escape(served.address)}",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)  # a command and an address are there to be copied
    show_notes(served.notes)


ALERTED = 3
"""Exit status of a night with an alert, where that is asked for: 1 is a night that did not get through."""

_MARKS = {"ok": "[green]✓ ok[/]", "warn": "[yellow]! warn[/]", "fail": "[bold red]✗ fail[/]"}


def doctor(
    experiment: Annotated[
        Path | None, typer.Argument(help="A TOML file whose folders, weights and servers are looked at, too.")
    ] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler, such as tcp://10.0.0.5:8786.")] = None,
    json: Json = False,
) -> None:
    """Check installation, machine and servers, and say what to do; exit status 1 if a run would not get through."""
    from headstart.flows.doctor import doctor as run_doctor

    findings = run_doctor(experiment, dask=dask)
    emit_json({"findings": findings}) if json else _show_findings(findings)
    if not findings.ready:
        raise typer.Exit(1)


def _show_findings(findings: "list[Finding]") -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=16)
    table.add_column(overflow="fold")
    for finding in findings:
        table.add_row(_MARKS[finding.state], escape(finding.name), escape(finding.found))
        if finding.advice:
            table.add_row("", "", f"[bold]→ {escape(finding.advice)}[/]")
    Console().print(table, highlight=False)


def nightly(
    experiment: Annotated[Path, typer.Argument(help="A TOML file; see README.md.", show_default=False)],
    fail_on_alert: Annotated[
        bool, typer.Option("--fail-on-alert", help=f"Exit status {ALERTED} where somebody should look at the night.")
    ] = False,
    json: Json = False,
) -> None:
    """Embed what is new, fit again if that matters, and compare with the last night, as a schedule would."""
    from headstart.flows.nightly import hold_night

    night = hold_night(experiment, progress=True)
    emit_json(night) if json else _show_night(night)
    if fail_on_alert and night.alerts:
        raise typer.Exit(ALERTED)


def _show_night(night: "NightSummary") -> None:
    from headstart.flows.nightly import night_lines

    console = Console()
    for line in night_lines(night):
        console.print(escape(line), highlight=False)
    for alert in night.alerts:
        console.print(f"[bold red]alert[/]   {escape(alert)}", highlight=False)
    show_notes(night.notes)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for images, cache and results.")] = Path("headstart-demo"),
) -> None:
    """Run the whole job on handwritten digits, offline, in about a minute."""
    from headstart.flows.demo import demo as run_demo

    show_notes(["digits 0–4 teach a small encoder; telling digits 5–9 apart, from five images of each, is the task"])
    summary = run_demo(out)
    show_fit(summary.fit)
    for tail in summary.finetunes:
        show_tail(tail)


def run(
    experiment: Annotated[Path, typer.Argument(help="A TOML file; see README.md.", show_default=False)],
    json: Json = False,
) -> None:
    """Run an experiment file as a Prefect flow: extract, fit, fine-tune, report."""
    from headstart.flows.orchestration import run as run_experiment

    summary = run_experiment(experiment, progress=True)
    if json:
        emit_json(summary)
    else:
        show_extraction(summary.extraction)
        for fitted in summary.fits:
            show_fit(fitted)
        for tail in summary.finetunes:
            show_tail(tail)
