"""However `headstart run` ends in a terminal, soon or by force, its embedded Prefect server ends with it."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from conftest import draw
from support.cache_contract import check_cache
from support.prefect_queries import wait_for
from support.process_trees import listeners, open_to_others, servers_below, still_running, tree_of
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
def run(folder: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    """The run in a terminal."""
    own = environment | {"GATE": str(folder), "TERM": "xterm", "COLUMNS": "200"}
    with Terminal("-c", PROGRAM, "run", "birds.toml", env=own, cwd=folder) as terminal:
        yield terminal


@pytest.fixture
def run_amid_shard(run: Terminal, folder: Path) -> Terminal:
    """The run amid its second shard."""
    wait_amid("shard", run, folder)
    return run


def wait_until(terminal: Terminal, ready: Callable[[], object], what: str) -> None:
    def asked() -> object:
        assert terminal.process.poll() is None, terminal.shown
        return ready()

    wait_for(asked, what)


def wait_amid(phase: str, terminal: Terminal, folder: Path) -> None:
    if phase == "start":
        wait_until(terminal, lambda: servers_below(terminal.pid), "Prefect's server to start")
        return
    (folder / "allowed").write_text("1")
    wait_until(terminal, lambda: list(folder.glob("waits-*")), "the run to be amid its second shard")
    check_ports(terminal)
    if phase == "fit":
        (folder / "allowed").unlink()
        wait_until(terminal, lambda: list((folder / "fit").glob("waits-*")), "the run to be amid its fit")
        check_ports(terminal)


def check_ports(terminal: Terminal) -> None:
    """Whatever listens, in any of its processes, listens on loopback."""
    assert listeners(terminal.pid)  # at least one: Prefect's server
    assert open_to_others(terminal.pid) == []


def check_all_ended(processes: list[psutil.Process]) -> None:
    wait_for(lambda: not still_running(processes), "all that it started to end", PATIENCE_S)


@pytest.mark.parametrize("phase", ["start", "shard", "fit"])
def test_ctrl_c_ends_a_run_with_130_and_nothing_is_left_running(phase: str, run: Terminal, folder: Path) -> None:
    wait_amid(phase, run, folder)
    started = tree_of(run.pid)
    run.press_ctrl_c()
    assert run.process.wait(PATIENCE_S) == 130, run.shown
    check_all_ended(started)
    run.close()
    assert SEALED in " ".join(run.shown.split())
    for word in ("defect", "Traceback"):
        assert word not in run.shown
    if phase != "start":
        (store,) = EmbeddingCache(folder / "birds.headstart").stores()
        check_cache(EmbeddingCache(folder / "birds.headstart"), complete=phase == "fit")
        assert store.n_rows() == (8 if phase == "shard" else 24)


def test_a_terminal_that_is_closed_ends_its_run_and_the_server(run_amid_shard: Terminal, folder: Path) -> None:
    started = tree_of(run_amid_shard.pid)
    assert len(servers_below(run_amid_shard.pid)) == 1
    run_amid_shard.close()
    assert run_amid_shard.process.wait(PATIENCE_S) == 128 + signal.SIGHUP
    check_all_ended(started)
    check_cache(EmbeddingCache(folder / "birds.headstart"), complete=False)


def test_a_run_that_is_killed_takes_its_server_along(run_amid_shard: Terminal) -> None:
    (server,) = servers_below(run_amid_shard.pid)
    started = tree_of(run_amid_shard.pid)
    assert server in started
    run_amid_shard.process.send_signal(signal.SIGKILL)
    check_all_ended(started)


def test_a_server_that_was_left_behind_ends_at_the_next_start_and_no_other_does(run_amid_shard: Terminal) -> None:
    (server,) = servers_below(run_amid_shard.pid)
    end_servers_left_behind()
    assert still_running([server])
    for process in tree_of(run_amid_shard.pid)[1:]:  # what would end the server
        if process != server:
            process.kill()
    run_amid_shard.process.send_signal(signal.SIGKILL)
    run_amid_shard.process.wait(timeout=PATIENCE_S)
    assert still_running([server])
    end_servers_left_behind()
    check_all_ended([server])
