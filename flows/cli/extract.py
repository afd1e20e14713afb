"""The commands from images to embeddings, and what they print."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.extractors.spec import short_name
from headstart.flows.cli.options import CacheArgument, ImagesArgument, Json, with_options
from headstart.flows.options import ExtractOptions
from headstart.flows.output import MOST_ROWS, Console, emit_json, escape, show_notes, size_text, table_of

if TYPE_CHECKING:
    from headstart.flows.extraction import ExtractionSummary, KeySummary
    from headstart.flows.upkeep import CacheSummary


@with_options(ExtractOptions)
def extract(
    images: ImagesArgument,
    backbone: Annotated[
        list[str], typer.Option(help="One or more names from 'headstart backbones'.", show_default=False)
    ],
    json: Json = False,
    **options: Any,
) -> None:
    """Embed images into a cache; what the cache holds already is not computed again."""
    from headstart.flows.extraction import extract as run_extract

    summary = run_extract(images, backbone, options=ExtractOptions(**options, progress=True))
    emit_json(summary) if json else show_extraction(summary)


def inspect(cache: CacheArgument, json: Json = False) -> None:
    """Show what a cache holds: images, keys, bytes, and the quarantine with its reasons."""
    from headstart.flows.upkeep import inspect as run_inspect

    summary = run_inspect(cache)
    emit_json(summary) if json else show_cache(summary)


def show_extraction(summary: "ExtractionSummary") -> None:
    """Print what an extraction did."""
    console = Console()
    console.print(
        f"[bold]{escape(summary.cache)}[/]: {summary.images} images, {summary.embedded} embedded, "
        f"{summary.reused} reused, {summary.quarantined} quarantined, {summary.seconds:.1f} s",
        highlight=False,
    )
    table = table_of("backbone", "weights", "precision", "embedded", "reused")
    for key in summary.keys:
        table.add_row(
            short_name(key.backbone),
            key.weights,
            key.precision,
            str(key.embedded),
            str(key.reused),
        )
    console.print(table)
    for key in summary.keys:
        if key.embedded:
            for line in _how(key):
                console.print(f"[dim]{escape(line)}[/]", highlight=False)
    notes = [*summary.notes, *(reason for key in summary.keys for reason in key.reasons)]
    if summary.quarantined:
        notes.append(f"{summary.quarantined} images are in quarantine: headstart inspect {summary.cache}")
    if not summary.embedded:
        notes.append("nothing was new: every image was in the cache already")
    show_notes(notes)


def _how(key: "KeySummary") -> list[str]:
    """Say how a key was embedded, and where the time went."""
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in key.stages.items() if seconds >= 0.05)
    rate = key.embedded / max(key.seconds - key.stages["set up"], 1e-3)
    lines = [f"{short_name(key.backbone)}: {rate:.0f} images/s", f"time: {stages}"]
    if execution := key.execution:
        lines[0] += f" in batches of {execution.batch_size}"
        lines += execution.notes
    if fidelity := key.fidelity:
        lines.append(
            f"against plain float32: cosine ≥ {fidelity.cosine:.5f}, relative error ≤ "
            f"{100 * fidelity.relative_error:.2g} %"
        )
    return [lines[0], *(f"  {line}" for line in lines[1:])]


def show_cache(summary: "CacheSummary") -> None:
    """Print what a cache holds."""
    console = Console()
    labels = ", ".join(f"{name} ({count} values)" for name, count in summary.labels.items()) or "none"
    splits = ", ".join(f"{split} {count}" for split, count in summary.splits.items()) or "none"
    console.print(
        f"[bold]{escape(summary.cache)}[/]: {summary.images} images of {escape(summary.root)}, "
        f"{summary.distinct} distinct, {size_text(summary.bytes)}\nlabels: {escape(labels)}; splits: {splits}",
        highlight=False,
    )
    table = table_of("backbone", "weights", "taps", "precision", "rows", "missing", "size")
    for key in summary.keys:
        taps = "\n".join(escape(f"{tap} {'×'.join(map(str, key.shape[tap]))}") for tap in key.taps)
        counts = (key.precision, str(key.rows), str(key.missing), size_text(key.bytes))
        table.add_row(escape(short_name(key.backbone)), escape(key.weights), taps, *counts)
    console.print(table)
    for image in summary.quarantined[:MOST_ROWS]:
        console.print(f"[yellow]quarantined:[/] {escape(image.path)}: {escape(image.reason)}", highlight=False)
    if len(summary.quarantined) > MOST_ROWS:
        show_notes([f"{len(summary.quarantined) - MOST_ROWS} more in quarantine; --json lists them all"])
