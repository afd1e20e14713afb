"""The command that groups images without labels; `flows.cli.app` adds it to the others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape

from headstart.flows.cli.options import CacheArgument, Json
from headstart.flows.output import emit_json, nearby, show_notes, table_of

if TYPE_CHECKING:
    from headstart.flows.exploring import ClusterSummary


def cluster(
    cache: CacheArgument,
    k: Annotated[list[int], typer.Option(help="Numbers of clusters to try.", show_default="2 to 50")] = [],  # noqa: B006 - typer copies it
    min_cluster_size: Annotated[
        int | None, typer.Option(min=2, help="Fewest images of a cluster of HDBSCAN.", show_default="a hundredth")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Label column to compare with.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Which backbone's embeddings.")] = None,
    key: Annotated[str | None, typer.Option(help="Id of the key, where a backbone has several.")] = None,
    tap: Annotated[str | None, typer.Option(help="Which tap, where there are several.")] = None,
    map: Annotated[  # noqa: A002 - the option's name
        Literal["auto", "pca", "umap"], typer.Option(help="auto takes UMAP where it is installed.")
    ] = "auto",
    seed: int = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the table and the page.", show_default="NAME.clusters")
    ] = None,
    json: Json = False,
) -> None:
    """Group images that look alike, with or without labels, and draw them on a map."""
    from headstart.flows.exploring import cluster as run_cluster

    summary = run_cluster(
        cache,
        k=k,
        min_cluster_size=min_cluster_size,
        target=target,
        backbone=backbone,
        key=key,
        tap=tap,
        map=map,
        seed=seed,
        out=out,
    )
    emit_json(summary) if json else show_clusters(summary)


def show_clusters(summary: "ClusterSummary") -> None:
    """Print what was found, 80 columns wide."""
    console = Console()
    console.print(
        f"\n[bold]{summary.images} images[/], {escape(summary.backbone.rpartition('/')[2])} · {escape(summary.tap)}:",
        highlight=False,
    )
    agreeing = ["ARI", "NMI"] if summary.target else []
    table = table_of("method", "with", "clusters", "in none", "silhouette", *agreeing)
    for row in summary.methods:
        params = ", ".join(f"{name} {value}" for name, value in row["params"].items())
        cells = [row["method"], params, str(row["clusters"]), str(row["noise"]), _number(row["silhouette"])]
        table.add_row(*cells, *(_number(row[name.lower()]) for name in agreeing))
    console.print(table)
    others = [f"{row['params']['k']}: {_number(row['silhouette'])}" for row in summary.tried[1:4]]
    if others:
        console.print(f"k-means, next best k by silhouette: {', '.join(others)}", highlight=False)
    if summary.target:
        console.print(f"ARI and NMI: agreement with {escape(summary.target)}, which was not used", highlight=False)
    show_notes(summary.notes)
    console.print(f"\ntable   {escape(nearby(summary.table))}", highlight=False, soft_wrap=True)
    page = escape(nearby(summary.page))
    console.print(f"page    {page}   ← open this in a browser", highlight=False, soft_wrap=True)


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"
