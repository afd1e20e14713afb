"""The command line: every command is one public function with the same names, and a way to show what it returns."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from headstart.flows.cli.catalogue import backbones, heads
from headstart.flows.cli.clustering import cluster, similar
from headstart.flows.cli.clustering import next as next_images
from headstart.flows.cli.extract import extract, inspect
from headstart.flows.cli.fit import fit
from headstart.flows.cli.networks import finetune, graft, summary
from headstart.flows.cli.operate import demo, doctor, nightly, run, serve
from headstart.flows.cli.options import spread_values
from headstart.flows.cli.predict import predict
from headstart.flows.cli.results import compare, results
from headstart.flows.cli.showing import CommandPanels, ReadableCommand
from headstart.flows.cli.signals import SIGNAL_STATUSES, ended_by_signals, leave_if_threads_run
from headstart.flows.cli.transfer import adapt, advise, episodes, guide, multitask, pretrain, rank, reduce, zeroshot
from headstart.flows.cli.upkeep import compact, export, verify
from headstart.flows.errors import EXPECTED_ERRORS
from headstart.flows.output import fail, replace_signs_that_the_terminal_lacks, show_notes, visible
from headstart.heads.saving import list_no_estimators


class _Commands(CommandPanels):
    """Commands whose usage errors repeat what was typed, or what a pattern found, without steering the terminal."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _readable():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _readable():
            return super().invoke(ctx)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        message = None if isinstance(error, ExceptionGroup) else getattr(error, "message", None)
        if isinstance(message, str):  # typer's copy of click has no public types
            error.message = visible(message)  # type: ignore[attr-defined]  # as just found
        raise


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Embed images once, fit heads on them as often as you like.",
    epilog="First: headstart extract photos --backbone resnet50, then fit photos.headstart",
)

# Made before the garbage collector looks for cycles: imports make many, and none of it is ever garbage.
_OBJECTS = 100_000

# What an interrupted command leaves: these seal what they embedded, and go on from there.
_LONGEST_PLACE = 200  # signs of a path in a message; the system takes 4096
INTERRUPTED = 130  # the exit status that typer gives to Ctrl-C
RESUMABLE = ("extract", "run", "nightly", "verify", "finetune", "pretrain")


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(version("headstart"))
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


_PANELS: dict[str, dict[Callable[..., None], str]] = {
    "embed": {
        extract: "Embed images into a cache; what is there stays.",
        backbones: "List backbones, or the layers of one.",
        summary: "Show a network's layers: sizes, costs, where to cut.",
    },
    "fit": {
        fit: "Fit heads, choose one honestly, score it once, save it.",
        heads: "List heads, or what one tries and takes.",
        finetune: "Train a network's upper layers on cached maps.",
    },
    "use": {
        predict: "Say what new images show.",
        graft: "Write a model as weights of a stock network.",
        export: "Write features and labels as one file for elsewhere.",
    },
    "transfer": {
        rank: "Order backbones and layers for a task, in seconds.",
        advise: "Say how to transfer, by what this set measures.",
        episodes: "Measure what a few labels a class tell.",
        zeroshot: "Tell classes without images, by what describes them.",
        adapt: "Fit heads for a target without labels.",
        pretrain: "Let a network learn from images without labels.",
        multitask: "Learn several label columns over one trunk.",
        guide: "Hold back what a source did not need to move; experimental.",
        reduce: "Fewer dimensions, for later images too.",
    },
    "look": {
        inspect: "Show what a cache holds, and what could not be read.",
        cluster: "Group images that look alike, and draw a map.",
        similar: "Find images that are alike: neighbours, or near copies.",
        next_images: "Choose the images worth labelling next.",
        results: "Rank the winners of earlier runs.",
        compare: "Say what differs between two runs, and which is better.",
    },
    "keep": {
        verify: "Check a cache against its checksums, and repair it.",
        compact: "Merge small shards, and drop rows of vanished images.",
    },
    "operate": {
        run: "Run an experiment file: extract, fit, report.",
        nightly: "Run it on what is new, and compare with the last night.",
        serve: "Run it on a schedule, steered in Prefect's UI.",
        doctor: "Check installation, machine and servers.",
        demo: "Run the whole job on handwritten digits, offline.",
    },
}
"""Commands by purpose, each in one line of the help."""

for _title, _commands in _PANELS.items():
    for _command, _short in _commands.items():
        app.command(cls=ReadableCommand, rich_help_panel=_title, short_help=_short)(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run a command: exit status 0 on success, 2 on a usage error, 1 on a failure, 128 + N where signal N ends it."""
    given = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in given
    if debug:
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "INFO"
    if arguments is None:
        gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
        list_no_estimators()
    replace_signs_that_the_terminal_lacks()
    words = spread_values(app, [word for word in given if word != "--debug"])
    try:
        with ended_by_signals():
            _run_command(words, debug=debug)
    except SystemExit as end:
        if arguments is None and end.code in (INTERRUPTED, *SIGNAL_STATUSES):
            leave_if_threads_run(int(end.code))
        raise


def _run_command(words: list[str], *, debug: bool) -> None:
    try:
        app(words, prog_name="headstart")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            done = "learned is kept" if words[0] == "pretrain" else "embedded is sealed"
            kept = f"; what was {done}, and the same command goes on from there"
            show_notes([f"interrupted{kept if words[0] in RESUMABLE else ''}"])
        raise
    except EXPECTED_ERRORS as error:
        if debug:
            raise
        fail(str(error))
    except Exception as error:
        if debug:
            raise
        if lacking := _what_the_machine_lacks(error):
            fail(lacking)
        fail(f"unexpected {type(error).__name__}: {error}; this is a defect of headstart: --debug shows where")


_NOT_MAPPED = ("failed to map segment", "cannot map", "cannot allocate memory", "cannot open shared object file")


def _what_the_machine_lacks(error: Exception) -> str:
    """Say what stands in the way of a program that is whole: memory, a library, a file; empty for a defect of ours."""
    if isinstance(error, MemoryError) or "not enough memory" in str(error):  # as torch says
        return "not enough memory; raise the limit ('ulimit -v', the container's), or give it fewer images or threads"
    if isinstance(error, (ImportError, OSError)) and any(words in str(error).casefold() for words in _NOT_MAPPED):
        return (
            f"a library cannot be loaded ({error}); where memory is limited ('ulimit -v', a container), raise the "
            "limit, otherwise install it again"
        )
    if isinstance(error, OSError) and error.filename is not None:  # the system's word on a file, whoever met it
        place = str(error.filename)
        place = place if len(place) <= _LONGEST_PLACE else f"{place[:_LONGEST_PLACE]}…"
        return f"{place}: {error.strerror}; see to that place, and run the same command again"
    return ""


__all__: list[Any] = ["app", "main"]


if __name__ == "__main__":
    main()
