"""The commands that look after a cache, and take it elsewhere; `flows.cli` adds them to the others."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from headstart.flows.cli_options import CacheArgument, Device, Json, Workers
from headstart.flows.output.console import emit_json
from headstart.flows.terminal_upkeep import show_compaction, show_export, show_verification


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
    from headstart.flows.upkeep.verification import verify as run_verify

    summary = run_verify(cache, repair=repair, backbone=backbone, device=device, workers=workers, progress=True)
    emit_json(summary) if json else show_verification(summary)
    if not summary.sound:
        raise typer.Exit(1)


def compact(cache: CacheArgument, json: Json = False) -> None:
    """Merge small shards into full ones, and drop the rows of images that are no longer listed."""
    from headstart.flows.upkeep.compaction import compact as run_compact

    summary = run_compact(cache, progress=True)
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
    from headstart.flows.upkeep.exporting import export as run_export

    summary = run_export(cache, to, key=key, backbone=backbone, tap=tap, dtype=dtype, overwrite=overwrite)
    emit_json(summary) if json else show_export(summary)
