"""The arrows between the packages, enforced: flows → extractors, flows → heads, and no other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    path.relative_to(ROOT) for package in ("extractors", "heads", "flows") for path in (ROOT / package).glob("*.py")
)

FORBIDDEN = {
    "extractors": {"heads", "flows", "prefect", "dask", "distributed", "sklearn", "typer", "rich"},
    "heads": {"extractors", "flows", "prefect", "torchvision", "h5py", "PIL", "timm", "pandas", "typer", "rich"},
    "flows": {"h5py", "torchvision", "timm"},
}


def imports_of(module: Path) -> set[str]:
    tree = ast.parse((ROOT / module).read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*(name for name in sys.modules if '.' not in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_imports_only_what_its_package_may_know(module: Path) -> None:
    assert imports_of(module) & FORBIDDEN[module.parts[0]] == set()


def test_only_one_module_knows_hdf5() -> None:
    assert [str(module) for module in MODULES if "h5py" in imports_of(module)] == ["extractors/shards.py"]


def test_prefect_appears_in_flows_alone() -> None:
    knowing = {str(module) for module in MODULES if "prefect" in imports_of(module)}
    assert {name for name in knowing if not name.startswith("flows/")} == set()
    assert not loaded_after("import flows.extraction, flows.fitting") & {"prefect"}


def test_dask_appears_in_flows_and_the_sweep_alone() -> None:
    knowing = {str(module) for module in MODULES if imports_of(module) & {"dask", "distributed"}}
    assert {name for name in knowing if not name.startswith("flows/")} == {"heads/sweep_cluster.py"}


def test_reading_a_cache_never_loads_torch() -> None:
    assert not loaded_after("import extractors.cache, extractors.cache_listing") & {
        "torch",
        "torchvision",
        "sklearn",
        "prefect",
    }


def test_importing_heads_loads_neither_torch_nor_image_libraries() -> None:
    assert not loaded_after("import heads") & {"torch", "torchvision", "h5py", "PIL", "prefect", "distributed"}


def test_the_command_line_starts_without_torch_prefect_or_dask() -> None:
    assert not loaded_after("import flows.cli") & {"torch", "prefect", "distributed", "sklearn", "pandas"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_file_stays_within_300_lines(module: Path) -> None:
    assert len((ROOT / module).read_text().splitlines()) <= 300
