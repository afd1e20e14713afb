"""The commands about a network's layers: what they are, training the upper ones, and giving weights back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.extractors.spec import PENULTIMATE
from headstart.flows.cli.options import CacheArgument, Json, with_options
from headstart.flows.inference import GraftOptions
from headstart.flows.options import FinetuneOptions
from headstart.flows.output import MOST_ROWS, Console, as_latest, emit_json, escape, nearby, show_notes, table_of
from headstart.heads.report import interval_text, params_text, score_text
from headstart.heads.scoring import metric_name

if TYPE_CHECKING:
    from headstart.extractors.network import LayerRow, NetworkSummary
    from headstart.flows.fitting.finetuning import FinetuneSummary

From = Annotated[
    list[str],
    typer.Option("--from", help="First layer that is trained, such as layer4; several are candidates."),
]


def summary(
    backbone: Annotated[
        str, typer.Argument(help="A name from 'headstart backbones', or a saved model.", show_default=False)
    ],
    weights: Annotated[str, typer.Option(help="A checkpoint of your own; layers are the same without.")] = "none",
    from_layer: Annotated[
        str | None, typer.Option("--from", help="Show what would be trained from this layer on.", show_default=False)
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(min=1, help="Pixels a side.", show_default="as the network takes them")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show layers inside blocks too.")] = False,
    json: Json = False,
) -> None:
    """Show a network's layers: names to tap, output, parameters, trained or frozen, multiply-adds, where to cut."""
    from headstart.flows.exploring import summarize

    found = summarize(backbone, weights=weights, from_layer=from_layer, image_size=image_size)
    emit_json(found) if json else show_network(found, every=every)


@with_options(FinetuneOptions)
def finetune(cache: CacheArgument, from_layer: From, json: Json = False, **options: Any) -> None:
    """Train a network's upper layers on cached maps, opening no image, and compare them with the best linear head."""
    from headstart.flows.fitting.finetuning import finetune as run_finetune

    found = run_finetune(cache, from_layer, options=FinetuneOptions(**options, progress=True))
    emit_json(found) if json else show_finetuning(found)


@with_options(GraftOptions)
def graft(
    model: Annotated[Path, typer.Argument(help="A saved model, or the results it is in.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option(help="A .pth, .pt or .safetensors file.", show_default="not written")
    ] = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Write a model, its classifier included, as weights of a stock torchvision or timm model, or as an ONNX file."""
    from headstart.flows.inference import graft as run_graft

    found = run_graft(model, out, options=GraftOptions(**options))
    if json:
        emit_json(found)
        return
    console = Console()
    console.print(f"{len(found.class_names)} classes, {found.head} in {found.backbone}:", highlight=False)
    if found.code:
        console.print(f"model   {escape(found.code)}", highlight=False, soft_wrap=True)
    readmes = dict.fromkeys([found.readme, found.onnx_readme])
    files = {"weights": [found.weights], "onnx   ": [found.onnx], "how to ": list(readmes)}
    for name, file in ((name, file) for name, several in files.items() for file in several if file):
        console.print(f"{name} {escape(nearby(file))}", highlight=False, soft_wrap=True)


def show_network(found: "NetworkSummary", *, every: bool) -> None:
    """Print a row a block, or a row a layer."""
    console = Console()
    size = "×".join(map(str, found.image_size))
    console.print(f"[bold]{escape(found.backbone)}[/], one image of {size} pixels", highlight=False)
    table = table_of("layer", "output", "weights", "mult-adds", "cut", *(["trained"] if found.from_layer else []))
    for row in found.layers:
        if every or row.outline:
            table.add_row(*_cells(row, with_training=bool(found.from_layer)))
    console.print(table)
    trained = f", {_count(found.trainable)} trained from {found.from_layer} on" if found.from_layer else ""
    console.print(
        f"{_count(found.parameters)} weights{escape(trained)}; {_count(found.multiply_adds)} multiply-adds",
        highlight=False,
    )
    notes = ["cut: > can be cut behind it (--tap LAYER:map), < can be trained from it on (finetune --from LAYER)"]
    if any(not row.can_tap for row in found.layers if every or row.outline):
        notes.append("output –: cannot be tapped")
    if found.tap:
        notes.append(f"finetune --from {found.from_layer} trains on {found.tap}")
    show_notes([*notes, *([found.note] if found.note else [])])


def _cells(row: "LayerRow", *, with_training: bool) -> list[str]:
    shown = "×".join(map(str, row.shape)) if row.shape is not None else "–"
    marks = f"{'<' if row.can_start else ' '}{'>' if row.can_cut else ' '}"
    state = "trained" if row.trainable else "frozen" if row.parameters else ""
    cells = [escape(row.name), shown, _count(row.parameters), _count(row.multiply_adds), marks]
    return [*cells, state] if with_training else cells


def _count(number: int) -> str:
    """Write a number of weights or operations with three digits."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return str(number) if number else ""


def show_finetuning(found: "FinetuneSummary") -> None:
    """Print both scores on the same images, what was trained at which rates, and what chance says of the two."""
    console, metric = Console(), found.winner.metric
    if found.candidates:
        _show_candidates(console, found)
    console.print(f"\n{found.test.n_images} images of {found.test.split}, trained on {found.test.n_train}:")
    table = table_of("head", "on", metric_name(metric), "95 %")
    for row in (found.winner, *found.heads):
        cells = (row.head, row.tap, score_text(metric, row.score), interval_text(metric, row.low, row.high))
        table.add_row(*map(escape, cells))
    console.print(table)
    blocks = table_of("trained block", "weights", "rate at first")
    for block in found.blocks:
        blocks.add_row(escape(block.name), _count(block.parameters), f"{block.learning_rate:.2g}")
    console.print(blocks)
    console.print(
        f"best epoch {found.best_epoch} of {len(found.history)}, {found.seconds_an_epoch:.2g} s an epoch",
        highlight=False,
    )
    show_notes(found.notes)
    _show_files(console, found)


def _show_candidates(console: Console, found: "FinetuneSummary") -> None:
    """Print what was compared inside train."""
    metric, tails = found.winner.metric, [row.params for row in found.candidates if row.tap != PENULTIMATE]
    same = {name for name, value in tails[0].items() if all(one.get(name) == value for one in tails)}
    table = table_of("head", "parameters", metric_name(metric), "95 %", "scored on")
    for row in found.candidates[:MOST_ROWS]:
        reached = "failed" if row.error else score_text(metric, row.score)
        own = {name: value for name, value in row.params.items() if row.tap == PENULTIMATE or name not in same}
        interval = escape(interval_text(metric, row.low, row.high))
        table.add_row(row.head, escape(params_text(own)), reached, interval, row.split)
    console.print("\nCompared inside train, without the test images:", highlight=False)
    console.print(table)
    if len(found.candidates) > MOST_ROWS:
        show_notes([f"{len(found.candidates) - MOST_ROWS} more in {nearby(found.table)}"])


def show_tail(found: "FinetuneSummary") -> None:
    """Print a tail's score beside those of the linear heads in a few lines, below those of a fit."""
    console, metric = Console(), found.winner.metric
    images = f"{found.test.n_images} images of {found.test.split}"
    console.print(f"\nTrained further from {escape(found.layer)} on, on the same {images}:", highlight=False)
    for row in (found.winner, *found.heads):
        line = f"{score_text(metric, row.score):>8} {interval_text(metric, row.low, row.high):<14} {row.head}"
        remark = "" if row is found.winner else f" on {row.tap} features"
        console.print(escape(f"{line}{remark}"), highlight=False, soft_wrap=True)
    console.print(f"{escape(found.verdict)}\n", highlight=False)
    _show_files(console, found)


def _show_files(console: Console, found: "FinetuneSummary") -> None:
    for what, place in (("model", found.model), ("report", found.report)):
        line = escape(nearby(str(as_latest(place))))
        remark = "   ← open this in a browser" if what == "report" else ""
        console.print(f"{what:<7} {line}{remark}", highlight=False, soft_wrap=True)
