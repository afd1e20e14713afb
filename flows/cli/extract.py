"""The commands from images to embeddings, and what they print."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.extractors.spec import computed_in, short_name
from headstart.flows.cli.options import CacheArgument, ImagesArgument, Json, Verbose, with_options
from headstart.flows.extraction import ExtractOptions
from headstart.flows.output import MOST_ROWS, Console, emit_json, escape, show_notes, size_text, table_of

if TYPE_CHECKING:
    from headstart.flows.extraction import ExtractionSummary, KeySummary
    from headstart.flows.upkeep import CachedKey, CacheSummary


@with_options(ExtractOptions)
def extract(
    images: ImagesArgument,
    backbone: Annotated[
        list[str], typer.Option(help="One or more names from 'headstart backbones'.", show_default=False)
    ],
    verbose: Verbose = False,
    json: Json = False,
    **options: Any,
) -> None:
    """Embed images into a cache; what the cache holds already is not computed again."""
    from headstart.flows.extraction import extract as run_extract

    summary = run_extract(images, backbone, options=ExtractOptions(**options, progress=True))
    emit_json(summary) if json else show_extraction(summary, verbose=verbose)


def inspect(cache: CacheArgument, json: Json = False) -> None:
    """Show what a cache holds: images, keys, bytes, and the quarantine with its reasons."""
    from headstart.flows.upkeep import inspect as run_inspect

    summary = run_inspect(cache)
    emit_json(summary) if json else show_cache(summary)


def show_extraction(summary: "ExtractionSummary", *, verbose: bool = False) -> None:
    """Print in one line what an extraction did, and with `verbose` how, for each key."""
    console = Console()
    console.print(
        f"[bold]{escape(summary.cache)}[/]: {summary.images} images, {summary.embedded} embedded, "
        f"{summary.reused} reused, {summary.quarantined} quarantined, {summary.seconds:.1f} s",
        highlight=False,
    )
    if verbose:
        for key in summary.keys:
            console.print(escape(_about(key)), highlight=False)
            for line in _how(key) if key.embedded else ():
                console.print(f"[dim]  {escape(line)}[/]", highlight=False)
    reasons = dict.fromkeys(reason for key in summary.keys for reason in key.reasons)  # views have those of the plain
    notes = [*summary.notes, *reasons]
    if summary.quarantined:
        notes.append(f"{summary.quarantined} images are in quarantine: headstart inspect {summary.cache}")
    if not summary.embedded:
        notes.append("nothing was new: every image was in the cache already")
    show_notes(notes)


def _about(key: "KeySummary") -> str:
    size = f", {key.image_size} px" if key.image_size else ""
    size += "" if key.view == "whole" else f", view {key.view.number}"
    done = f"{key.embedded} embedded, {key.reused} reused"
    return f"{short_name(key.backbone)}, {key.weights}, {computed_in(key.precision, key.in_float32)}{size}: {done}"


def _how(key: "KeySummary") -> list[str]:
    """Say how a key was embedded, and where the time went."""
    rate = key.embedded / max(key.seconds - key.stages["set up"], 1e-3)
    lines = [f"{rate:.0f} images/s"]
    if execution := key.execution:
        lines[0] += f" in batches of {execution.batch_size}"
        lines += execution.notes
    lines.append("time: " + ", ".join(f"{stage} {spent:.1f} s" for stage, spent in key.stages.items() if spent >= 0.05))
    if fidelity := key.fidelity:
        lines.append(
            f"against plain float32: cosine ≥ {fidelity.cosine:.5f}, relative error ≤ "
            f"{100 * fidelity.relative_error:.2g} %"
        )
    return lines


def _views(keys: "list[CachedKey]") -> str:
    """Say how many views there are beside the plain images, and how they were drawn."""
    one = next(key.view for key in keys if key.view != "whole")
    drawn = f"seed {one.seed}, crop {one.crop:g}, flip {one.flip:g}, jitter {one.jitter:g}"
    return f"  {len(keys) + 1} views with the plain one\n  ({drawn})"


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
    table = table_of("embedding", "rows", "missing", "size")
    table.columns[0].no_wrap, table.columns[1].no_wrap = False, True
    shown: set[tuple[object, ...]] = set()
    for key in summary.keys:
        if key.view != "whole":
            continue
        taps = ", ".join(f"{tap} {'×'.join(map(str, key.shape[tap]))}" for tap in key.taps)
        taps += f"; {computed_in(key.precision, key.in_float32)}; {size_text(key.bytes_an_image)} an image"
        about = f"{escape(short_name(key.backbone))}\n  {escape(key.weights)}\n  {escape(taps)}"
        table.add_row(about, str(key.rows), str(key.missing), size_text(key.bytes))
        for views in summary.views_of(key) if key.trait not in shown else ():
            missing = sum(view.missing for view in views)
            table.add_row(_views(views), str(sum(view.rows for view in views)), str(missing),
                          size_text(sum(view.bytes for view in views)))  # fmt: skip
        shown.add(key.trait)
    console.print(table)
    for image in summary.quarantined[:MOST_ROWS]:
        console.print(f"[yellow]quarantined:[/] {escape(image.path)}: {escape(image.reason)}", highlight=False)
    if len(summary.quarantined) > MOST_ROWS:
        show_notes([f"{len(summary.quarantined) - MOST_ROWS} more in quarantine; --json lists them all"])
