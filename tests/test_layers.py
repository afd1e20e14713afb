"""The house, enforced: packages that may not know each other, storeys that import only downwards, wings with a face."""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support import source_modules
from support.source_modules import (
    MODULES,
    PACKAGES,
    ROOMS,
    ROOT,
    WINGS,
    Imported,
    defined_in,
    home_of,
    imports_of,
    modules_of,
    shown_by,
)

AT_LEAST = {"extractors": 70, "heads": 90, "flows": 90}
"""About as many modules as each package has: a search that passes over a folder of them must not go unseen."""

FORBIDDEN = {
    "extractors": {"heads", "flows", "prefect", "dask", "distributed", "sklearn", "typer", "rich"},
    "heads": {"extractors", "flows", "prefect", "torchvision", "h5py", "PIL", "timm", "pandas", "typer", "rich"},
    "flows": {"h5py", "torchvision", "timm"},
}

STOREYS = {
    "extractors": [
        "extraction",
        "tuning upkeep",
        "network listing pretraining",
        "backbones decoding cache",
        "spec images",
        "writer_lock results",
        "atomic",
        "errors stages memory arrays",
    ],
    "heads": [
        "sweep report",
        "coverage transfer",
        "solvers analysis finetuning",
        "neural saving",
        "estimators scoring registry splits",
        "row_by_row folds features prediction views",
        "errors isolation",
    ],
    "flows": [
        "cli",
        "serving",
        "nightly doctor demo",
        "orchestration exploring transfer",
        "fitting inference upkeep",
        "reporting history extraction",
        "problem experiment output",
        "options fit_summary errors",
    ],
}
"""Wings and rooms of the halls, from the roof down: each imports only what stands on a line below its own."""

MOST_ROOMS, MOST_BOXES, MOST_STOREYS = 14, 20, 8


def level_of(module: Path) -> int:
    """Return the storey of a module, counted from the roof."""
    unit = Path(module.parts[1]).stem
    return next(level for level, names in enumerate(STOREYS[module.parts[0]]) if unit in names.split())


def unit_of(module: Path) -> str:
    return Path(module.parts[1]).stem


@cache
def targets_of(module: Path) -> set[Path]:
    """Return the files that a module's imports lead to."""
    return {home for one in imports_of(module) if (home := home_of(one)) and (ROOT / home).is_file()} - {module}


def packages_of(imported: Imported) -> str:
    return imported.module.removeprefix("headstart.").partition(".")[0]


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


def faults(modules: list[Path], find: Callable[[Path], Iterable[object]]) -> dict[str, list[str]]:
    """Return the faults of all modules, by module: one test for all, as a test for each would take longer."""
    return {str(module): found for module in modules if (found := sorted(map(str, find(module))))}


def test_a_module_imports_only_what_its_package_may_know() -> None:
    def unknown(module: Path) -> set[str]:
        return {packages_of(one) for one in imports_of(module)} & FORBIDDEN[module.parts[0]]

    assert faults(MODULES, unknown) == {}


def test_a_module_imports_only_from_storeys_below_its_own() -> None:
    def above(module: Path) -> list[Path]:
        own = {home for home in targets_of(module) if home.parts[0] == module.parts[0] and home.name != "__init__.py"}
        over = {home for home in own if unit_of(home) != unit_of(module) and level_of(home) <= level_of(module)}
        return [home for home in over if not by_name_only(module, home)]

    assert faults(ROOMS, above) == {}


def test_imports_that_are_lazy_or_for_types_alone_are_seen_and_lead_through_faces() -> None:
    lazy = Imported("headstart.flows.fitting", "fit")
    assert lazy in imports_of(Path("flows/cli/fit.py"))
    assert home_of(lazy) == Path("flows/fitting/job.py")
    assert Path("heads/solvers/ridge.py") in targets_of(Path("heads/registry/table.py")), "named in a string"


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {module: {home for home in targets_of(module) if not by_name_only(module, home)} for module in ROOMS}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def by_name_only(module: Path, home: Path) -> bool:
    """Tell what a table names in a string: it is imported when it is used, and may itself use the table."""
    return not any(home_of(one) == home for one in imports_of(module) if one.name)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_wings_import_each_other_in_a_circle(package: str) -> None:
    graph: dict[Path, set[Path]] = {}
    for module in (one for one in ROOMS if one.parts[0] == package and one.parent != Path(package)):
        homes = {home.parent for home in targets_of(module) if not by_name_only(module, home)}
        # A wing and the wings inside it are one storey; that their files go round in no circle is asserted above.
        around = {home for home in homes if home in module.parent.parents or module.parent in home.parents}
        graph.setdefault(module.parent, set()).update(homes - around - {module.parent, Path(package)})
    list(TopologicalSorter(graph).static_order())


def test_what_stands_in_another_wing_is_imported_by_its_face() -> None:
    def past(module: Path) -> list[str]:
        return [
            f"{one.module}: {one.name}"
            for one in imports_of(module)
            if one.ours and one.name and (home := Path(*one.module.split(".")[1:])).with_suffix(".py").parts
            if len(home.parts) > 2 and not (ROOT / home).is_dir() and home.parent != module.parent
        ]

    assert faults(ROOMS, past) == {}


@pytest.mark.parametrize("wing", [wing for wing in WINGS if len(wing.parts) > 1], ids=str)
def test_a_face_names_every_room_and_what_it_shows_is_there(wing: Path) -> None:
    text = ast.get_docstring(ast.parse((ROOT / wing / "__init__.py").read_text())) or ""
    rooms = {module.stem for module in ROOMS if module.parent == wing}
    assert [room for room in sorted(rooms) if f"\n{room} " not in text] == []
    shown = shown_by(wing)
    assert list(shown.values()) == sorted(shown.values())  # ruff sorts the names of a room
    assert not {name for name in shown if name.startswith("_") or name in rooms}, "a module would hide the name"
    assert {name: room for name, room in shown.items() if name not in defined_in(wing / f"{room}.py")} == {}


def test_importing_all_faces_loads_no_library_that_takes_its_time() -> None:
    faces = ", ".join(f"headstart.{'.'.join(wing.parts)}" for wing in WINGS)
    assert not loaded_after(f"import {faces}") & {"torch", "sklearn", "prefect", "pandas", "numpy", "typer", "dask"}


def test_the_house_can_be_held_in_the_head() -> None:
    rooms = {wing: [room.name for room in ROOMS if room.parent == wing] for wing in WINGS}
    assert {str(wing): len(found) for wing, found in rooms.items() if len(found) > MOST_ROOMS} == {}
    for package in PACKAGES:
        boxes = {unit_of(module) for module in ROOMS if module.parts[0] == package}
        assert len(boxes) <= MOST_BOXES
        assert len(STOREYS[package]) <= MOST_STOREYS
        assert sorted(" ".join(STOREYS[package]).split()) == sorted(boxes)


def test_only_one_module_knows_hdf5() -> None:
    knowing = [str(module) for module in MODULES if Imported("h5py") in imports_of(module)]
    assert knowing == ["extractors/cache/shards.py"]


def test_prefect_appears_in_flows_alone() -> None:
    knowing = {str(module) for module in MODULES if "prefect" in {packages_of(one) for one in imports_of(module)}}
    assert {name for name in knowing if not name.startswith("flows/")} == set()
    assert not loaded_after("import headstart.flows.extraction.job, headstart.flows.fitting.job") & {"prefect"}


def test_dask_appears_in_flows_and_the_sweep_alone() -> None:
    knowing = {
        str(module) for module in MODULES if {"dask", "distributed"} & {packages_of(one) for one in imports_of(module)}
    }
    assert {name for name in knowing if not name.startswith("flows/")} == {"heads/sweep/cluster.py"}


def test_reading_a_cache_never_loads_torch() -> None:
    assert not loaded_after(
        "from headstart.extractors.cache import EmbeddingCache\nfrom headstart.extractors.listing import read_listing"
    ) & {"torch", "torchvision", "sklearn", "prefect"}


def test_importing_heads_loads_neither_torch_nor_image_libraries() -> None:
    assert not loaded_after("from headstart.heads import HEADS") & {
        "torch",
        "torchvision",
        "h5py",
        "PIL",
        "prefect",
        "distributed",
    }


@pytest.mark.parametrize("word", ["--help", "--version", "heads"])
def test_the_command_line_answers_without_torch_prefect_or_dask(word: str) -> None:
    loaded = loaded_after(
        f"from headstart.flows.cli.app import main\ntry:\n    main([{word!r}])\nexcept SystemExit:\n    pass"
    )
    assert not loaded & {"torch", "prefect", "distributed", "sklearn", "pandas", "scipy", "matplotlib", "jinja2", "PIL"}


def test_a_file_stays_within_300_lines() -> None:
    lengths = {str(module): len((ROOT / module).read_text().splitlines()) for module in MODULES}
    assert {module: lines for module, lines in lengths.items() if lines > 300} == {}
