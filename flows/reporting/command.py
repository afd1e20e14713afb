"""The command line that makes a fit again."""

import shlex
from pathlib import Path

from headstart.extractors.spec import options_of
from headstart.flows.options import FitOptions, as_list
from headstart.flows.output import nearby
from headstart.flows.problem import table_text
from headstart.heads.registry import AskedHead

_OF_ONE_RUN = ("name", "note")


def fit_command(cache: Path, heads: list[AskedHead], options: FitOptions, target: str) -> str:
    """Write ``headstart fit …`` with all that was asked for, as a shell takes it.

    Parameters
    ----------
    cache : Path
        As seen from the current folder where it lies below it.
    heads : list of AskedHead
        Those of a sweep come with its name.
    options : FitOptions
        What a command cannot ask for, such as the memory, is left out; so are name and note of the run.
    target : str
        The label column, where the options leave it open and it is not the usual one.
    """
    words = ["headstart", "fit", nearby(str(cache))]
    named = [str(one) for one in heads if not one.of_sweep]
    words += ["--head", *named] if named else []
    if options.target is None and target != "label":
        words += ["--target", target]
    for one in options_of(FitOptions):
        value = getattr(options, one.name)
        if not one.option.command or one.name in _OF_ONE_RUN or value == one.default:
            continue
        words.append(one.option.flag or f"--{'no-' if value is False else ''}{one.name.replace('_', '-')}")
        if not isinstance(value, bool):
            words += as_list(value) if one.name == "backbone" else [table_text(value)]
    return shlex.join(words)
