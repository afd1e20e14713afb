"""Servers whose run was killed are told from every other process, whatever stands in that one's environment."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psutil
import pytest

from headstart.flows.orchestration.embedded_server import _APPLICATION, _MARK, _number_space, end_servers_left_behind

Start = Callable[[str], psutil.Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process that looks like a server, with that mark in its environment."""
    with ExitStack() as ended:

        def started(mark: str) -> psutil.Process:
            words = [sys.executable, "-c", "print(flush=True); input()", _APPLICATION]
            process = subprocess.Popen(
                words, env=os.environ | {_MARK: mark}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            ended.callback(process.communicate)
            assert process.stdout is not None
            process.stdout.readline()
            return psutil.Process(process.pid)

        yield started


@pytest.mark.parametrize("mark", ["ours", "1 2", "one two three", f"x 1.0 {_number_space()}", "1 2 3 4", "  "])
def test_a_foreign_mark_keeps_no_server_from_being_ended(start: Start, mark: str) -> None:
    foreign = start(mark)
    this = psutil.Process()
    of_this, left_behind = (
        start(f"{this.pid} {began} {_number_space()}") for began in (this.create_time(), this.create_time() - 1)
    )
    also_foreign = start(mark)  # numbers may be asked in any order
    end_servers_left_behind()
    left_behind.wait(timeout=60)
    assert foreign.is_running()
    assert of_this.is_running()
    assert also_foreign.is_running()
