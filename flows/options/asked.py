"""Options given to a job by name, and those that many jobs share."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from headstart.extractors.spec import Option

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Task = Literal["classify", "regress"]
Progress = Annotated[bool, Option("Show bars on standard error.", command=False, table=False)]
_Options = TypeVar("_Options", bound="DataclassInstance")


def taken(job: str, options: _Options, named: Mapping[str, Any], *, beside: Sequence[str] = ()) -> _Options:
    """Return the options with those changed that were given by name; `beside` them the job has other arguments.

    Raises
    ------
    TypeError
        There is no such option; the message names the nearest.
    """
    known = [field.name for field in fields(options)]
    for name in named:
        if name not in known:
            (nearest,) = get_close_matches(name, [*beside, *known], n=1, cutoff=0.0)
            raise TypeError(f"{job}() has no option {name!r}; did you mean {nearest!r}? It has {', '.join(known)}")
    return replace(options, **named)


def as_list(value: str | Sequence[str]) -> list[str]:
    """Accept one name or several."""
    return [value] if isinstance(value, str) else list(value)
