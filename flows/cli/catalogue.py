"""The commands that say what there is: heads to fit, backbones to embed with, and their layers."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.extractors.spec import short_name
from headstart.flows.cli.options import Json
from headstart.flows.exploring import HeadRow, find_by_task, list_backbones, list_heads, list_layers
from headstart.flows.output import Console, emit_json, escape, fail, show_notes, table_of
from headstart.heads.registry import AskedHead

if TYPE_CHECKING:
    from headstart.extractors.backbones import BackboneInfo
    from headstart.extractors.network import Layer

_FITS = {
    "fast": "a whole grid in one go, by code of its own",
    "own": "one choice after another, by code of its own",
    "stock": "one choice after another, by scikit-learn's own code",
}


def heads(
    name: Annotated[
        str | None, typer.Argument(help="One of them, or module:Class of your own.", show_default="all")
    ] = None,
    json: Json = False,
) -> None:
    """List the heads: what each is, what it tries, for classes or numbers, fast or stock."""
    rows = list_heads(name)
    if json:
        emit_json({"heads": rows})
    elif name is None:
        _show_heads(rows)
    else:
        _show_head(rows[0])


def _show_heads(rows: Sequence[HeadRow]) -> None:
    table = table_of("head", "what it is, and what it tries", "for", "fit")
    for row in rows:
        grid = _grid_text(row)
        what = escape(row.summary) + (f"\n[dim]{escape(grid)}[/]" if grid else "")
        table.add_row(escape(row.name), what, "\n".join(row.tasks), row.fits)
    console = Console()
    console.print(table)
    for word, meaning in _FITS.items():
        console.print(f"[bold]{word:<5}[/] {meaning}", highlight=False)
    show_notes(["other values: --head 'logreg(C=0.1,1,10)'; more of one: headstart heads NAME"])


def _grid_text(row: HeadRow) -> str:
    text = str(AskedHead(row.name, {name: tuple(values) for name, values in row.grid.items()}))
    return text.removeprefix(f"{row.name}(").removesuffix(")")


def _show_head(row: HeadRow) -> None:
    found = find_by_task(row.name)
    model = next(iter(found.values())).make({}, 0)
    last = getattr(model, "steps", [("", model)])[-1][1]
    usual = {name: one.default for name, one in inspect.signature(type(last)).parameters.items()}
    own = ", ".join(
        f"{name}={value!r}" if usual.get(name) is not inspect.Parameter.empty else name
        for name, value in last.get_params(deep=False).items()
    )
    lines = {
        "for": " and ".join(row.tasks),
        "fit": f"{row.fits}: {_FITS[row.fits]}",
        "memory": "read in blocks where features do not fit" if row.streams else "features have to fit",
        "gives": _given(list(found), last),
        "classes": "weighed by --class-weight" if row.weighs else "not weighed by --class-weight",
        "tries": _grid_text(row) or "nothing but its defaults",
        "takes": own,
    }
    console = Console()
    console.print(f"[bold]{escape(row.name)}[/]  {escape(row.summary)}", highlight=False)
    table = table_of("", "")
    table.show_header, table.box = False, None
    for word, text in lines.items():
        table.add_row(word, escape(text))
    console.print(table, highlight=False)
    show_notes([f"other values: --head '{_example(row)}'"])


def _given(tasks: list[str], model: Any) -> str:
    labels = "labels with probabilities" if hasattr(model, "predict_proba") else "labels alone"
    return " or ".join({"classify": labels, "regress": "numbers"}[task] for task in tasks)


def _example(row: HeadRow) -> str:
    tried = {name: tuple(values[:2]) for name, values in list(row.grid.items())[:1]}
    return str(AskedHead(row.name, tried)) if tried else f"{row.name}(NAME=VALUE)"


def backbones(
    pattern: Annotated[
        str, typer.Argument(help="A word such as dinov2, or a pattern such as 'resnet*' or 'timm/vit_*'.")
    ] = "*",
    layers: Annotated[
        bool, typer.Option("--layers", help="Of one backbone: the layers to tap, with shapes and poolings.")
    ] = False,
    json: Json = False,
) -> None:
    """List backbones, the best first: parameters, GFLOPs, features, input, accuracy, weights on disk."""
    if layers:
        found = list_layers(pattern)
        emit_json({"backbone": found.backbone, "layers": found}) if json else _show_layers(found.backbone, found)
        return
    rows = list_backbones(pattern)
    if json:
        emit_json({"backbones": rows})
        return
    show_backbones(rows, pattern)
    if pattern == "*":
        _show_recommended()
    elif not pattern.startswith("timm/") and any(row.source != "timm" for row in rows):
        show_notes([f"timm's are listed by 'timm/*{pattern.strip('*')}*'"])


def show_backbones(found: "Sequence[BackboneInfo]", pattern: str) -> None:
    """Print the backbones that match a pattern; what is known of none is left out."""
    from headstart.extractors.backbones import ALIASES

    if not found:
        fail(f"no backbone matches {pattern!r}; 'headstart backbones' lists them all")
    short = {target: alias for alias, target in reversed(list(ALIASES.items()))}  # the first that there is
    cells = {
        "name": [row.name if row.source != "torchvision" else short_name(row.name) for row in found],
        "short name": [short.get(row.name, "") for row in found],
        "params": [f"{row.parameters / 1e6:.1f} M" if row.parameters is not None else "" for row in found],
        "GFLOPs": [f"{row.gflops:.2f}" if row.gflops is not None else "" for row in found],
        "features": [str(row.feature_size or "") for row in found],
        "input": ["×".join(map(str, dict.fromkeys(row.input_size))) for row in found],
        "top-1": [f"{row.top1:.1f} %" if row.top1 is not None else "" for row in found],
        "on disk": ["yes" if row.weights_on_disk else "" for row in found],
    }
    known = {title: column for title, column in cells.items() if any(column)}
    table = table_of(*known)
    for column in table.columns:
        column.no_wrap = True
    for values in zip(*known.values(), strict=True):
        table.add_row(*map(escape, values))
    Console().print(table)


def _show_recommended() -> None:
    from headstart.extractors.backbones import RECOMMENDED

    table = table_of("to begin with", "", "backbone", "why")
    for one in RECOMMENDED:
        table.add_row(one.where, one.how, one.name, one.why)
    table.columns[3].no_wrap = False
    Console().print(table)
    names = "dinov2-small, dinov3-base, clip-vit-b-16, siglip2-base, …"
    show_notes([f"{names} are short names of timm's (extra 'timm'); headstart backbones dinov2 lists these"])


def _show_layers(name: str, layers: "Sequence[Layer]") -> None:
    console = Console()
    console.print(f"[bold]{escape(name)}[/]: --tap LAYER, or LAYER:POOLING", highlight=False)
    table = table_of("layer", "puts out", "row", "poolings")
    for layer in layers:
        poolings = ", ".join(name for name in layer.features if name != "auto")
        size = str(layer.features.get("auto", ""))
        table.add_row(escape(layer.name), "×".join(map(str, layer.shape)), size, poolings)
    table.columns[1].no_wrap, table.columns[3].no_wrap = True, False
    console.print(table)
