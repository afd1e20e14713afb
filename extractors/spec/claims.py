"""Claims of a file about a dataclass, held against the types of its fields before anything believes it."""

from dataclasses import fields
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_INFINITE = float("inf")
_Claimed = TypeVar("_Claimed", bound="DataclassInstance")


def claimed(kind: type[_Claimed], values: Any) -> _Claimed:
    """Make a dataclass of what JSON holds of it.

    Raises
    ------
    TypeError
        It is no object, a field is unknown or missing, or a value is not of its field's type.
    """
    types = get_type_hints(kind)
    for one in fields(kind):
        if one.name in values and not _fits(values[one.name], types[one.name]):
            raise TypeError(f"its {one.name} is {_cut(repr(values[one.name]))}, expected {_cut(str(one.type))}")
    return kind(**values)


def _fits(value: Any, kind: Any) -> bool:
    origin, within = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in within
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in within)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(one, within[1]) for one in value.values())
    if origin in (list, tuple):
        kinds = within if origin is tuple and within[-1] is not ... else within[:1] * len(value)
        return isinstance(value, (list, tuple)) and len(value) == len(kinds) and all(map(_fits, value, kinds))
    if kind is float:
        return type(value) in (int, float) and abs(value) < _INFINITE  # NaN is not
    return type(value) is kind


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
