"""Command that makes a fine-tuning again, or the call where a command cannot say all of it."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.extractors.spec import options_of
from headstart.flows.options import FinetuneOptions
from headstart.flows.problem import table_text

_NOT_AGAIN = ("out", "name", "note", "keys", "progress")  # where it goes and what it is called changes nothing


def command_of(cache: Path, layers: Sequence[str], options: FinetuneOptions) -> str:
    """Write the shell's line that repeats a fine-tuning, or Python's where an option has no word on the command line.

    Parameters
    ----------
    cache : Path
    layers : sequence of str
        From which it was trained.
    options : FinetuneOptions
    """
    changed = {
        one.name: (value, one.option)
        for one in options_of(FinetuneOptions)
        if (value := getattr(options, one.name)) != getattr(FinetuneOptions(), one.name) and one.name not in _NOT_AGAIN
    }
    if all(option.command for _, option in changed.values()):
        words = ["headstart", "finetune", str(cache), "--from", *layers]
        for name, (value, option) in changed.items():
            spelt = option.flag or f"--{name.replace('_', '-')}"
            words += [spelt] if value is True else [spelt, *map(_word, _as_list(value))]
        return shlex.join(words)
    layer = repr(layers[0]) if len(layers) == 1 else repr(list(layers))
    given = "".join(f", {name}={value!r}" for name, (value, _) in changed.items())
    return f"headstart.finetune({str(cache)!r}, {layer}{given})"


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _word(value: Any) -> str:
    if isinstance(value, Mapping):
        return table_text(value)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
