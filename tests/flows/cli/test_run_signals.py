"""However `headstart run` ends in a terminal, soon or by force, its embedded Prefect server ends with it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import draw
from support.cache_contract import check_cache
from support.forked import Forked
from support.prefect_queries import wait_for
from support.process_trees import servers_below, still_running, tree_of
from support.terminals import Terminal

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.orchestration.embedded_server import end_servers_left_behind

# The command line with small shards, so that one is sealed before the gate.
PROGRAM = (
    "import headstart.extractors.extraction.extraction as x; x._SHARD_ROWS = 8; "
    "from headstart.flows.cli.app import main; main()"
)
EXPERIMENT = """
images = "photos"
batch_size = 8
precision = "fp32"
[[extract]]
backbone = "support.gated_model:build"
[fit]
head = ["support.gated_head:Gated"]
folds = 2
"""
SEALED = "interrupted; what was embedded is sealed, and the same command goes on from there"
TESTS = Path(__file__).parents[2]  # where the gates are
PATIENCE_S = 60  # it hung for 150


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An experiment whose run waits at a gate amid its second shard, and at another amid its fit."""
    for number in range(24):
        draw(tmp_path / "photos" / "abc"[number % 3] / f"{number:02d}.png", number % 3, seed=number)
    (tmp_path / "birds.toml").write_text(EXPERIMENT)
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "allowed").write_text("0")
    return tmp_path


@pytest.fixture
def at_work(folder: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    """The run in a terminal."""
    own = environment | {"GATE": str(folder), "TERM": "xterm", "COLUMNS": "200", "PYTHONPATH": str(TESTS)}
    with Terminal("-c", PROGRAM, "run", "birds.toml", env=own, cwd=folder) as terminal:
        yield terminal


def wait_until(terminal: Terminal, ready: Callable[[], object], what: str) -> None:
    def asked() -> object:
        assert terminal.process.poll() is None, terminal.shown
        return ready()

    wait_for(asked, what)


def wait_amid(phase: str, terminal: Terminal, folder: Path) -> None:
    if phase == "start":
        wait_until(terminal, lambda: servers_below(terminal.process.pid), "Prefect's server to start")
        return
    if phase == "shard":
        (folder / "allowed").write_text("1")
    gate = folder / "fit" if phase == "fit" else folder
    wait_until(terminal, lambda: list(gate.glob("waits-*")), f"the run to be amid its {phase}")


def check_all_ended(processes: list[psutil.Process]) -> None:
    wait_for(lambda: not still_running(processes), "all that it started to end", PATIENCE_S)


@pytest.mark.parametrize("phase", ["start", "shard", "fit"])
def test_ctrl_c_ends_a_run_with_130_and_nothing_is_left_running(phase: str, at_work: Terminal, folder: Path) -> None:
    wait_amid(phase, at_work, folder)
    started = tree_of(at_work.process.pid)
    at_work.press_ctrl_c()
    assert at_work.process.wait(PATIENCE_S) == 130, at_work.shown
    check_all_ended(started)
    assert SEALED in " ".join(at_work.shown.split())
    for word in ("defect", "Traceback"):
        assert word not in at_work.shown
    if phase != "start":
        (store,) = EmbeddingCache(folder / "birds.headstart").stores()
        check_cache(EmbeddingCache(folder / "birds.headstart"), complete=phase == "fit")
        assert store.n_rows() == (8 if phase == "shard" else 24)


@pytest.fixture
def run(folder: Path, environment: dict[str, str]) -> Iterator[Forked]:
    """The run without a terminal, amid its second shard: what a terminal's end does is not done here."""
    (folder / "allowed").write_text("1")
    own = environment | {"GATE": str(folder)}
    process = Forked("-c", PROGRAM, "run", "birds.toml", env=own, out=folder / "log", cwd=folder)
    wait_for(lambda: list(folder.glob("waits-*")), "the run to be amid its shard")
    yield process
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=PATIENCE_S)


def test_a_run_that_is_killed_takes_its_server_along(run: Forked) -> None:
    assert run.pid is not None
    (server,) = servers_below(run.pid)
    started = tree_of(run.pid)
    assert server in started
    run.send_signal(signal.SIGKILL)
    check_all_ended(started)


def test_a_terminal_that_is_closed_ends_its_run_and_the_server(folder: Path, environment: dict[str, str]) -> None:
    (folder / "allowed").write_text("1")
    own = environment | {"GATE": str(folder), "TERM": "xterm", "PYTHONPATH": str(TESTS)}
    terminal = subprocess.Popen([sys.executable, "-c", CLOSED_BY_SIGTERM, PROGRAM], env=own, cwd=folder)
    try:
        wait_for(lambda: list(folder.glob("waits-*")), "the run to be amid its shard")
        started = tree_of(terminal.pid)
        assert len(servers_below(terminal.pid)) == 1
    finally:
        terminal.terminate()
        terminal.wait()
    check_all_ended(started)
    assert (folder / "status").read_text() == str(128 + signal.SIGHUP)
    check_cache(EmbeddingCache(folder / "birds.headstart"), complete=False)


# What shows a terminal, until SIGTERM closes it, and keeps how the command in it ended.
CLOSED_BY_SIGTERM = """
import os, signal, sys, threading
ours, theirs = os.openpty()
command = os.fork()
if not command:
    os.close(ours)
    os.login_tty(theirs)
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], "run", "birds.toml"])
os.close(theirs)
def close(*_):
    os.dup2(os.open(os.devnull, os.O_RDONLY), ours)
    ended = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    open("status", "w").write(str(ended))
    os._exit(0)
signal.signal(signal.SIGTERM, close)
while True:
    os.read(ours, 4096)
"""


def test_a_server_that_was_left_behind_ends_at_the_next_start_and_no_other_does(run: Forked) -> None:
    assert run.pid is not None
    (server,) = servers_below(run.pid)
    end_servers_left_behind()
    assert still_running([server])
    for process in tree_of(run.pid)[1:]:  # what would end the server
        if process != server:
            process.kill()
    run.send_signal(signal.SIGKILL)
    run.wait(timeout=PATIENCE_S)
    assert still_running([server])
    end_servers_left_behind()
    check_all_ended([server])
