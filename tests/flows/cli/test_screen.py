"""What a person sees on 80 columns: lines are lines, and what the machine lacks is no defect."""

from pathlib import Path
from typing import Any

import pytest

from headstart.flows.cli.app import main

TINY = ["--backbone", "small_cnn", "--weights", "none", "--precision", "bf16", "--device", "cpu"]


@pytest.fixture
def screen(elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in an empty folder; returns its lines, and those of its errors."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> tuple[list[str], list[str]]:
        capsys.readouterr()
        with pytest.raises(SystemExit):
            main([str(word) for word in words])
        shown = capsys.readouterr()
        broken = [line for line in shown.out.splitlines() if " " in line.strip()]  # a path that is longer never breaks
        assert max(map(len, broken), default=0) <= 80
        assert "\\n" not in shown.out + shown.err
        return shown.out.splitlines(), shown.err.splitlines()

    return run


def test_how_it_was_embedded_is_said_in_lines_of_their_own(screen: Any, photos: Path) -> None:
    lines, _ = screen("extract", photos, *TINY, "--cache", "c", "-v")
    at = next(number for number, line in enumerate(lines) if line.startswith("small_cnn, "))
    assert lines[at + 1].endswith(" images/s in batches of 8")
    assert lines[at + 2].startswith("  time: ")
    assert lines[-1].startswith("  against plain float32: cosine ≥ ")


def test_the_taps_of_a_cache_are_told_with_their_sizes(screen: Any, photos: Path) -> None:
    screen("extract", photos, *TINY, "--cache", "c", "--tap", "features.0:avg", "penultimate")
    lines, _ = screen("inspect", "c")
    assert any("features.0:avg 16, penultimate 256" in line for line in lines)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            ImportError("libtorch_cpu.so: failed to map segment from shared object"),
            "a library cannot be loaded (libtorch",
        ),
        (OSError("libgomp.so.1: cannot open shared object file: No such file"), "a library cannot be loaded (libgomp"),
        (MemoryError(), "not enough memory; raise the limit"),
    ],
    ids=["not mapped", "not found", "no memory"],
)
def test_what_the_machine_lacks_is_no_defect(
    screen: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: str
) -> None:
    def broken(_: object) -> None:
        raise error

    monkeypatch.setattr("headstart.flows.upkeep.inspect", broken)
    lines, errors = screen("inspect", "anything")
    assert lines == []
    assert " ".join(errors).startswith(f"headstart: {expected}")
    assert "defect" not in errors[0]
