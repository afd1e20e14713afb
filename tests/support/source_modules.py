"""Every module of the packages, wherever it lies in them, for tests of how the code is written."""

import ast
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("extractors", "heads", "flows")


def root_of(package: str) -> Path:
    """Return the folder of a package; nothing of it is imported but what it stands in."""
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent.resolve()


ROOT = root_of("headstart").parent


def modules_of(package: str) -> list[Path]:
    """Return the files of a package and of all packages in it, relative to `ROOT`."""
    return sorted(path.relative_to(ROOT) for path in root_of(f"headstart.{package}").rglob("*.py"))


MODULES = sorted(module for package in PACKAGES for module in modules_of(package))
ROOMS = [module for module in MODULES if module.name != "__init__.py"]
WINGS = sorted({wing for module in ROOMS for wing in (module.parent, *module.parent.parents) if wing.parts})
"""Folders with rooms, in themselves or in wings within; the packages' halls are among them."""


@dataclass(frozen=True)
class Imported:
    """One name that a module imports: ``from {module} import {name}``, or ``import {module}`` where name is empty."""

    module: str
    name: str = ""

    @property
    def ours(self) -> bool:
        """Whether it is the project's own."""
        return self.module.partition(".")[0] == "headstart"


@cache
def imports_of(module: Path) -> frozenset[Imported]:
    """Return all that a module imports: at its top, in its functions, and for type hints alone."""
    found: set[Imported] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            found |= {Imported(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {Imported(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _names_a_module(node.value):
            found.add(Imported(node.value.partition(":")[0]))
    return frozenset(found)


def _names_a_module(text: str) -> bool:
    """Tell a string such as those of the registry of heads, which names a module that is imported later."""
    module = text.partition(":")[0].replace(".", "/").removeprefix("headstart/")
    return text.startswith("headstart.") and (ROOT / f"{module}.py").is_file()


@cache
def shown_by(wing: Path) -> dict[str, str]:
    """Return the public names of a wing's face, each with the room that it stands in."""
    stub = ROOT / wing / "__init__.pyi"
    if not stub.exists():
        return {}
    lines = [node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: str(node.module) for node in lines for alias in node.names}


@cache
def home_of(imported: Imported) -> Path | None:
    """Return the file that an import of the project's own leads to, through the faces of wings; None of the face."""
    place = Path(*imported.module.split(".")[1:])
    if not imported.ours or not place.parts:
        return None
    if not (ROOT / place).is_dir():
        return place.with_suffix(".py")
    if imported.name in shown_by(place):
        return home_of(Imported(f"{imported.module}.{shown_by(place)[imported.name]}", imported.name))
    room = place / f"{imported.name}.py"
    return room if imported.name and (ROOT / room).is_file() else None


@cache
def defined_in(module: Path) -> frozenset[str]:
    """Return the names that a module defines at its top."""
    found: set[str] = set()
    for node in ast.parse((ROOT / module).read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return frozenset(found)
