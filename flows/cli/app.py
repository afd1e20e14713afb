"""The command line: every command is one public function with the same names, and a way to show what it returns."""

import gc
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from headstart.flows.cli.clustering import cluster
from headstart.flows.cli.fit import fit
from headstart.flows.cli.operate import doctor, nightly, serve
from headstart.flows.cli.options import CacheArgument, Device, ImagesArgument, Json, Workers, spread_values
from headstart.flows.cli.results import compare, results
from headstart.flows.cli.signals import SIGTERM_STATUS, ended_by_sigterm, leave_if_threads_run
from headstart.flows.cli.upkeep import compact, export, verify
from headstart.flows.errors import EXPECTED_ERRORS
from headstart.flows.output.console import (
    emit_json,
    fail,
    show_backbones,
    show_cache,
    show_extraction,
    show_fit,
    show_notes,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Embed an image set once with frozen pretrained backbones; fit classifiers on the cache as often as you like.",
    epilog=(
        "A first session:  headstart extract photos/ --backbone resnet50   then   "
        "headstart fit photos.headstart --head logreg knn"
    ),
)

# Made before the garbage collector looks for cycles: imports make many, and none of it is ever garbage.
_OBJECTS = 100_000

# What an interrupted command leaves: these seal what they embedded, and go on from there.
INTERRUPTED = 130  # the exit status that typer gives to Ctrl-C
RESUMABLE = ("extract", "run", "nightly", "verify")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("headstart"))
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for images, cache and results.")] = Path("headstart-demo"),
) -> None:
    """Run the whole job on handwritten digits, offline, in about a minute."""
    from headstart.flows.demo import demo as run_demo

    show_notes(["digits 0–4 teach a small encoder; telling digits 5–9 apart, from five images of each, is the task"])
    show_fit(run_demo(out).fit)


@app.command()
def backbones(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as 'resnet*' or 'timm/vit_*'.")] = "*",
    json: Json = False,
) -> None:
    """List backbones: source, parameters, GFLOPs, feature size, input size, published accuracy, weights on disk."""
    from headstart.extractors.backbones.registry import list_backbones

    found = list_backbones(pattern)
    emit_json({"backbones": found}) if json else show_backbones(found, pattern)


@app.command()
def extract(
    images: ImagesArgument,
    backbone: Annotated[
        list[str], typer.Option(help="One or more names from 'headstart backbones'.", show_default=False)
    ],
    weights: Annotated[
        list[str],
        typer.Option(help="default, none (random), a published name, or a .safetensors or .pth file."),
    ] = ["default"],  # noqa: B006 - typer copies it
    tap: Annotated[
        list[str],
        typer.Option(help="Layers to read out, as LAYER or LAYER:POOLING (avg, max, cls, flatten)."),
    ] = ["penultimate"],  # noqa: B006 - typer copies it
    cache: Annotated[Path | None, typer.Option(help="Cache folder.", show_default="NAME.headstart")] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        typer.Option(help="auto takes bf16 where it is fast and agrees with fp32."),
    ] = "auto",
    decode: Annotated[
        Literal["auto", "full", "draft"],
        typer.Option(help="draft decodes large JPEGs reduced; auto does where features stay."),
    ] = "auto",
    compile: Annotated[  # noqa: A002 - the option's name
        Literal["auto", "on", "off"], typer.Option(help="auto compiles the network where it pays.")
    ] = "auto",
    device: Device = "auto",
    dtype: Annotated[Literal["float16", "float32"], typer.Option(help="What the cache stores.")] = "float32",
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images a forward pass.", show_default="the fastest")
    ] = None,
    workers: Workers = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only so many images, spread over the classes.")] = None,
    dask: Annotated[
        str | None,
        typer.Option(help="Embed on Dask workers: local, cuda, or a scheduler (tcp://…).", show_default="this process"),
    ] = None,
    json: Json = False,
) -> None:
    """Embed images into a cache; what the cache holds already is not computed again."""
    from headstart.flows.extraction.job import extract as run_extract

    summary = run_extract(
        images,
        backbone,
        weights=weights,
        tap=tap,
        cache=cache,
        precision=precision,
        decode=decode,
        compile=compile,
        device=device,
        dtype=dtype,
        batch_size=batch_size,
        workers=workers,
        limit=limit,
        dask=dask,
        progress=True,
    )
    emit_json(summary) if json else show_extraction(summary)


@app.command()
def inspect(cache: CacheArgument, json: Json = False) -> None:
    """Show what a cache holds: images, keys, bytes, and the quarantine with its reasons."""
    from headstart.flows.upkeep.inspection import inspect as run_inspect

    summary = run_inspect(cache)
    emit_json(summary) if json else show_cache(summary)


app.command()(fit)


@app.command()
def run(
    experiment: Annotated[Path, typer.Argument(help="A TOML file; see README.md.", show_default=False)],
    json: Json = False,
) -> None:
    """Run an experiment file as a Prefect flow: extract, fit, report."""
    from headstart.flows.orchestration.pipeline import run as run_experiment

    summary = run_experiment(experiment, progress=True)
    if json:
        emit_json(summary)
    else:
        show_extraction(summary.extraction)
        for fitted in summary.fits:
            show_fit(fitted)


app.command()(serve)
app.command()(nightly)


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A model folder that 'headstart fit' wrote.", show_default=False)],
    images: ImagesArgument,
    out: Annotated[
        Path | None, typer.Option(help="A .csv or .parquet file.", show_default="CSV on standard output")
    ] = None,
    all_classes: Annotated[bool, typer.Option("--all", help="Write every class's probability.")] = False,
    backbone: Annotated[
        str | None, typer.Option(help="Only for a model on code of yours: its MODULE:CALLABLE, to say that it may run.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Where the backbone's weights are now, if they were moved.")
    ] = None,
    trust: Annotated[
        list[str], typer.Option(help="Only for a head of yours: its MODULE:CLASS, to say that it may run.")
    ] = [],  # noqa: B006 - typer copies it
    cache: Annotated[
        Path | None, typer.Option(help="Keep the embeddings in this cache.", show_default="not kept")
    ] = None,
    device: Device = "auto",
    workers: Workers = None,
) -> None:
    """Predict classes of new images, or numbers: path, label, probability; or path, value."""
    from headstart.flows.inference.prediction import check_out, write_predictions
    from headstart.flows.inference.prediction import predict as run_predict

    check_out(out)
    predictions = run_predict(
        model,
        images,
        all_classes=all_classes,
        backbone=backbone,
        weights=weights,
        trust=trust,
        cache=cache,
        device=device,
        workers=workers,
        progress=True,
    )
    write_predictions(predictions, out)


for _command in (cluster, verify, compact, export, results, compare, doctor):
    app.command()(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run a command: exit status 0 on success, 2 on a usage error, 1 on a failure, 130 on Ctrl-C, 143 on SIGTERM."""
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    if debug:
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "INFO"
    if arguments is None:
        gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
    words = spread_values(app, [word for word in given if word != "--debug"])
    try:
        with ended_by_sigterm():
            _run_command(words, debug=debug)
    except SystemExit as end:
        if arguments is None and end.code in (INTERRUPTED, SIGTERM_STATUS):
            leave_if_threads_run(int(end.code))
        raise


def _run_command(words: list[str], *, debug: bool) -> None:
    try:
        app(words, prog_name="headstart")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            kept = "; what was embedded is sealed, and the same command goes on from there"
            show_notes([f"interrupted{kept if words[0] in RESUMABLE else ''}"])
        raise
    except EXPECTED_ERRORS as error:
        if debug:
            raise
        fail(str(error))
    except Exception as error:
        if debug:
            raise
        fail(f"unexpected {type(error).__name__}: {error}; this is a defect of headstart: --debug shows where")


__all__: list[Any] = ["app", "main"]


if __name__ == "__main__":
    main()
