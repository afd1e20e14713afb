"""Every module of the packages, wherever it lies in them, for tests of how the code is written."""

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
