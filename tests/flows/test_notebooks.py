"""The notebooks under docs/ are run again: they print what they show, and show nothing of the machine that ran them."""

import json
import tempfile
from pathlib import Path

import pytest
from support.notebooks import DOCS, NOTEBOOKS, VARIES, executed, is_compared, read, texts_of

LARGEST = 200_000  # bytes: what is looked at in a browser, and changes with every run


def outputs_of(name: str) -> list[dict[str, object]]:
    return [output for cell in read(name)["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]


def test_every_notebook_is_known() -> None:
    assert sorted(NOTEBOOKS) == sorted(path.name for path in DOCS.glob("*.ipynb"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_again_and_says_the_same(name: str) -> None:
    stored = read(name)
    again = executed(stored)
    pairs = list(zip(stored["cells"], again["cells"], strict=True))
    shown = {cell["id"]: texts_of(cell) for cell, _ in pairs if is_compared(cell)}
    assert {new["id"]: texts_of(new) for _, new in pairs if is_compared(new)} == shown
    assert sum(bool(texts) for texts in shown.values()) >= 4
    kinds = [[[output["output_type"] for output in cell.get("outputs", [])] for cell in pair] for pair in pairs]
    assert [pair for pair in kinds if pair[0] != pair[1]] == []
    assert not any(output.get("name") == "stderr" for cell in again["cells"] for output in cell.get("outputs", []))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_was_executed_is_small_and_names_no_place_of_a_machine(name: str) -> None:
    file, notebook = DOCS / name, read(name)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert (notebook["nbformat"], len({cell["id"] for cell in notebook["cells"]})) == (4, len(notebook["cells"]))
    assert file.stat().st_size < LARGEST
    text = json.dumps(outputs_of(name))
    places = [str(Path.home()), tempfile.gettempdir(), str(DOCS.parent), "/home/", "/root/", "/tmp/"]  # noqa: S108
    assert [place for place in places if f"{place.rstrip('/')}/" in text] == []
    assert any("image/png" in output.get("data", {}) for output in outputs_of(name))  # type: ignore[operator]
    assert all(set(cell["metadata"].get("tags", [])) <= {VARIES} for cell in code)


def test_numbers_that_round_differently_and_run_ids_are_not_compared() -> None:
    said = {"outputs": [{"text": ["12 of 0.98765 in 20261130-144738-e8e8/model\n"]}]}
    assert texts_of(said) == ["12 of # in RUN/model\n"]
