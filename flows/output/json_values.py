"""Values as JSON holds them: the one place where dataclasses, paths and NumPy's numbers become plain ones."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def plain(value: Any, *, finite: bool = True) -> Any:
    """Return a value that JSON can hold.

    A dataclass becomes an object of its fields, or of what its own `as_dict` gives; a field whose metadata say
    ``unsaid_if_none`` is left out where it is None. NumPy's arrays and numbers become Python's; a number that is not
    finite becomes null; what JSON does not know becomes text.

    Parameters
    ----------
    value : object
    finite : bool
        Without it, numbers that are not finite stay as they are: Python reads them back, other programs do not.
    """
    if is_dataclass(value) and not isinstance(value, type):
        value = value.as_dict() if hasattr(value, "as_dict") else _said(value)
    if isinstance(value, Mapping):
        return {str(name): plain(item, finite=finite) for name, item in value.items()}
    if hasattr(value, "tolist"):  # asked so, NumPy need not be loaded
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(item, finite=finite) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) or not finite else None
    return value if value is None or isinstance(value, str | int) else str(value)


def as_line(value: Any) -> str:
    """Return a value as one line of JSON, without its end."""
    return json.dumps(plain(value), allow_nan=False)


def _said(value: Any) -> dict[str, Any]:
    return {
        field.name: found
        for field in fields(value)
        if (found := getattr(value, field.name)) is not None or "unsaid_if_none" not in field.metadata
    }
