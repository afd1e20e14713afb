"""The table of limits in docs/security.md says what the code does."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from support.source_modules import ROOT

UNITS = {"": 1, " bytes": 1, " times": 1, " MiB": 2**20, " GiB": 2**30}
TEXT = (ROOT / "docs" / "security.md").read_text().partition("\n## Limits\n")[2].partition("\n## ")[0]
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in TEXT.splitlines() if line.startswith("| ")][1:]
FREE = {"extractors.images.tables.embedded": "_FREE_BYTES", "extractors.images.zips": "_FREE_BYTES"}


def number(text: str) -> int:
    found = re.fullmatch(r"([0-9 ]+[0-9]|[0-9])(| bytes| times| MiB| GiB)", text)
    assert found, text
    return int(found[1].replace(" ", "")) * UNITS[found[2]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_limit_is_what_the_code_has(row: list[str]) -> None:
    module, _, name = row[3].strip("`").partition(":")
    assert number(row[1]) == getattr(import_module(f"headstart.{module}"), name)


def test_what_is_free_of_a_limit_is_what_the_code_has() -> None:
    for module, name in FREE.items():
        (row,) = [row for row in ROWS if row[3].startswith(f"`{module}:")]
        assert number(re.findall(r"over ([0-9]+ MiB)", row[0])[0]) == getattr(
            import_module(f"headstart.{module}"), name
        )
    few = import_module("headstart.extractors.images.tables.row_claims").FEW_ROWS
    assert any(f"over {few:_}".replace("_", " ") in row[0] for row in ROWS)


def test_every_limit_names_a_test_that_is_there() -> None:
    named = [row[4].strip("`") for row in ROWS if row[4] != "the same"]
    assert len(ROWS) > 15
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_no_bound_with_a_name_is_left_out() -> None:
    listed = {row[3].strip("`") for row in ROWS}
    bound = re.compile(r"^((?:LARGEST|MOST|MAX)_[A-Z]+) *=", re.MULTILINE)
    found = {
        f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}:{name}"
        for folder in (
            "extractors/images",
            "extractors/decoding",
            "extractors/spec",
            "heads/saving",
            "flows/experiment",
        )
        for path in Path(ROOT / folder).rglob("*.py")
        for name in bound.findall(path.read_text())
    }
    assert found <= listed
