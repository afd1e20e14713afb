"""Definition of an option, given once beside the field that holds it; commands, tables and tests are made of that."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import reduce
from operator import or_
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Option:
    """How a person is asked for the value of a field: annotates it.

    Attributes
    ----------
    help : str
        One line, for ``--help``.
    unset : str
        What it is where nobody says it; by default the field's own default.
    choices : tuple of str
        What a person may say, where the field can hold more.
    least, above, below : float or None
        Bounds of a number; `least` may be reached.
    flag : str
        How the command spells it, where that is not the field's name.
    command, table : bool
        Whether the command has it, and whether an experiment file has.
    """

    help: str
    unset: str = ""
    choices: tuple[str, ...] = ()
    least: float | None = None
    above: float | None = None
    below: float | None = None
    flag: str = ""
    command: bool = True
    table: bool = True


@dataclass(frozen=True)
class OptionField:
    """A field with an `Option`, as a person gives its value: one of several types, of one name or several a list.

    Attributes
    ----------
    name : str
    kind : type
        A path is a `Path`, names are a list, and a choice is one of what the option names.
    default : object
        Of that type.
    option : Option
    """

    name: str
    kind: Any
    default: Any
    option: Option

    @property
    def choice(self) -> Any:
        """The type of a command's word, which is no table, where names that the job would refuse are refused before."""
        words = [one for one in _members(self.kind) if get_origin(one) is not Mapping]
        return _either(Literal[self.option.choices] if one is str and self.option.choices else one
                       for one in words or [self.kind])  # fmt: skip


def options_of(holder: type) -> list[OptionField]:
    """Return the options of a dataclass, in the order of its fields.

    Raises
    ------
    TypeError
        A field says nothing of how it is asked for.
    """
    hints, found = get_type_hints(holder, include_extras=True), []
    for field in fields(holder):
        hint = hints[field.name]
        option = next((one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Option)), None)
        if option is None or field.default is MISSING:
            raise TypeError(
                f"{holder.__name__}.{field.name} has no Option or no default; write Annotated[…, Option(…)]"
            )
        kind = _given(get_args(hint)[0], option.choices)
        default = field.default
        if get_origin(kind) is list and default is not None:
            default = [default] if isinstance(default, (str, float)) else list(default)
        found.append(OptionField(field.name, kind, default, option))
    return found


def shared_values(holder: type, source: object) -> dict[str, Any]:
    """Return the values that an object has for the fields of a dataclass, by name."""
    return {field.name: getattr(source, field.name) for field in fields(holder) if hasattr(source, field.name)}


def _given(hint: Any, choices: tuple[str, ...]) -> Any:
    members = _members(hint)
    several = [one for one in members if get_origin(one) is Sequence]
    if several:
        members = [list[get_args(several[0])[0]], *(one for one in members if one is NoneType)]  # type: ignore[misc]  # made at run time
    elif any(get_origin(one) is tuple for one in members):  # two numbers, or nothing
        members = [one for one in members if get_origin(one) is tuple or one is NoneType]
    elif Path in members:
        members = [one for one in members if one is not str]
    literal = [one for one in members if get_origin(one) is Literal]
    if literal and choices:
        members = [Literal[choices], *(one for one in members if one not in literal)]
    return _either(members)


def _members(hint: Any) -> list[Any]:
    return list(get_args(hint)) if get_origin(hint) in (Union, UnionType) else [hint]


def _either(members: Any) -> Any:
    return reduce(or_, members)
