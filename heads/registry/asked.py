"""Heads as people ask for them: a name, a name with the values to try, or an estimator of their own."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from headstart.heads.errors import DataError, OwnHeadError
from headstart.heads.registry.own_heads import module_and_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sklearn.base import BaseEstimator

    from headstart.heads.registry.head import Grid

Heads: TypeAlias = "str | BaseEstimator | AskedHead | Sequence[str | BaseEstimator | AskedHead]"
"""One head or several, each by its text, as an estimator, or read already."""

_WORDS = {"true": True, "false": False, "none": None}
_NAMED = re.compile(r"\s*([A-Za-z_]\w*)\s*=(.*)", re.DOTALL)
_WORD = re.compile(r"[\w.+-]+")


@dataclass(frozen=True)
class AskedHead:
    """A head that somebody asks for.

    Attributes
    ----------
    name : str
        A registered one's, or ``module:Class``.
    grid : mapping of str to sequence, or None
        What to try in place of the head's own grid.
    of_sweep : bool
        The grid is that of a sweep, and nobody has named it.
    """

    name: str
    grid: Grid | None = None
    of_sweep: bool = False

    def __str__(self) -> str:
        """Write it as `read_head` takes it: ``logreg(C=0.1,1,10)``."""
        if self.grid is None or self.of_sweep:
            return self.name
        values = (f"{name}={','.join(map(_written, tried))}" for name, tried in self.grid.items())
        return f"{self.name}({', '.join(values)})"


def read_heads(asked: Any) -> list[AskedHead]:
    """Return heads that are asked for as `Heads`; see `read_head`."""
    alone = isinstance(asked, str | AskedHead) or callable(asked) or hasattr(asked, "get_params")
    return [read_head(one) for one in ([asked] if alone else asked)]


def read_head(asked: Any) -> AskedHead:
    """Return a head that is asked for by its text, as a class or factory, or as an estimator.

    Parameters
    ----------
    asked : str, class, callable, estimator or AskedHead
        ``logreg``, ``logreg(C=0.1,1,10)``, ``knn(metric=cosine,euclidean, n_neighbors=5)``, ``mine:MyHead``,
        ``sklearn.svm.SVC(C=1)``. Values are Python's; a word needs no quotes, and a list is several values. What an
        estimator was made with, other than its defaults, is what is tried.

    Raises
    ------
    DataError
        The text cannot be read.
    OwnHeadError
        It is nothing of these, or a class that cannot be found by its name.
    """
    if isinstance(asked, AskedHead):
        return asked
    if not isinstance(asked, str):
        return _of_object(asked)
    name, bracket, rest = asked.strip().partition("(")
    if not bracket:
        return AskedHead(module_and_name(name))
    if not rest.endswith(")"):
        raise DataError(f"head {asked!r}: its bracket is never closed; write it as 'logreg(C=0.1,1,10)', in quotes")
    return AskedHead(module_and_name(name.strip()), _read_grid(rest[:-1], asked))


def as_grid(values: Mapping[str, Any]) -> Grid:
    """Return a grid of which each value may stand alone: ``{"C": 1}`` is ``{"C": (1,)}``."""
    several = {name: value if isinstance(value, list | tuple) else (value,) for name, value in values.items()}
    return {name: tuple(_hashable(value) for value in tried) for name, tried in several.items()}


def _hashable(value: Any) -> Any:
    """Make tuples of lists, which is all that files and JSON have: sizes of layers are such."""
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _read_grid(text: str, asked: str) -> Grid:
    grid: dict[str, list[Any]] = {}
    for part in _split(text) if text.strip() else []:
        if match := _NAMED.fullmatch(part):
            name, part = match.groups()  # noqa: PLW2901 - the rest is the first of its values
            if name in grid:
                raise DataError(f"head {asked!r}: {name} is named twice; give all its values at one place")
            grid[name] = []
        elif not grid:
            raise DataError(f"head {asked!r}: {part.strip()!r} has no name; write it as 'logreg(C=0.1,1,10)'")
        value = _read_value(part.strip(), asked)
        grid[name] += value if isinstance(value, list) else [value]
    return as_grid(grid)


def _split(text: str) -> list[str]:
    """Split at commas that stand in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for sign in text:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _read_value(text: str, asked: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        if _WORD.fullmatch(text):
            return text
        raise DataError(
            f"head {asked!r}: {text!r} is no value; numbers and words stand as they are, all else as in Python"
        ) from error


def _written(value: Any) -> str:
    plain = isinstance(value, str) and _WORD.fullmatch(value) and _read_value(value, value) == value
    return value if plain else repr(value)


def _of_object(found: Any) -> AskedHead:
    if inspect.isclass(found) or inspect.isfunction(found):
        return AskedHead(path_of(found))
    if not hasattr(found, "get_params"):
        raise OwnHeadError(
            f"{found!r} is a {type(found).__name__}, expected a head's name, a scikit-learn estimator, or its class"
        )
    usual = {name: one.default for name, one in inspect.signature(type(found)).parameters.items()}
    chosen = {
        name: (value,)
        for name, value in found.get_params(deep=False).items()
        if repr(value) != repr(usual.get(name))  # as text: what is compared may be an array
    }
    return AskedHead(path_of(type(found)), chosen)


def path_of(found: Any) -> str:
    """Return ``module:name``, by the module that people import it from where a private one holds it."""
    name = found.__qualname__
    if "<locals>" in name:
        raise OwnHeadError(
            f"{name} is made inside a function, where no other process can find it; move it to the top of its module"
        )
    parts = found.__module__.split(".")
    for length in range(len(parts), 0, -1):
        module = ".".join(parts[:length])
        if (
            not any(part.startswith("_") for part in parts[:length])
            and getattr(sys.modules.get(module), name, None) is found
        ):
            return f"{module}:{name}"
    return f"{found.__module__}:{name}"
