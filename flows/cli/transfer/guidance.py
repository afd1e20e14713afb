"""The command `guide`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.flows.cli import CacheArgument, Json, with_options
from headstart.flows.output import Console, as_latest, emit_json, escape, nearby, show_files, show_notes, table_of
from headstart.flows.transfer.guidance import GuideOptions

if TYPE_CHECKING:
    from headstart.flows.transfer.guidance import GuideSummary

Source = Annotated[
    Path, typer.Option(help="Cache of the source, with labels or without, embedded alike.", show_default=False)
]


@with_options(GuideOptions)
def guide(cache: CacheArgument, source: Source, json: Json = False, **options: Any) -> None:
    """Train on few images, holding back weights that easy problems of a source did not need to move; with controls."""
    from headstart.flows.transfer.guidance import guide as run_guide

    found = run_guide(cache, source, options=GuideOptions(**options, progress=True))
    emit_json(found) if json else show_guide(found)


def show_guide(found: "GuideSummary") -> None:
    """Print the guided beside its controls, 80 columns wide."""
    from headstart.heads.report.transfer import guide_cells  # as its page, it knows torch
    from headstart.heads.transfer.guidance import CONTROLS

    console = Console()
    console.print(
        f"\n[bold]{escape(found.target)}[/], {escape(found.body)}: mean accuracy over {found.draws} draws, scored on "
        f"{found.images} images",
        highlight=False,
    )
    table = table_of("shots", "guided", *(f"{name}   ahead" for name in CONTROLS))
    for row in guide_cells(found.rows):
        lines = (f"{test.difference}{'*' if test.word else ' '}" for test in row.tests)
        beside = [f"{getattr(row, name)}  {line:>6}" for name, line in zip(CONTROLS, lines, strict=True)]
        table.add_row(str(row.shots), row.guided, *beside)
    console.print(table)
    console.print("shots: images a class; ahead: guided less the control; * not by chance (p < .05)", highlight=False)
    console.print(escape(found.verdict), highlight=False)
    show_notes(found.notes)
    place = escape(nearby(str(as_latest(found.guide))))
    console.print(f"\nguide   {place}   ← for 'finetune --guide'", highlight=False, soft_wrap=True)
    show_files(found.table, found.page)
