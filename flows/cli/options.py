"""Arguments and options that several commands share, and how the words of each command are told apart."""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

import typer

from headstart.extractors.images import titles
from headstart.extractors.spec import OptionField, options_of

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else there.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say how, and where the time went.")]
CacheArgument = Annotated[
    Path, typer.Argument(help="A cache folder that 'headstart extract' wrote.", show_default=False)
]
ImagesArgument = Annotated[
    str,
    typer.Argument(help=f"Image set: {', '.join(titles())}.", show_default=False),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Decoding threads.", show_default="one a core")]


_Command = TypeVar("_Command", bound=Callable[..., None])


def with_options(holder: type) -> Callable[[_Command], _Command]:
    """Let a command take every option of a job, in place of its ``**options`` and before ``--json``.

    An option that the command names itself, it asks for in its own way.
    """

    def completed(command: _Command) -> _Command:
        own = dict(inspect.signature(command).parameters)
        asked = {one.name: _parameter(one) for one in options_of(holder) if one.option.command}
        first = [one for name, one in own.items() if name not in (*asked, "json") and one.kind is not one.VAR_KEYWORD]
        last = [own["json"]] if "json" in own else []
        parameters = [*first, *(own.get(name, one) for name, one in asked.items()), *last]
        # typer reads there how a command is typed
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # every function may have one
        return command

    return completed


def _parameter(one: OptionField) -> inspect.Parameter:
    option, spelt = one.option, one.option.flag
    if one.kind is bool:
        spelt = spelt or f"--{one.name.replace('_', '-')}"
    shown = typer.Option(
        one.default,
        *([spelt] if spelt else []),
        help=option.help or None,
        min=option.least,
        max=None if option.below is None or float in (one.kind, *get_args(one.kind)) else option.below - 1,
        show_default=option.unset or True,
    )
    return inspect.Parameter(one.name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=shown, annotation=one.choice)


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """How a command is typed.

    Parameters
    ----------
    lists, flags : frozenset of str
        Options that take several values, and options that take none, in each of their spellings.
    n_arguments : int
        Words that it takes without an option.
    """

    lists: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    n_arguments: int = 0


def read_spelling(app: typer.Typer, name: str) -> Spelling:
    """Ask a command how it is typed, so that no list of options has to be kept beside it; an empty one of none."""
    whole: Any = typer.main.get_command(app)  # of typer's own copy of click, which has no public types
    command = whole.commands.get(name)
    if command is None:
        return Spelling()
    context = command.context_class(
        command, info_name=name, parent=whole.context_class(whole, **whole.context_settings)
    )
    parameters = command.get_params(context)  # with --help
    options = [one for one in parameters if one.param_type_name == "option"]
    return Spelling(
        lists=frozenset(word for one in options if one.multiple for word in one.opts),
        flags=frozenset(
            word for one in options if one.is_flag or one.count for word in (*one.opts, *one.secondary_opts)
        ),
        n_arguments=len(parameters) - len(options),
    )


def spread_lists(
    words: Sequence[str], options: Collection[str], flags: Collection[str], n_arguments: int = 1
) -> list[str]:
    """Repeat a list option before each of its values: ``fit C --head a b`` becomes ``fit C --head a --head b``.

    Of the words behind a list option, the command's `n_arguments` paths are the last that no other place gives, or one
    that is there: ``fit --head a b C`` has two heads, and ``extract --backbone resnet50 photos/`` keeps its meaning.
    `flags` are the options that take no value.
    """
    runs: list[tuple[str, str, list[str]]] = [("", "", [])]  # an option as typed, its name if it takes values, words
    for word in words:
        if word.startswith("-") and word != "-":  # which is a list on standard input
            runs.append((word, "" if word in flags or "=" in word else word, []))
        else:
            runs[-1][2].append(word)
    spread: list[str] = []
    lacking = n_arguments + 1  # with the command itself
    for number, (typed, option, run) in enumerate(runs):
        later = sum(max(len(rest) - bool(other), 0) for _, other, rest in runs[number + 1 :] if other not in options)
        n_first = 1 if option else 0
        spread += [*([typed] if typed else []), *run[:n_first]]
        for place, word in enumerate(run[n_first:], n_first):
            is_spare = len(run) - place + later > lacking and not Path(word).exists()
            if option in options and (lacking <= 0 or is_spare):
                spread.append(option)
            else:
                lacking -= 1
            spread.append(word)
    return spread


def spread_values(app: typer.Typer, words: Sequence[str]) -> list[str]:
    """Repeat each list option before each of its values: ``--head logreg knn`` means ``--head logreg --head knn``."""
    name = next((word for word in words if not word.startswith("-")), "")
    spelling = read_spelling(app, name)
    return spread_lists(words, spelling.lists, spelling.flags, spelling.n_arguments)
