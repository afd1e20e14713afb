"""Ctrl-C and SIGTERM: what is embedded is sealed, the exit status says which it was, and the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import draw
from support.cache_contract import check_cache
from support.forked import Forked

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.cli.app import main

SEALED = "interrupted; what was embedded is sealed, and the same command goes on from there"

# The command line with small shards, so that some are sealed long before the end.
PROGRAM = (
    "import headstart.extractors.extraction.extraction as x; x._SHARD_ROWS = 40; "
    "from headstart.flows.cli.app import main; main()"
)


class Command:
    """The command line in a process of its own, with `folder` for what it writes."""

    def __init__(self, folder: Path, *words: object) -> None:
        folder.mkdir()
        self._out, self._err = folder / "out", folder / "err"
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self._process = Forked("-c", PROGRAM, *words, env=environment, out=self._out, err=self._err)
        self.send_signal = self._process.send_signal

    def wait_until(self, ready: Callable[[], object]) -> None:
        while not ready():
            assert self._process.poll() is None, self._err.read_text()
            time.sleep(0.02)

    def ended(self) -> tuple[int, str, str]:
        """Its exit status, and what it wrote on standard output and on standard error."""
        return self._process.wait(timeout=120), self._out.read_text(), self._err.read_text()


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_extract_ends_cleanly_keeps_what_is_done_and_the_same_command_goes_on(
    tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    for number in range(200):
        draw(tmp_path / "photos" / f"{number}.png", number % 3, seed=number, size=(200, 150))
    words = ["extract", tmp_path / "photos", "--backbone", "mnasnet0_5", "--weights", "none", "--json"]
    words += ["--cache", tmp_path / "cache", "--precision", "fp32", "--device", "cpu"]
    interrupted = Command(tmp_path / "interrupted", *words)
    interrupted.wait_until(lambda: list((tmp_path / "cache").rglob("shard-*.h5")))
    interrupted.send_signal(sent)
    ended, out, err = interrupted.ended()
    assert ended == status
    assert out == ""
    assert "Traceback" not in err
    assert SEALED in " ".join(err.split())
    cache = EmbeddingCache(tmp_path / "cache")
    check_cache(cache, complete=False)
    sealed = cache.stores()[0].n_rows()
    assert 40 <= sealed < 200
    _, out, err = Command(tmp_path / "resumed", *words).ended()
    assert json.loads(out)["embedded"] == 200 - sealed, err
    check_cache(cache)


def test_sigterm_ends_every_other_command_with_143_and_no_traceback(tmp_path: Path) -> None:
    """A command that reads a pipe nobody writes to stands for one that works."""
    os.mkfifo(tmp_path / "experiment.toml")
    process = Command(tmp_path / "run", "run", tmp_path / "experiment.toml")
    writer = os.open(tmp_path / "experiment.toml", os.O_WRONLY)  # opens once the command reads
    try:
        process.send_signal(signal.SIGTERM)
        ended, out, err = process.ended()
    finally:
        os.close(writer)
    assert ended == 143
    assert (out, " ".join(err.split())) == ("", f"note: {SEALED}")


def test_a_second_sigterm_does_not_cut_short_what_the_first_one_began(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = []

    def work(_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("sealed")

    monkeypatch.setattr("headstart.flows.upkeep.inspect", work)
    with pytest.raises(SystemExit) as end:
        main(["inspect", "anything"])
    assert end.value.code == 143
    assert done == ["sealed"]
    assert capsys.readouterr().err == "note: interrupted\n"


def test_the_handler_that_was_there_before_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        main(["--help"])
    assert signal.getsignal(signal.SIGTERM) is before


FITTING = """
import atexit, sys, threading, time
import torch
from headstart.flows.cli import app as cli

def fit():
    while True:
        torch.rand(300, 300) @ torch.rand(300, 300)

def run(words, *, debug):
    threading.Thread(target=fit, daemon=True).start()
    time.sleep(0.3)
    sys.exit(int(words[0]))

atexit.register(print, "cleared away")
cli._run_command = run
cli.main()
"""


@pytest.mark.parametrize("status", [130, 143])
def test_threads_that_still_fit_do_not_change_the_exit_status(status: int) -> None:
    ended = subprocess.run([sys.executable, "-c", FITTING, str(status)], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (status, "cleared away\n", "")
