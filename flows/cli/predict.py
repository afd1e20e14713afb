"""The command from new images to predictions, and what it prints."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images import titles
from headstart.flows.cli.options import Json, with_options
from headstart.flows.inference import PredictOptions
from headstart.flows.output import Console, emit_json, escape, fail, show_notes


@with_options(PredictOptions)
def predict(
    model: Annotated[
        Path, typer.Argument(help="What 'headstart fit' wrote: a model, or the results it is in.", show_default=False)
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            help=f"Images, patterns, or image sets ({', '.join(titles())}); - for a list on standard input.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="A .csv or .parquet file.", show_default="CSV on standard output")
    ] = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Predict classes of new images, or numbers: path, label, probability; or path, value."""
    from headstart.flows.inference import check_out, count_predictions, load, summary_line, write_predictions

    if not _is_model(model) and len(images) == 1 and _is_model(images[0]):
        fail(f"the model comes first, then the images: headstart predict {images[0]} {model}")
    check_out(out)
    loaded = load(model, options=PredictOptions(**options, progress=True))
    table, notes = loaded.predict_noted([name for word in images for name in (_listed() if word == "-" else [word])])
    if out or not json:
        write_predictions(table, out)
    if json:
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        files = {"out": out, "page": loaded.options.page}
        emit_json({"model": loaded.folder, **count_predictions(table), **files, "notes": notes, "predictions": rows})
        return
    show_notes(notes)
    console = Console(stderr=True, soft_wrap=True)
    console.print(escape(summary_line(table, out)), highlight=False)
    if loaded.options.page:
        console.print(f"page    {escape(str(loaded.options.page))}   ← open this in a browser", highlight=False)


def _listed() -> list[str]:
    """Return the names on standard input, one a line, or with zeros between them as ``find -print0`` writes them."""
    data = sys.stdin.buffer.read()
    names = data.split(b"\0") if b"\0" in data else data.splitlines()
    if not any(names):
        raise ImageSetError("standard input: no names there; give one a line, as ls and find do")
    return [os.fsdecode(name) for name in names if name]


def _is_model(place: str | Path) -> bool:
    return any((Path(place) / name).is_file() for name in ("model.json", "model/model.json"))
