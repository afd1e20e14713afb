"""The arrows between the packages, enforced: flows → extractors, flows → heads, and no other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from support import source_modules
from support.source_modules import MODULES, PACKAGES, ROOT, modules_of

AT_LEAST = {"extractors": 70, "heads": 90, "flows": 90}
"""About as many modules as each package has: a search that passes over a folder of them must not go unseen."""

FORBIDDEN = {
    "extractors": {"heads", "flows", "prefect", "dask", "distributed", "sklearn", "typer", "rich"},
    "heads": {"extractors", "flows", "prefect", "torchvision", "h5py", "PIL", "timm", "pandas", "typer", "rich"},
    "flows": {"h5py", "torchvision", "timm"},
}


def imports_of(module: Path) -> set[str]:
    """Return the top-level names that a module imports; of the project's own, the packages."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix("headstart.").partition(".")[0] for name in found}


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_of_a_package_is_overlooked(package: str) -> None:
    assert len(modules_of(package)) >= AT_LEAST[package]


def test_modules_in_folders_of_a_package_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("deep/__init__.py", "deep/in/__init__.py", "deep/in/it.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(source_modules, "ROOT", tmp_path)
    monkeypatch.setattr(source_modules, "root_of", lambda _: tmp_path / "deep")
    assert [str(module) for module in modules_of("deep")] == [
        "deep/__init__.py",
        "deep/in/__init__.py",
        "deep/in/it.py",
    ]


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_what_its_package_may_know(module: Path) -> None:
    assert imports_of(module) & FORBIDDEN[module.parts[0]] == set()


def test_only_one_module_knows_hdf5() -> None:
    assert [str(module) for module in MODULES if "h5py" in imports_of(module)] == ["extractors/cache/shards.py"]


def test_prefect_appears_in_flows_alone() -> None:
    knowing = {str(module) for module in MODULES if "prefect" in imports_of(module)}
    assert {name for name in knowing if not name.startswith("flows/")} == set()
    assert not loaded_after("import headstart.flows.extraction.job, headstart.flows.fitting.job") & {"prefect"}


def test_dask_appears_in_flows_and_the_sweep_alone() -> None:
    knowing = {str(module) for module in MODULES if imports_of(module) & {"dask", "distributed"}}
    assert {name for name in knowing if not name.startswith("flows/")} == {"heads/sweep/cluster.py"}


def test_reading_a_cache_never_loads_torch() -> None:
    assert not loaded_after("import headstart.extractors.cache.cache, headstart.extractors.listing.cache_listing") & {
        "torch",
        "torchvision",
        "sklearn",
        "prefect",
    }


def test_importing_heads_loads_neither_torch_nor_image_libraries() -> None:
    assert not loaded_after("import headstart.heads") & {
        "torch",
        "torchvision",
        "h5py",
        "PIL",
        "prefect",
        "distributed",
    }


def test_the_command_line_starts_without_torch_prefect_or_dask() -> None:
    assert not loaded_after("import headstart.flows.cli.app") & {"torch", "prefect", "distributed", "sklearn", "pandas"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_file_stays_within_300_lines(module: Path) -> None:
    assert len((ROOT / module).read_text().splitlines()) <= 300
