"""The command `reduce`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.extractors.spec import short_name
from headstart.flows.cli import CacheArgument, Json, with_options
from headstart.flows.exploring.reduction import ReduceOptions
from headstart.flows.output import Console, as_latest, emit_json, escape, nearby, show_files, show_notes, table_of

if TYPE_CHECKING:
    from headstart.flows.exploring.reduction import ReduceSummary


@with_options(ReduceOptions)
def reduce(
    cache: CacheArgument,
    images: Annotated[
        list[str] | None,
        typer.Argument(help="With --by: files or folders, or paths of the cache's images.", show_default=False),
    ] = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Put features into fewer dimensions, by a transform that later images go through."""
    from headstart.flows.exploring.reduction import reduce as run_reduce

    summary = run_reduce(cache, images or (), options=ReduceOptions(**options, progress=True))
    emit_json(summary) if json else show_reduction(summary)


def show_reduction(summary: "ReduceSummary") -> None:
    """Print what was reduced, 80 columns wide."""
    console = Console()
    layer = f"{escape(short_name(summary.backbone))} · {escape(summary.tap)}"
    sizes = f"{summary.features} features in {summary.size} dimensions"
    console.print(f"\n[bold]{summary.images} images[/], {layer}: {sizes}", highlight=False)
    share = f"{100 * summary.variance:.1f} % of the variance"
    fitted = f", fitted on {summary.fitted_on} images" if summary.fitted_on else ", by an earlier transform"
    console.print(f"{share}{fitted}{', whitened' if summary.whiten else ''}", highlight=False)
    if summary.kept:
        table = table_of("of images held back", "ten nearest kept", "nearest tells the label")
        for one in summary.kept:
            right = "" if one.right is None else f"{100 * one.right:.1f}"
            table.add_row(one.way, f"{100 * one.neighbours:.1f} ± {100 * one.half_width:.1f}", right)
        console.print(table)
    show_notes([*summary.unreadable, *summary.notes])
    cache, by = escape(nearby(summary.cache)), escape(nearby(str(as_latest(summary.table).parent)))
    console.print(f"\nlater   headstart reduce {cache} IMAGES --by {by} --out DIR", highlight=False, soft_wrap=True)
    show_files(summary.table, summary.page)
