"""docs/architecture.md is true: its drawings show the imports, its paths exist, its lists lead where they say."""

import ast
import re
from pathlib import Path

import pytest
from support.source_modules import PACKAGES, ROOMS, ROOT, WINGS, home_of, imports_of

Arrows = dict[str, set[str]]

PAGE = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()
README = (Path(__file__).parent.parent / "README.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in re.split(r"^##+ ", PAGE, flags=re.MULTILINE)[1:]}
DRAWINGS = dict(zip(["headstart", *PACKAGES], re.findall(r"```mermaid\n(.*?)```", PAGE, re.DOTALL), strict=True))

MOST_FILES = {
    "A head": 3,
    "A metric": 2,
    "An image source": 2,
    "A backbone family": 2,
    "A report section": 4,
    "A field of the key": 5,
}


def boxes_of(drawing: str) -> dict[str, str]:
    """Return the text of each box by its name."""
    return dict(re.findall(r'^ *(\w+)\["(.+)"\]$', drawing, re.MULTILINE))


def arrows_of(drawing: str) -> Arrows:
    arrows: Arrows = {}
    for tails, heads in re.findall(r"^ *(.+) --> (.+)$", drawing, re.MULTILINE):
        for tail in tails.split(" & "):
            arrows.setdefault(tail, set()).update(heads.split(" & "))
    return arrows


def unit_of(module: Path) -> str:
    """Return the wing of a module within its package; of a room of the hall, the room."""
    return Path(module.parts[1]).stem


def imported_by(module: Path) -> set[Path]:
    """Return the rooms that a module imports names of; what a table names in a string is not drawn."""
    return {home for one in imports_of(module) if one.name and (home := home_of(one)) and home in ROOMS}


def arrows_between_units(package: str) -> Arrows:
    arrows: Arrows = {}
    for module in (one for one in ROOMS if one.parts[0] == package):
        inside = {unit_of(home) for home in imported_by(module) if home.parts[0] == package}
        arrows.setdefault(unit_of(module), set()).update(inside - {unit_of(module)})
    return arrows


def reached(arrows: Arrows, start: str) -> set[str]:
    """Return all that arrows lead to, by any way."""
    return {end for step in arrows.get(start, ()) for end in {step} | reached(arrows, step)}


def without_detours(arrows: Arrows) -> Arrows:
    """Leave out every arrow where a longer way leads."""
    return {
        tail: kept
        for tail, heads in arrows.items()
        if (kept := {head for head in heads if not any(head in reached(arrows, step) for step in heads)})
    }


def drawn_units(package: str, arrows: Arrows) -> set[str]:
    """Return the wings of a package, and the rooms of its hall that lean on a wing."""
    wings = {wing.parts[1] for wing in WINGS if len(wing.parts) == 2 and wing.parts[0] == package}
    return wings | {unit for unit, heads in arrows.items() if heads & wings}


def corrections(drawn: Arrows, true: Arrows) -> list[str]:
    """Say what has to be drawn, and what not, for a drawing to be true."""
    lines = {verb: {(tail, head) for tail in one for head in one[tail]} for verb, one in (("-", drawn), ("+", true))}
    return [
        *(f"add: {tail} --> {head}" for tail, head in sorted(lines["+"] - lines["-"])),
        *(f"remove: {tail} --> {head}" for tail, head in sorted(lines["-"] - lines["+"])),
    ]


def files_of(title: str) -> list[str]:
    """Return the files that a numbered list begins its lines with."""
    return re.findall(r"^\d+\. `([^`]+)`", SECTIONS[title], re.MULTILINE)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_packages_drawing_shows_its_wings_and_their_imports(package: str) -> None:
    arrows, boxes = arrows_between_units(package), boxes_of(DRAWINGS[package])
    units = drawn_units(package, arrows)
    assert {"add": units - set(boxes), "remove": set(boxes) - units - {"hall"}} == {"add": set(), "remove": set()}
    assert boxes["hall"] == "hall: " + " · ".join(sorted(set(arrows) - units))
    true = without_detours({tail: heads & units for tail, heads in arrows.items() if tail in units})
    assert corrections(arrows_of(DRAWINGS[package]), true) == []


def test_the_first_drawing_shows_the_packages_and_their_imports() -> None:
    arrows = {package: set[str]() for package in PACKAGES}
    for module in ROOMS:
        arrows[module.parts[0]] |= {home.parts[0] for home in imported_by(module)} - {module.parts[0]}
    stub = ast.parse((ROOT / "headstart" / "__init__.pyi").read_text())
    arrows["headstart"] = {
        str(node.module).partition(".")[0] for node in ast.walk(stub) if isinstance(node, ast.ImportFrom)
    }
    assert set(boxes_of(DRAWINGS["headstart"])) == set(arrows)
    assert corrections(arrows_of(DRAWINGS["headstart"]), without_detours(arrows)) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_readme_lists_the_wings_of_a_package_by_storey(package: str) -> None:
    (row,) = re.findall(rf"^\| `{package}/` \| .* \| (.*) \|$", README, re.MULTILINE)
    storeys = [storey.split(", ") for storey in row.split(" / ")]
    wings = {wing.parts[1] for wing in WINGS if len(wing.parts) == 2 and wing.parts[0] == package}
    assert sorted(wing for storey in storeys for wing in storey) == sorted(wings)
    arrows = arrows_between_units(package)
    for number, storey in enumerate(storeys):
        below = {wing for lower in storeys[number + 1 :] for wing in lower}
        assert {wing: away for wing in storey if (away := arrows[wing] & wings - below)} == {}


def test_a_wrong_drawing_is_told_what_to_add_and_what_to_remove() -> None:
    drawing = '  a["a<br>one"]\n  b["b"]\n  a & b --> c\n'
    assert boxes_of(drawing) == {"a": "a<br>one", "b": "b"}
    true = without_detours({"a": {"b", "c"}, "b": {"c"}})
    assert true == {"a": {"b"}, "b": {"c"}}
    assert corrections(arrows_of(drawing), true) == ["add: a --> b", "remove: a --> c"]


def test_every_path_on_the_page_exists() -> None:
    paths = [text for text in re.findall(r"`([^`\s]+)`", PAGE) if "/" in text]
    assert len(paths) > 60
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("title", MOST_FILES)
def test_what_is_added_touches_few_files_and_all_of_them_are_there(title: str) -> None:
    files = files_of(title)
    assert 0 < len(files) <= MOST_FILES[title]
    assert [file for file in files if not (ROOT / file).is_file()] == []
    assert title in {part.partition("\n")[0] for part in PAGE.partition("## How to add\n")[2].split("### ")}


def test_a_section_of_the_report_is_named_in_every_file_of_its_list() -> None:
    texts = {file: (ROOT / file).read_text() for file in files_of("A report section")}
    for section in ("few_shot", "reliability", "suspects", "outliers"):
        assert [file for file, text in texts.items() if section not in text] == []


def test_an_option_of_the_key_is_named_in_every_file_of_its_list() -> None:
    texts = {file: (ROOT / file).read_text() for file in files_of("A field of the key")}
    assert [file for file, text in texts.items() if not re.search(r"\bdtype\b.*=", text)] == []


def test_the_registry_of_backbones_knows_every_family() -> None:
    new, registry = files_of("A backbone family")
    families = set((ROOT / new).parent.glob("*_models.py"))
    assert len(families) == 3
    assert families <= {ROOT / home for home in imported_by(Path(registry))}
