"""What a person sees while something takes its time."""

import io
import re
from itertools import count

import pytest
from rich.console import Console

import headstart.flows.output.progress as room
from headstart.flows.output.progress import phases, progress_bar


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal of 80 columns in place of standard error."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80)
    monkeypatch.setattr(room, "Console", lambda **_: console)
    return shown


def test_each_phase_is_named_with_its_time_and_nothing_of_them_stays(screen: io.StringIO) -> None:
    with phases("loading [resnet50]") as begin:
        begin("drawing the report")
    seen = screen.getvalue()
    assert "loading [resnet50]" in seen
    assert "drawing the report \x1b[33m0:00:00" in seen
    assert seen.endswith("\x1b[2K")  # the line is wiped


def test_phases_are_nothing_where_nobody_looks(capsys: pytest.CaptureFixture[str], screen: io.StringIO) -> None:
    with phases("one", show=False) as begin:
        begin("two")
    assert screen.getvalue() == ""
    with phases() as begin:  # standard error is no terminal here
        begin("two")
    assert "two" not in capsys.readouterr().err


def test_a_bar_that_waits_for_its_first_image_says_for_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, clock = io.StringIO(), count(step=7.0)
    console = Console(file=shown, force_terminal=True, width=80, get_time=lambda: next(clock))
    monkeypatch.setattr(room, "Console", lambda **_: console)
    with progress_bar("embedding", 4) as advance:
        waiting = shown.getvalue()
        advance(4)
    assert re.search(r"0/4.*\d+ s\b", waiting)
    assert not re.search(r"4/4.*\d+ s\b", shown.getvalue())
