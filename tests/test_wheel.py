"""The wheel holds the three folders as `headstart.…` and leaves their names at the top to others."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from support.source_modules import MODULES, PACKAGES, ROOT

TEMPLATES = ROOT / "heads" / "report" / "templates"
OLDEST = 77  # pyproject.toml asks for it


def missing_builder() -> str:
    """Say what is not installed that builds a wheel offline; nothing if all is there."""
    try:
        version("pip")
        found = version("setuptools")
    except PackageNotFoundError as error:
        return f"{error.name} is not installed here, and a test fetches nothing"
    old = int(found.partition(".")[0]) < OLDEST
    return f"setuptools {found} is installed here, and {OLDEST} builds the wheel" if old else ""


pytestmark = pytest.mark.skipif(bool(missing_builder()), reason=missing_builder())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it from a copy of the sources: building leaves files beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    source, out = folder / "source", folder / "out"
    for name in ("headstart", *PACKAGES):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*build, "--quiet", "--wheel-dir", str(out), str(source)], check=True)
    (built,) = out.glob("headstart-*.whl")
    return built


def test_the_wheel_has_every_module_stub_and_template_below_headstart(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    stubs = {f"headstart/{stub.relative_to(ROOT)}" for one in PACKAGES for stub in (ROOT / one).rglob("*.pyi")}
    templates = {f"headstart/heads/report/templates/{path.name}" for path in TEMPLATES.iterdir()}
    assert len(stubs) > 30
    assert len(templates) > 5
    assert {f"headstart/{module}" for module in MODULES} <= names
    assert stubs | templates | {"headstart/py.typed", "headstart/__main__.py", "headstart/__init__.pyi"} <= names


def test_the_wheel_puts_no_name_at_the_top_but_its_own(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
        (about,) = tops - {"headstart"}
        assert about.endswith(".dist-info")
        assert "headstart = headstart.flows.cli.app:main" in archive.read(f"{about}/entry_points.txt").decode()


def test_the_wheel_finds_its_own_beside_files_of_the_same_names(wheel: Path, tmp_path: Path) -> None:
    site, beside = tmp_path / "site", tmp_path / "beside"
    zipfile.ZipFile(wheel).extractall(site)
    beside.mkdir()
    for name in PACKAGES:
        (beside / f"{name}.py").write_text(f"WHOSE = 'their own {name}'\n")
    code = """
import sys, headstart, heads, flows, extractors
print(headstart.__file__, sys.modules[headstart.fit.__module__].__file__, sys.modules["headstart.heads"].__file__)
print(headstart.fit.__module__, headstart.__version__, [one.WHOSE for one in (extractors, heads, flows)])
"""
    options = {"cwd": beside, "env": os.environ | {"PYTHONPATH": str(site)}, "text": True}
    files, rest = subprocess.check_output([sys.executable, "-c", code], **options).splitlines()
    assert [Path(file).relative_to(site / "headstart").parts[0] for file in files.split()] == [
        "__init__.py",
        "flows",
        "heads",
    ]
    owners = [f"their own {name}" for name in PACKAGES]
    assert rest == f"headstart.flows.fitting.job {version_in(wheel)} {owners}"
    asked = [sys.executable, "-m", "headstart", "--version"]
    assert version_in(wheel) in subprocess.check_output(asked, **options)


def version_in(wheel: Path) -> str:
    """Return the version in the name of a wheel."""
    return wheel.name.split("-")[1]
