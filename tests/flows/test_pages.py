"""The code on the pages about Python does what it says: each page's blocks run one after another."""

import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from support.every_command import COMMANDS, FUNCTION_OF
from support.python_example import make_folder
from support.source_modules import ROOT

import headstart
from headstart.extractors.results import JobResult

mpl.use("Agg")
PAGES = {"python.md": 5, "own-code.md": 5, "transfer.md": 4}
"""Pages, and the least number of blocks that each has."""


def blocks_of(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The photographs of the example; modules that a page writes go with it."""
    here, before = Path.cwd(), set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    make_folder(tmp_path)
    yield tmp_path
    os.chdir(here)
    plt.close("all")
    for name in {"mine", "nets"} & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.mark.usefixtures("short_grids")
@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_of_a_page_run_one_after_another(
    folder: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, object] = {}
    blocks = blocks_of(page)
    assert len(blocks) >= PAGES[page]
    for text in blocks:
        if file := re.match(r"# (\w+\.py)\n", text):  # a module that the reader would write
            (folder / file[1]).write_text(text)
        else:
            exec(text, names)  # noqa: S102 - our own page
    shown = capsys.readouterr()
    assert shown.err == "", "functions are quiet"
    if page != "transfer.md":
        assert "['owl', 'cat', 'dog']" in shown.out or "['cat', 'dog', 'owl']" in shown.out


def test_the_page_names_every_function_and_table() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    assert [name for name in headstart.__all__ if not re.search(rf"[`.]{name}[`(.]", page)] == []
    results, commands = page.partition("## Results")[2].partition("## Commands and functions")[::2]
    assert [name for name in COMMANDS if f"`{name}`" not in commands] == []
    assert [name for name in FUNCTION_OF.values() if f"`{name}`" not in commands] == []
    rows = [line for line in results.splitlines() if line.startswith("| `")]
    for name in headstart.__all__:
        kind = inspect.signature(getattr(headstart, name)).return_annotation
        if inspect.isclass(kind) and issubclass(kind, JobResult):
            (row,) = [line for line in rows if f"`{name}`" in line.split("|")[1]]
            drawings = [one for one in dir(kind) if one.startswith("plot_")]
            assert [one for one in (*kind._tables[1:], *drawings) if f"`{one}`" not in row] == [], name


def test_every_cell_of_the_courses_table_names_a_command_its_section_and_a_figure() -> None:
    page = (ROOT / "docs" / "transfer.md").read_text()
    titles = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    known = {"#" + re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    rows = [line.split("|") for line in page.partition("\n## ")[0].splitlines() if line.startswith("| ")]
    cells = [cell for row in rows[1:] for cell in row[3:5]]
    assert len(cells) == 2 * 8
    for cell in cells:
        links = re.findall(r"\[`(\w+)`\]\(([^)]*)\)", cell)
        assert links, cell
        assert {command for command, _ in links} <= set(COMMANDS), cell
        assert [place for _, place in links if place not in known and not (ROOT / "docs" / place).is_file()] == [], cell
        assert re.search(r"\d\d", cell), cell
