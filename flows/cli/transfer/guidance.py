"""The command `guide`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.flows.cli import CacheArgument, Json, with_options
from headstart.flows.output import Console, emit_json, escape, nearby, show_files, show_notes, table_of
from headstart.flows.transfer.guidance import GuideOptions
from headstart.heads.report.transfer import guide_cells

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
    console = Console()
    console.print(
        f"\n[bold]{escape(found.target)}[/], {escape(found.body)}: mean accuracy of {found.draws} draws on "
        f"{found.images} images, and the guided less each control, with p:",
        highlight=False,
    )
    table = table_of("shots", "guided", "unguided", "", "shuffled", "", "constant", "")
    for row in guide_cells(found.rows):
        cells = [
            cell
            for test, arm in zip(row["tests"], ("unguided", "shuffled", "constant"), strict=True)
            for cell in (row[arm], f"{test['difference']} ({test['p']})")
        ]
        table.add_row(str(row["shots"]), row["guided"], *cells)
    console.print(table)
    console.print(f"{escape(found.verdict)}", highlight=False)
    show_notes(found.notes)
    console.print(
        f"\nguide   {escape(nearby(found.guide))}   ← for 'finetune --guide'", highlight=False, soft_wrap=True
    )
    show_files(found.table, found.page)
