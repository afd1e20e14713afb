"""The commands that look before anything is fitted; `flows.cli.app` adds them to the others."""

from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.extractors.spec import short_name
from headstart.flows.cli.options import CacheArgument, Json, with_options
from headstart.flows.exploring import ClusterOptions, NextOptions, SimilarOptions
from headstart.flows.output import MOST_ROWS, Console, emit_json, escape, nearby, show_files, show_notes, table_of

if TYPE_CHECKING:
    from headstart.flows.exploring import ClusterSummary, NextImages, SimilarSummary


@with_options(NextOptions)
def next(cache: CacheArgument, json: Json = False, **options: Any) -> None:  # noqa: A001 - as the command is called
    """Choose the images worth labelling next, and write a CSV file to label them in."""
    from headstart.flows.exploring import choose_next

    found = choose_next(cache, options=NextOptions(**options, progress=True))
    emit_json(found) if json else show_next(found)


def show_next(found: "NextImages") -> None:
    """Print what was chosen, 80 columns wide."""
    console = Console()
    reason = f" ({found.reason})" if found.reason else ""
    console.print(
        f"\n[bold]{len(found.chosen)} images[/] to label next, of {found.without_label} without a label"
        f" and {found.with_label} with one\n{found.strategy}{reason}: {found.title}",
        highlight=False,
    )
    scored, guessed = bool(found.measure), bool(found.chosen and found.chosen[0].guess)
    table = table_of("", "image", *[found.measure] * scored, *["guess", "probability"] * guessed)
    for number, one in enumerate(found.chosen[:MOST_ROWS], start=1):
        guess = [escape(one.guess or ""), _number(one.probability)] * guessed
        table.add_row(str(number), escape(one.path), *[_number(one.score)] * scored, *guess)
    console.print(table)
    if len(found.chosen) > MOST_ROWS:
        console.print(f"and {len(found.chosen) - MOST_ROWS} more, in the file", highlight=False)
    show_notes(found.notes)
    cache, labels = (escape(nearby(path)) for path in (found.cache, found.labels))
    page = escape(nearby(found.page))
    console.print(f"\npage    {page}   ← label them here, in a browser", highlight=False, soft_wrap=True)
    console.print(f"labels  {labels}   ← or fill in its empty cells, then", highlight=False, soft_wrap=True)
    for command in (f"fit  {cache} --labels {labels}", f"next {cache} --labels {labels} --out {labels}"):
        console.print(f"        headstart {command}", highlight=False, soft_wrap=True)


@with_options(ClusterOptions)
def cluster(cache: CacheArgument, json: Json = False, **options: Any) -> None:
    """Group images that look alike, with or without labels, and draw them on a map."""
    from headstart.flows.exploring import cluster as run_cluster

    summary = run_cluster(cache, options=ClusterOptions(**options, progress=True))
    emit_json(summary) if json else show_clusters(summary)


@with_options(SimilarOptions)
def similar(
    cache: CacheArgument,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files or folders; or paths, folders or numbers of the cache's images.", show_default=False
        ),
    ] = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Find the images of a cache that are nearest to others, or all that are nearly the same."""
    from headstart.flows.exploring import similar as run_similar

    summary = run_similar(cache, images or (), options=SimilarOptions(**options, progress=True))
    emit_json(summary) if json else show_similar(summary)


def show_similar(summary: "SimilarSummary") -> None:
    """Print cosines and paths: of each image asked about, or pair by pair."""
    console = Console(soft_wrap=True)
    title = f"{summary.images} images, {escape(short_name(summary.backbone))} · {escape(summary.tap)}"
    if summary.pairs is not None:
        pairs = f"{summary.pairs} pair{'' if summary.pairs == 1 else 's'}"
        console.print(f"\n[bold]{pairs}[/] among {title}:", highlight=False)
        for one in summary.found:
            console.print(f"\n{one.cosine:.3f}  {escape(one.image)}\n       {escape(one.path)}", highlight=False)
    else:
        console.print(f"\namong {title}:", highlight=False)
        for name, found in groupby(summary.found, lambda one: one.image):
            console.print(f"\n[bold]{escape(name)}[/]", highlight=False)
            for one in found:
                console.print(f"{one.cosine:.3f}  {escape(one.path)}", highlight=False)
    show_notes([*summary.unreadable, *summary.notes])
    if summary.page:
        console.print(f"\npage    {escape(nearby(summary.page))}   ← open this in a browser", highlight=False)


def show_clusters(summary: "ClusterSummary") -> None:
    """Print what was found, 80 columns wide."""
    from headstart.flows.exploring.clusters import name_text

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
    for one in summary.names[:MOST_ROWS]:
        named = escape(name_text(one))
        console.print(f"{one.method} {one.number}, {one.images} images: {named}", highlight=False)
    if len(summary.names) > MOST_ROWS:
        console.print(f"and {len(summary.names) - MOST_ROWS} more names, on the page", highlight=False)
    if summary.layers:
        console.print(_layers(summary))
    if summary.target:
        console.print(
            f"ARI and NMI: agreement with {escape(summary.target)}, which did not group them", highlight=False
        )
    show_notes(summary.notes)
    show_files(summary.table, summary.page)


def _layers(summary: "ClusterSummary") -> Any:
    """Return a table of the layers that were chosen from."""
    table = table_of("", "layer", "stability", "null", "beyond it")
    for row in summary.layers[:MOST_ROWS]:
        layer = f"{row.label} · {row.tap}"
        place = f"{row.rank}=" if row.tied else str(row.rank)
        table.add_row(place, escape(layer), *map(_number, (row.stability, row.null, row.gain)))
    return table


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"
