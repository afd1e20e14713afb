"""JSON as nobody writes it in good faith: nested without an end, numbers of thousands of digits, other types."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

DEEP = b"[" * 50_000 + b"]" * 50_000
DIGITS = b"9" * 10_000
VALUES = {"deep": DEEP, "digits": DIGITS, "null": b"null", "list": b"[[]]", "text": b'"x"', "negative": b"-1"}
WHOLE = {
    "nothing": b"",
    "no end": b"[" * 200_000,
    "objects": b'{"a":' * 200_000,
    "bytes": b"\xff\x00",
} | VALUES


def hostile(content: bytes, *, depth: int = 9) -> Iterator[tuple[str, bytes]]:
    """Yield what may stand in place of JSON, each with its name: all of it, or one value changed or gone to a depth."""
    yield from WHOLE.items()
    values = json.loads(content)
    for place in (one for one in _places(values) if len(one) <= depth):
        name = ".".join(map(str, place))
        gone = copy.deepcopy(values)
        del _holder(gone, place)[place[-1]]
        yield f"{name} gone", json.dumps(gone).encode()
        for what, written in VALUES.items():
            changed = copy.deepcopy(values)
            _holder(changed, place)[place[-1]] = "\0"
            yield f"{name}: {what}", json.dumps(changed).encode().replace(b'"\\u0000"', written)


def _places(values: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for name in values if isinstance(values, dict) else range(len(values[:1])) if isinstance(values, list) else ():
        yield (*above, name)
        yield from _places(values[name], (*above, name))


def _holder(values: Any, place: tuple[Any, ...]) -> Any:
    for name in place[:-1]:
        values = values[name]
    return values


def refusal(read: Callable[[], object], *expected: type[Exception]) -> str:
    """Return the message that something is refused with; empty where it is read."""
    try:
        read()
    except expected as error:
        return str(error)
    return ""
