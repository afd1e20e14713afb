"""A head by its name: a registered one, one that an installed package brings, or one of a user's own."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from headstart.heads.errors import UnknownHeadError
from headstart.heads.registry import own_heads
from headstart.heads.registry.table import HEADS, REGRESSORS

if TYPE_CHECKING:
    from headstart.heads.registry.head import Head


def find_for(task: str, name: str) -> Head:
    """Return the head of this name for "classify" or "regress".

    Raises
    ------
    UnknownHeadError
        As `heads.registry.lookup.find_head` and `heads.registry.lookup.find_regressor`.
    """
    return find_regressor(name) if task == "regress" else find_head(name)


def find_head(name: str) -> Head:
    """Return the head of this name: a registered one, one that an installed package brings, or `module:Class`.

    Raises
    ------
    UnknownHeadError
        There is none; the message names the nearest ones.
    DuplicateHeadError
        Installed packages bring two heads of one name.
    OwnHeadError
        The module of a head of a user's own cannot be imported, or holds no classifier.
    """
    if name in HEADS:
        return HEADS[name]
    if ":" in name:
        return own_heads.named_head(name)
    installed = own_heads.installed_heads()
    if name in installed:
        return own_heads.installed_head(installed[name])
    known = sorted({*HEADS, *installed})
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known heads: {', '.join(known)}"
    raise UnknownHeadError(f"no head is called {name!r}; {hint}, or module:Class for one of your own")


def all_heads() -> dict[str, Head]:
    """Return every registered head and every head that an installed package brings, by name.

    Raises
    ------
    DuplicateHeadError, OwnHeadError
        As `find_head`.
    """
    return {**HEADS, **{name: own_heads.installed_head(entry) for name, entry in own_heads.installed_heads().items()}}


def find_regressor(name: str) -> Head:
    """Return the head for numbers of this name.

    Raises
    ------
    UnknownHeadError
        There is none; the message says so of a head that only tells classes apart.
    """
    if name in REGRESSORS:
        return REGRESSORS[name]
    known = ", ".join(sorted(REGRESSORS))
    if name in HEADS or ":" in name:
        raise UnknownHeadError(
            f"head {name!r} tells classes apart and predicts no numbers; heads that do: {known}; "
            "or say --task classify where the numbers name classes"
        )
    near = get_close_matches(name.lower(), REGRESSORS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known heads: {known}"
    raise UnknownHeadError(f"no head for numbers is called {name!r}; {hint}")
