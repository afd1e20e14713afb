"""The command `multitask`."""

from typing import TYPE_CHECKING, Any

from headstart.flows.cli import CacheArgument, Json, with_options
from headstart.flows.output import Console, emit_json, escape, nearby, show_files, show_notes, table_of
from headstart.flows.transfer.multitask import MultitaskOptions
from headstart.heads.report import score_text

if TYPE_CHECKING:
    from headstart.flows.transfer.multitask import MultitaskSummary


@with_options(MultitaskOptions)
def multitask(cache: CacheArgument, json: Json = False, **options: Any) -> None:
    """Learn several label columns over one shared trunk, and say which of them that helps."""
    from headstart.flows.transfer.multitask import multitask as run_multitask

    summary = run_multitask(cache, options=MultitaskOptions(**options, progress=True))
    emit_json(summary) if json else show_columns(summary)


def show_columns(summary: "MultitaskSummary") -> None:
    """Print one line a column, 80 columns wide, and the verdict."""
    from headstart.heads.report.transfer import change_text, verdict_text

    console = Console()
    console.print(
        f"\n[bold]{len(summary.columns)} label columns[/] over one trunk, scored once on the {summary.split} images:",
        highlight=False,
    )
    table = table_of("", "column", "labels", "separate", "shared", "linear", "shared − separate", "p")
    for row in summary.columns:
        scores = [score_text(row.metric, one.value, unit=False) for one in (row.separate, row.shared, row.linear)]
        sign = {"helped": "+", "harmed": "−"}.get(row.verdict, "")
        p = f"{row.p_adjusted:.3f}" if row.p_adjusted >= 0.001 else "< .001"
        table.add_row(sign, escape(row.column), str(row.n_train), *scores, change_text(row.difference), p)
    console.print(table)
    verdict = verdict_text(summary.columns)
    console.print(f"{escape(verdict[0].upper() + verdict[1:])}.", highlight=False)
    show_notes(summary.notes)
    show_files(summary.table, summary.page)
    console.print(f"model   {escape(nearby(summary.model))}", highlight=False, soft_wrap=True)
