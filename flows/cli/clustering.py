"""The command that groups images without labels; `flows.cli.app` adds it to the others."""

from typing import TYPE_CHECKING, Any

from headstart.extractors.spec import short_name
from headstart.flows.cli.options import CacheArgument, Json, with_options
from headstart.flows.exploring import ClusterOptions
from headstart.flows.output import Console, as_latest, emit_json, escape, nearby, show_notes, table_of

if TYPE_CHECKING:
    from headstart.flows.exploring import ClusterSummary


@with_options(ClusterOptions)
def cluster(cache: CacheArgument, json: Json = False, **options: Any) -> None:
    """Group images that look alike, with or without labels, and draw them on a map."""
    from headstart.flows.exploring import cluster as run_cluster

    summary = run_cluster(cache, options=ClusterOptions(**options, progress=True))
    emit_json(summary) if json else show_clusters(summary)


def show_clusters(summary: "ClusterSummary") -> None:
    """Print what was found, 80 columns wide."""
    console = Console()
    console.print(
        f"\n[bold]{summary.images} images[/], {escape(short_name(summary.backbone))} · {escape(summary.tap)}:",
        highlight=False,
    )
    agreeing = ["ARI", "NMI"] if summary.target else []
    table = table_of("method", "with", "clusters", "in none", "silhouette", *agreeing)
    for row in summary.methods:
        params = ", ".join(f"{name} {value}" for name, value in row.params.items())
        cells = [row.method, params, str(row.clusters), str(row.noise), _number(row.silhouette)]
        table.add_row(*cells, *(_number(getattr(row, name.lower())) for name in agreeing))
    console.print(table)
    others = [f"{row.params['k']}: {_number(row.silhouette)}" for row in summary.tried[1:4]]
    if others:
        console.print(f"k-means, next best k by silhouette: {', '.join(others)}", highlight=False)
    if summary.target:
        console.print(f"ARI and NMI: agreement with {escape(summary.target)}, which was not used", highlight=False)
    show_notes(summary.notes)
    console.print(f"\ntable   {escape(nearby(str(as_latest(summary.table))))}", highlight=False, soft_wrap=True)
    page = escape(nearby(str(as_latest(summary.page))))
    console.print(f"page    {page}   ← open this in a browser", highlight=False, soft_wrap=True)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"
