"""A head by its name: a registered one, one that an installed package brings, or one of a user's own."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from headstart.heads.errors import UnknownHeadError
from headstart.heads.registry import own_heads
from headstart.heads.registry.table import HEADS, HEADS_OF, REGRESSORS

if TYPE_CHECKING:
    from headstart.heads.registry.head import Head


def find_head(name: str, task: str = "classify") -> Head:
    """Return the head of this name: a registered one, one that an installed package brings, or `module:Class`.

    Parameters
    ----------
    name : str
        ``module.Class`` is taken, too.
    task : {"classify", "regress"}

    Raises
    ------
    UnknownHeadError
        There is none; the message names the nearest ones, and says so of a head that only tells classes apart.
    DuplicateHeadError
        Installed packages bring two heads of one name.
    OwnHeadError
        The module of a head of a user's own cannot be imported, or holds no head of that task.
    """
    if name in HEADS_OF[task]:
        return HEADS_OF[task][name]
    if ":" in (path := own_heads.module_and_name(name)):
        return own_heads.named_head(path, task)
    installed = own_heads.installed_heads()
    if name in installed:
        return own_heads.installed_head(installed[name], task)
    if task == "regress":
        raise _unknown_regressor(name)
    hint = _nearest(name, sorted({*HEADS, *installed}))
    raise UnknownHeadError(f"no head is called {name!r}; {hint}, or module:Class for one of your own")


def all_heads() -> dict[str, Head]:
    """Return every registered head and every head that an installed package brings, by name.

    Raises
    ------
    DuplicateHeadError, OwnHeadError
        As `find_head`.
    """
    return {**HEADS, **{name: own_heads.installed_head(entry) for name, entry in own_heads.installed_heads().items()}}


def _unknown_regressor(name: str) -> UnknownHeadError:
    if name not in HEADS:
        return UnknownHeadError(f"no head for numbers is called {name!r}; {_nearest(name, sorted(REGRESSORS))}")
    return UnknownHeadError(
        f"head {name!r} tells classes apart and predicts no numbers; heads that do: {', '.join(sorted(REGRESSORS))}; "
        "or say --task classify where the numbers name classes"
    )


def _nearest(name: str, known: list[str]) -> str:
    if (parts := name.replace(",", " ").split()) and len(parts) > 1 and set(parts) <= set(known):
        return f"several heads are words of their own: --head {' '.join(parts)}"
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"known heads: {', '.join(known)}"
