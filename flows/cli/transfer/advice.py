"""The command `advise`."""

from typing import TYPE_CHECKING, Any

from headstart.flows.cli import CacheArgument, Json, with_options
from headstart.flows.output import Console, emit_json, escape, show_files, show_notes, table_of
from headstart.flows.transfer.advice import AdviceOptions

if TYPE_CHECKING:
    from headstart.flows.transfer.advice import AdviceSummary


@with_options(AdviceOptions)
def advise(cache: CacheArgument, json: Json = False, **options: Any) -> None:
    """Say how to transfer to a task, by what is measured on its own images, beside controls."""
    from headstart.flows.transfer.advice import advise as run_advise

    summary = run_advise(cache, options=AdviceOptions(**options, progress=True))
    emit_json(summary) if json else show_advice(summary)


def show_advice(summary: "AdviceSummary") -> None:
    """Print the advice and its reasons, 80 columns wide."""
    console = Console()
    console.print(f"\n[bold]{escape(summary.title)}[/]", highlight=False)
    colour = "yellow" if summary.advice.transfer in ("unproven", "negative") else "default"
    console.print(f"[{colour}]{escape(summary.transfer)}[/]\n", highlight=False)
    for one in summary.findings:
        console.print(f"· {escape(one.says)}", highlight=False)
    table = table_of("", "layer", "score", "95 %")
    for number, row in enumerate(summary.layers, 1):
        ends = f"{100 * row.low:.1f} to {100 * row.high:.1f}"
        table.add_row(str(number), escape(row.name), f"{100 * row.score:.1f}", ends)
    console.print()
    console.print(table)
    console.print(
        f"{summary.images} images of {escape(summary.target)}, none of them for test; % that the others tell",
        highlight=False,
    )
    show_notes(summary.notes)
    console.print("\nnext", highlight=False)
    for command in summary.commands:
        console.print(f"  {escape(command)}", highlight=False, soft_wrap=True)
    show_files(summary.table, summary.page)
