"""The commands that look after a cache, and take it elsewhere; `flows.cli.app` adds them to the others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.padding import Padding
from rich.text import Text

from headstart.flows.cli.options import CacheArgument, Device, Json, Workers
from headstart.flows.output import Console, emit_json, escape, nearby, show_notes, size_text, table_of

if TYPE_CHECKING:
    from headstart.flows.upkeep import CompactionSummary, ExportSummary, VerificationSummary


def verify(
    cache: CacheArgument,
    repair: Annotated[
        bool, typer.Option("--repair", help="Embed again the images whose rows are damaged or missing.")
    ] = False,
    backbone: Annotated[
        str | None,
        typer.Option(help="Only to repair a key on code of yours: its MODULE:CALLABLE, to say that it may run."),
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Check every file of a cache against its checksum; exit status 1 if something is wrong and was not repaired."""
    from headstart.flows.upkeep import verify as run_verify

    summary = run_verify(cache, repair=repair, backbone=backbone, device=device, workers=workers, progress=True)
    emit_json(summary) if json else show_verification(summary)
    if not summary.sound:
        raise typer.Exit(1)


def compact(
    cache: CacheArgument,
    drop_others: Annotated[
        bool, typer.Option("--drop-others", help="Drop the rows of image sets that were listed before, too.")
    ] = False,
    json: Json = False,
) -> None:
    """Merge small shards into full ones, and drop the rows of images that are no longer listed."""
    from headstart.flows.upkeep import compact as run_compact

    summary = run_compact(cache, drop_others=drop_others, progress=True)
    emit_json(summary) if json else show_compaction(summary)


def export(
    cache: CacheArgument,
    to: Annotated[
        Path, typer.Option(help="A .h5, .npy (beside it .csv and .json) or .parquet file.", show_default=False)
    ],
    key: Annotated[str | None, typer.Option(help="Id of the key, as 'inspect --json' shows it.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Or the backbone, if the cache has several.")] = None,
    tap: Annotated[str | None, typer.Option(help="Only this one.", show_default="all; a .npy holds one")] = None,
    dtype: Annotated[
        Literal["float16", "float32"] | None, typer.Option(help="Of the features.", show_default="as stored")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
    json: Json = False,
) -> None:
    """Write one file for elsewhere: features, image paths, labels and the key, in the listing's order."""
    from headstart.flows.upkeep import export as run_export

    summary = run_export(cache, to, key=key, backbone=backbone, tap=tap, dtype=dtype, overwrite=overwrite)
    emit_json(summary) if json else show_export(summary)


_MOST_ROWS = 6  # what prints by default fits a screen


def show_verification(summary: "VerificationSummary") -> None:
    """Print what is damaged, what that concerns, and what to do."""
    console = Console()
    console.print(
        f"[bold]{escape(summary.cache)}[/]: {_count(summary.keys, 'key')}, {_count(summary.shards, 'shard')}, "
        f"{size_text(summary.bytes)} checked, {summary.seconds:.1f} s",
        highlight=False,
    )
    for damage in summary.damage[:_MOST_ROWS]:
        state = "[green]repaired[/]" if damage.repaired else "[bold red]damaged[/]"
        state = "[yellow]not read[/]" if damage.unread else state
        console.print(
            f"{state} {escape(damage.path.removeprefix(f'{summary.cache}/'))}", highlight=False, soft_wrap=True
        )
        console.print(_indented(damage.problem))
        if not damage.repaired:
            console.print(_indented(f"→ {damage.advice}"))
    for key in summary.incomplete:
        paths = ", ".join(key.paths[:3]) + (", …" if key.images > 3 else "")
        again = f", {key.embedded} of them embedded again" if key.embedded else ""
        images = f"{_count(key.images, 'image')} without a sound row{again}"
        console.print(f"[yellow]concerned[/] {escape(key.key)}: {images}", highlight=False)
        console.print(_indented(paths))
    notes = list(summary.notes)
    if len(summary.damage) > _MOST_ROWS:
        notes.append(f"{len(summary.damage) - _MOST_ROWS} more files are damaged; --json lists them all")
    lacking = [key for key in summary.incomplete if key.embedded < key.images]
    if lacking and not any(not damage.repaired for damage in summary.damage):
        notes.append(
            f"'headstart verify {summary.cache} --repair' embeds the missing images, as 'headstart extract' does"
        )
    show_notes(notes)
    if summary.sound:
        again = "all is well again" if summary.damage or summary.incomplete else "every file is as it was written"
        console.print(f"[green]{again}[/]")


def show_compaction(summary: "CompactionSummary") -> None:
    """Print what was merged and dropped."""
    console = Console()
    console.print(
        f"[bold]{escape(summary.cache)}[/]: {_count(summary.shards_before, 'shard')}, now {summary.shards_after}; "
        f"{size_text(summary.bytes_before)}, now {size_text(summary.bytes_after)}; "
        f"{_count(summary.dropped, 'row')} dropped; {summary.seconds:.1f} s",
        highlight=False,
    )
    table = table_of("rows", "key", "dropped", "shards", "size")
    for key in summary.keys:
        table.add_row(
            str(key.rows),
            key.id,
            str(key.dropped),
            f"{key.shards_before} → {key.shards_after}",
            f"{size_text(key.bytes_before)} → {size_text(key.bytes_after)}",
        )
    console.print(table)
    if summary.unread:
        show_notes([f"{_count(summary.unread, 'listed image')} could not be read, so no row was dropped"])
    if summary.others:
        show_notes(
            [f"{_count(summary.others, 'row')} of other image sets kept; 'headstart compact --drop-others' drops them"]
        )
    if not summary.changed:
        show_notes(["nothing to do: every shard is full or the only small one, and every row has its image"])


def show_export(summary: "ExportSummary") -> None:
    """Print what was written, and where."""
    console = Console()
    taps = ", ".join(f"{tap} {'×'.join(map(str, shape))}" for tap, shape in summary.taps.items())
    console.print(
        f"[bold]{escape(summary.key)}[/]: {summary.images} images, {escape(taps)}, {summary.dtype}, "
        f"{size_text(summary.bytes)}, {summary.seconds:.1f} s",
        highlight=False,
    )
    for file in summary.files:
        console.print(f"  {escape(nearby(file))}", highlight=False, soft_wrap=True)
    if summary.quarantined:
        show_notes([f"{summary.quarantined} listed images are in quarantine and have no row"])


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 2))


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
