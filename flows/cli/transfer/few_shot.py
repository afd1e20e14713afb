"""The command `episodes`."""

from typing import TYPE_CHECKING, Any

from headstart.flows.cli import CacheArgument, Json, with_options
from headstart.flows.output import Console, emit_json, escape, show_files, show_notes, table_of
from headstart.flows.transfer.episodes import EpisodesOptions

if TYPE_CHECKING:
    from headstart.flows.transfer.episodes import EpisodesSummary
    from headstart.heads.report.transfer import EpisodeRow


@with_options(EpisodesOptions)
def episodes(cache: CacheArgument, json: Json = False, **options: Any) -> None:
    """Measure what one or a few labelled images a class tell, in thousands of draws."""
    from headstart.flows.transfer.episodes import episodes as run_episodes

    summary = run_episodes(cache, options=EpisodesOptions(**options, progress=True))
    emit_json(summary) if json else show_episodes(summary)


_MOST_LAYERS = 12


def show_episodes(summary: "EpisodesSummary") -> None:
    """Print a table for each number of shots, 80 columns wide."""
    console = Console()
    drawn = f"{summary.ways} of {summary.classes} classes, {summary.queries} images of each to be told"
    console.print(f"\n[bold]{escape(summary.target)}[/], {drawn}, {summary.episodes} episodes", highlight=False)
    console.print(f"chance {100 * summary.chance:.1f} %; base: {escape(summary.base)}", highlight=False)
    assumes = {row.method: row.assumes for row in summary.rows if row.assumes}
    for shots in summary.shots:
        rows = [row for row in summary.rows if row.shots == shots]
        console.print(f"\n[bold]{shots}[/] of a class, accuracy in %", highlight=False)
        console.print(_table(rows, set(assumes)))
    layers = len({row.layer for row in summary.rows})
    if layers > _MOST_LAYERS:
        console.print(f"and {layers - _MOST_LAYERS} more layers, which the table has", highlight=False)
    console.print(f"{summary.covers}", highlight=False)
    for method, what in assumes.items():
        console.print(f"{method}*: assumes that {what}", highlight=False)
    show_notes([*summary.findings, *summary.notes])
    show_files(summary.table, summary.page)


def _table(rows: "list[EpisodeRow]", assuming: set[str]) -> Any:
    """Return layers × methods; an asterisk marks a method that assumes something."""
    methods = list(dict.fromkeys(row.method for row in rows))
    table = table_of("", "layer", *(f"{name}*" if name in assuming else name for name in methods), "±")
    layers = list(dict.fromkeys(row.layer for row in rows))
    for place, layer in enumerate(layers[:_MOST_LAYERS], 1):
        own = {row.method: row for row in rows if row.layer == layer}
        accuracies = [f"{100 * own[name].accuracy:.1f}" for name in methods]
        widest = max(row.half_width for row in own.values())
        table.add_row(str(place), escape(" · ".join(layer)), *accuracies, f"{100 * widest:.1f}")
    return table
