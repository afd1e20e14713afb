"""The command `rank`."""

from typing import TYPE_CHECKING, Any

from headstart.flows.cli import CacheArgument, Json, with_options
from headstart.flows.output import Console, emit_json, escape, show_files, show_notes, table_of
from headstart.flows.transfer.ranking import RankOptions

if TYPE_CHECKING:
    from headstart.flows.transfer.ranking import RankSummary


@with_options(RankOptions)
def rank(cache: CacheArgument, json: Json = False, **options: Any) -> None:
    """Order backbones and layers by how well they tell the labels, in seconds."""
    from headstart.flows.transfer.ranking import rank as run_rank

    summary = run_rank(cache, options=RankOptions(**options, progress=True))
    emit_json(summary) if json else show_ranking(summary)


_MOST_RANKED = 20


def show_ranking(summary: "RankSummary") -> None:
    """Print the order, 80 columns wide."""
    console, classes = Console(), summary.task == "classify"
    console.print(
        f"\n[bold]{escape(summary.target)}[/], {summary.images} images, none of them for test:", highlight=False
    )
    table = table_of("", "backbone", "layer", "score", "kNN", "ridge", "LogME", "H", "static")
    for row in summary.rows[:_MOST_RANKED]:
        shares = [f"{100 * one:.1f}" if classes else f"{one:.3f}" for one in (row.score, row.knn, row.ridge)]
        place = f"{row.rank}=" if row.tied else str(row.rank)
        h_score = "" if row.h_score is None else f"{row.h_score:.2f}"
        static = "" if row.static is None else str(row.static)
        table.add_row(place, escape(row.label), escape(row.tap), *shares, f"{row.logme:.3f}", h_score, static)
    console.print(table)
    if len(summary.rows) > _MOST_RANKED:
        console.print(f"and {len(summary.rows) - _MOST_RANKED} more, which the table has", highlight=False)
    unit = "%" if classes else "R²"
    console.print(
        f"score: the better of kNN and ridge, {unit}; = the first is ahead by no more than chance", highlight=False
    )
    if summary.static_by:
        agreement = "" if summary.agreement is None else f": Kendall's τ {summary.agreement:.2f}"
        console.print(f"static: by {summary.static_by}, without a look at the images{agreement}", highlight=False)
    show_notes(summary.notes)
    show_files(summary.table, summary.page)
