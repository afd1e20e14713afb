"""The command line on a screen of 80 columns and 40 lines: help by purpose, plain words, whole names, short reports."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from support.forked import run_forked

from headstart.flows.cli.app import app, main
from headstart.flows.output import Console, show_notes, table_of
from headstart.flows.output.console import fail

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # of typer's copy of click


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main([str(word) for word in words])
        return capsys.readouterr().out

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error is a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def test_the_tools_help_fits_a_screen_with_every_command_in_a_panel_on_one_line(shown: Callable[..., str]) -> None:
    for words in (["--help"], ["-h"], []):
        lines = shown(*words).rstrip().splitlines()
        assert len(lines) <= 40
        assert max(map(len, lines)) <= 80
    panels = [line.split()[0] for line in lines[2 : lines.index("")] if not line.startswith(" ")]
    assert panels == ["embed", "fit", "use", "transfer", "look", "keep", "operate", "options"]
    starts = {line[len("transfer") :].split()[0] for line in lines[2 : lines.index("")]}
    assert starts >= set(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_says_in_plain_words_what_an_option_takes(shown: Callable[..., str], command: str) -> None:
    out = shown(command, "--help")
    assert "<bool>" not in out
    assert "<list[" not in out
    assert max(map(len, out.splitlines())) <= 80
    words = re.sub(r"[│╭╮╰╯─\s]+", " ", out)
    for one in COMMANDS[command].params:
        for choice in getattr(getattr(one, "type_descriptor", None), "choices", None) or ():
            assert str(choice) in words


def test_the_version_has_a_short_option(shown: Callable[..., str]) -> None:
    assert shown("-V") == shown("--version")


def test_completion_is_on(tmp_path: Path) -> None:
    asked = {"_HEADSTART_COMPLETE": "complete_bash", "COMP_WORDS": "headstart ex", "COMP_CWORD": "1"}
    ran = run_forked("-m", "headstart", env={**os.environ, **asked}, cwd=tmp_path)
    assert ran.stdout.split() == ["extract", "export"]


@pytest.mark.usefixtures("terminal")
def test_long_errors_and_notes_break_between_words_and_never_inside_names(capsys: pytest.CaptureFixture[str]) -> None:
    name = "/a/very/long/folder" * 6 + "/image.png"
    message = f"{name}: no such file; give the path of a file that is there, one of those that are listed, or none"
    with pytest.raises(SystemExit):
        fail(message)
    show_notes([message])
    error, note = plain(capsys.readouterr().err).split("note:")
    for text in (error.removeprefix("headstart:"), note):
        assert name in text
        assert " ".join(text.split()) == message
        assert len(text.strip().splitlines()) > 1
        assert max(len(line) for line in text.splitlines() if name not in line) <= 80


def test_for_programs_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail("words " * 40)
    assert capsys.readouterr().err.count("\n") == 1


def test_names_in_tables_are_never_cut_however_narrow_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["timm/convnext_large_mlp.clip_laion2b_soup_ft_in12k_in1k_384", "a name with spaces in it"]
    table = table_of("name", "what gives way", "number")
    for name in names:
        table.add_row(name, "words and " * 10 + "a" * 90, "123456789")
    Console(width=40).print(table)
    out = capsys.readouterr().out
    assert all(any(name in line and "123456789" in line for line in out.splitlines()) for name in names)
    assert "…" not in out


def test_extract_ends_with_one_line_and_says_how_on_demand(
    shown: Callable[..., str], photos: Path, elsewhere: Any
) -> None:
    words = ["extract", photos, "--backbone", "small_cnn", "pixels", "--weights", "none"]
    (line,) = shown(*words).splitlines()
    assert re.fullmatch(r"photos\.headstart: 36 images, 72 embedded, 0 reused, 0 quarantined, [\d.]+ s", line)
    again = shown(*words, "-v").splitlines()
    assert len(again) == 3
    assert again[1].startswith("small_cnn, none (random, seed 0), ")
    other = shown("extract", photos, "--backbone", "small_cnn", "--weights", "none", "--cache", "c", "--verbose")
    assert "images/s in batches of" in other
    assert "time: set up" in other
    assert "count as" not in other


def test_inspect_shows_weights_whole(shown: Callable[..., str], photos: Path, elsewhere: Any) -> None:
    shown("extract", photos, "--backbone", "small_cnn", "--weights", "none", "--tap", "penultimate", "features.8:avg")
    lines = shown("inspect", "photos.headstart").splitlines()
    assert max(len(line) for line in lines if " " in line.strip()) <= 80  # a path that is longer never breaks
    assert [line for line in lines if line.strip() == "none (random, seed 0)"]
    assert len(lines) <= 12
