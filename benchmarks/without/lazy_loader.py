"""Stand-in for lazy_loader on the path of `gpu.sh` alone, for machines with torch and scikit-learn and little else.

A package's names are those of the stub beside it: ``from .room import Name as Name``.
"""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def attach_stub(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Functions of a package that import the names of its stub when they are asked for."""
    stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [one for one in stub.body if isinstance(one, ast.ImportFrom)]
    places = {alias.asname or alias.name: one.module for one in imports for alias in one.names}

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        room = places[name]
        return import_module(f"{package}.{name}") if room is None else getattr(import_module(f"{package}.{room}"), name)

    return find, lambda: sorted(places), sorted(places)
