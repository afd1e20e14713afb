"""Nothing that others name steers the terminal, and no terminal is too poor for what is printed."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import draw
from rich.text import Text
from support.forked import Forked

from headstart.flows.cli.app import main
from headstart.flows.output import Console, emit_text, escape, show_notes, table_of, visible

COPY = "\x1b]52;c;cm0gLXJmIC8K\x07"  # writes the clipboard of a terminal
STEERING = [COPY, "\x9b2J", "\x1b[2K", "\r", "\x08", "\x7f", "\u202e", "\u2028", "\udce9"]


def printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.TextIOWrapper)
    file.flush()
    assert isinstance(file.buffer, io.BytesIO)
    return file.buffer.getvalue().decode("utf-8")


def console_of(encoding: str, **options: Any) -> Console:
    return Console(file=io.TextIOWrapper(io.BytesIO(), encoding), width=80, **options)


@pytest.mark.parametrize("name", STEERING)
def test_no_way_of_printing_lets_a_name_steer_the_terminal(name: str) -> None:
    console = console_of("utf-8", force_terminal=True)
    table = table_of("image", "reason")
    table.add_row(f"a{name}b", f"a{name}b")
    for shown in (f"a{name}b", escape(f"a{name}b"), table, Text(f"a{name}b")):
        console.print(shown, highlight=False)
    left = printed(console).replace("\x1b[1m", "").replace("\x1b[0m", "")  # the head of the table is bold
    assert not any(sign in left for sign in name if not sign.isprintable())
    assert left.count(f"a{visible(name)}b") >= 4  # Rich leaves a few signs of a Text out
    assert len({len(line) for line in left.splitlines()[2:7]}) == 1  # the table's columns are straight


def test_text_of_others_is_shown_as_it_is_and_on_one_line() -> None:
    console = console_of("utf-8")
    console.print(escape("[red]:cat:[/]\nnote: all is well"), highlight=False)
    assert printed(console) == "[red]:cat:[/]\\nnote: all is well\n"


def test_signs_that_a_terminal_lacks_are_replaced_before_they_are_measured() -> None:
    console = console_of("ascii")
    table = table_of("class → score", "images")
    table.add_row("é ≥ 0.5", "3 × 2")
    console.print(table)
    lines = [line.rstrip() for line in printed(console).splitlines() if line.strip()]
    assert [lines[1], lines[3]] == ["|class -> score | images|", "|\\xe9 >= 0.5    | 3 x 2 |"]


def test_notes_and_usage_errors_are_safe(capsys: pytest.CaptureFixture[str]) -> None:
    show_notes([f"{COPY}.png: damaged"])
    with pytest.raises(SystemExit) as end:
        main(["inspect", f"--{COPY}"])
    assert end.value.code == 2
    with pytest.raises(SystemExit):
        main([f"{COPY}"])
    with pytest.raises(SystemExit):
        main(["inspect", f"{COPY}.headstart"])
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert err.count("\\x1b]52;c;cm0gLXJmIC8K\\x07") == 5


def test_a_table_of_text_is_utf8_in_a_file_and_safe_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for terminal, expected in ((False, f"é{COPY}\n".encode()), (True, b"\\xe9\\x1b]52;c;cm0gLXJmIC8K\\x07\n")):
        raw = io.BytesIO()
        stream = io.TextIOWrapper(raw, "ascii", errors="headstart.signs")
        monkeypatch.setattr(stream, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr(sys, "stdout", stream)
        emit_text(f"é{COPY}\n")
        stream.flush()
        assert raw.getvalue() == expected


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of three classes with other names than ASCII has, one of which holds a control sequence."""
    folder = tmp_path_factory.mktemp("manifest")
    classes = ["château", "狗", f"owl{COPY}"]
    rows = [(f"{label}-{number}.png", classes[label]) for label in range(3) for number in range(8)]
    for number, (name, _) in enumerate(rows):
        draw(folder / name, number // 8, seed=number)
    (folder / "broken.png").write_bytes(b"no image")
    pd.DataFrame([*rows, ("broken.png", "狗")], columns=["path", "label"]).to_csv(folder / "labels.csv", index=False)
    return folder / "labels.csv"


# By what Python reads at its start: a locale without UTF-8, which names of files go by, too; or a codec of its streams.
POOR = {"C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "ascii": {}, "latin-1": {}}

# One process does what several commands would, each with its end and its own file: each start takes five seconds.
COMMANDS = """
import json, os, sys
if sys.argv[2] != "C":  # as PYTHONIOENCODING has it
    sys.stdout.reconfigure(encoding=sys.argv[2], errors="strict")
    sys.stderr.reconfigure(encoding=sys.argv[2], errors="backslashreplace")
from headstart.flows.cli.app import main
for name, words in json.loads(sys.argv[1]).items():
    sys.stdout.flush()
    os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), 1)
    try:
        main(words)
    except SystemExit as end:
        assert end.code in (0, None), words
"""


@pytest.mark.parametrize("terminal", POOR)
def test_every_command_ends_well_on_a_terminal_that_is_not_utf8(manifest: Path, tmp_path: Path, terminal: str) -> None:
    cache, results, table = tmp_path / "c.headstart", tmp_path / "résultats", tmp_path / "p.csv"
    commands: dict[str, list[object]] = {
        "extracted": ["extract", manifest, "--backbone", "pixels", "--cache", cache],
        "inspected": ["inspect", cache],
        "fitted": ["fit", cache, "--head", "logreg", "dummy", "--folds", "2", "--out", results],
        **{f"help of {command}": [command, "--help"] for command in ("extract", "fit", "predict", "inspect")},
        "told": ["predict", results / "model", manifest, "--out", table],
        "piped": ["predict", results / "model", manifest],
    }
    words = json.dumps(commands, default=str, ensure_ascii=False)  # as bytes of UTF-8, as a shell would
    if POOR[terminal]:
        program = [sys.executable, "-c", COMMANDS, words, terminal]
        environment = os.environ | POOR[terminal]
        ran = subprocess.run(program, capture_output=True, env=environment, cwd=tmp_path, check=False)
        status, err = ran.returncode, ran.stderr
    else:
        out, errors = tmp_path / "out", tmp_path / "err"
        status = Forked("-c", COMMANDS, words, terminal, env=os.environ, out=out, err=errors, cwd=tmp_path).wait(240)
        err = errors.read_bytes()
    assert status == 0, err
    assert b"Unicode" not in err
    assert b"\x1b" not in err
    printed = {name: (tmp_path / name).read_bytes() for name in commands}
    piped = printed.pop("piped")
    assert not any(b"\x1b" in text for text in printed.values())
    assert piped == table.read_bytes()
    assert set(pd.read_csv(table)["label"].dropna()) <= {"château", "狗", f"owl{COPY}"}
    assert "château" in (results / "report.html").read_text("utf-8")


def test_a_class_of_a_control_sequence_is_safe_in_what_fit_prints(
    embed: Callable[..., Any], tmp_path: Path, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (photos / "cat").rename(photos / f"cat{COPY}")
    (photos / "dog" / f"{COPY}.png").write_bytes(b"no image")
    cache = embed(backbone="pixels", weights="default").cache
    for words in (["fit", cache, "--head", "dummy", "--folds", "2", "--out", tmp_path / "out"], ["inspect", cache]):
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        assert end.value.code == 0
    captured = capfd.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "\\x1b]52;c;cm0gLXJmIC8K\\x07.png" in captured.out
