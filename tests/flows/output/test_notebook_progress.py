"""Bars in a notebook are lines of text: Rich's own widgets need a library that may not be there."""

import pytest
import rich.console

from headstart.flows.output import Console, progress_bar
from headstart.flows.output.progress import phases


@pytest.fixture(autouse=True)
def _in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    assert rich.console.Console().is_jupyter


def test_a_bar_ends_as_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar("embedding", 4) as advance:
        advance(4)
    lines = [line for line in capfd.readouterr().err.splitlines() if line.strip()]
    assert len(lines) == 1
    assert "4/4" in lines[0]


def test_phases_leave_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with phases("one") as begin:
        begin("two")
    assert "two" not in capfd.readouterr().err


def test_a_table_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.print("an answer")
    assert not console.is_jupyter
    assert capsys.readouterr().out == "an answer\n"
