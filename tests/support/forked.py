"""Python processes that need not import torch, scikit-learn and the like again: they are forked from one that did.

Importing them takes a new process five seconds, and most tests of processes are about other things. A forked process
has its own environment, folder, streams, signals and exit status, as one that is started has; libraries that look at
the environment when they are imported look at it again (`support.preloaded`). Tests of what a process imports, and of
what it says while it does, start a real one.
"""

import atexit
import multiprocessing
import os
import pickle
import runpy
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context, set_start_method
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from support.shared_imports import share_server_of_forks, start_server_of_forks

FORKING = get_context("forkserver")
PYTHON = "PYTHON_OF_FORKED"
"""Variable of the environment that names the program which forked processes start as Python; see `forking_python`."""


def become(first: str, *others: str) -> None:
    """Do what Python does with these words."""
    match first:
        case "-m":
            sys.argv = [*others]
            runpy.run_module(others[0], run_name="__main__", alter_sys=True)
        case "-c":
            sys.argv = [first, *others[1:]]
            exec(others[0], {"__name__": "__main__"})  # noqa: S102 - a test's own code
        case _:
            sys.argv = [first, *others]
            runpy.run_path(first, run_name="__main__")


def settle(env: Mapping[str, str], files: Sequence[Path]) -> None:
    """Have this process find an environment, and write its two streams to files; or live in one that is a terminal."""
    import dask.config

    os.environ.clear()
    os.environ.update(env)
    sys.executable = env.get(PYTHON, sys.executable)
    for stream, file in enumerate(files, start=1):
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        if os.isatty(opened):
            os.login_tty(opened)  # which is all three streams
            sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, "w" if n else "r", closefd=False) for n in range(3))
            break
        os.dup2(opened, stream)
        os.close(opened)
    dask.config.refresh()


@contextmanager
def ended_well() -> Iterator[None]:
    """Do what a process does at its end, and a forked one does not."""
    try:
        yield
    finally:
        # In this order: what waits for threads would else ask, for more than a minute, a server that was ended.
        threading._shutdown()  # type: ignore[attr-defined]  # what Python itself calls
        atexit._run_exitfuncs()


def streams_of(pid: int) -> list[Path]:
    """The files, or pipes, to which a process writes its two streams."""
    return [Path(f"/proc/{pid}/fd/{stream}") for stream in (1, 2)]


class Forked(FORKING.Process):  # type: ignore[name-defined]  # made at run time
    """What ``python -m MODULE``, ``python -c CODE`` or ``python FILE`` does with further words, until it ends.

    What it writes is appended to the files `out` and `err`; without the latter, all of it to the former. No subclass of
    a test's: a process would import that test before it has its environment.
    Where `out` is a terminal, the process is what runs in it.
    """

    def __init__(
        self, *command: object, env: Mapping[str, str], out: Path, err: Path | None = None, cwd: Path | None = None
    ) -> None:
        super().__init__()
        start_server_of_forks()
        self._command = [str(word) for word in command]
        self._env, self._files, self._cwd = dict(env), (out, err or out), cwd
        self.start()

    def run(self) -> None:
        settle(self._env, self._files)
        os.chdir(self._cwd or ".")
        set_start_method(None, force=True)
        with ended_well():
            become(*self._command)

    def poll(self) -> int | None:
        return self.exitcode

    def send_signal(self, which: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.exitcode is None and self.pid is not None:
            os.kill(self.pid, which)

    def wait(self, timeout: float | None) -> int:
        """Wait until it ended; returns its exit status."""
        self.join(timeout)
        assert self.exitcode is not None, f"{self._command} did not end within {timeout} s"
        return int(self.exitcode)


class ForkedWorker(FORKING.Process):  # type: ignore[name-defined]  # made at run time
    """A process of Dask's that is forked, with the environment that it would have if it were started."""

    def start(self) -> None:
        self._env = dict(os.environ)
        super().start()

    def run(self) -> None:
        settle(self._env, [])
        super().run()


@contextmanager
def forked_workers() -> Iterator[None]:
    """Have Dask fork the workers that it starts meanwhile.

    Not for tests of what they print, which goes where the server of forks writes, nor of their place below a process.
    """
    import dask
    import distributed.utils
    import pytest

    start_server_of_forks()
    with (
        pytest.MonkeyPatch.context() as patch,
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}),
    ):
        patch.setattr(distributed.utils, "_forkserver_preload_set", True)  # or else it names others
        patch.setattr(FORKING, "Process", ForkedWorker)
        yield


class ForkedRun(FORKING.Process):  # type: ignore[name-defined]  # made at run time
    """A process of a served flow's run that is forked, as if it were started: it writes where its parent does."""

    def start(self) -> None:
        self._env, self._files = dict(os.environ), streams_of(os.getpid())
        # Packed, so that what it imports is imported where it runs, in this environment.
        self._packed, self._target, self._args = pickle.dumps((self._target, self._args)), None, ()
        super().start()

    def run(self) -> None:
        settle(self._env, self._files)
        with ended_well():
            target, arguments = pickle.loads(self._packed)  # noqa: S301 - its own
            target(*arguments)


def fork_runs_of_flows() -> None:
    """Have Prefect's runner fork, from now on, the processes of runs that it starts by multiprocessing."""
    share_server_of_forks({})
    FORKING.Process = ForkedRun
    multiprocessing.get_context = lambda _: FORKING  # type: ignore[assignment, misc]  # asked for "spawn"


def forking_python(folder: Path) -> Path:
    """A program to be named as `PYTHON`: its process has a forked one do what a new Python would, and ends with it."""
    words = [sys.executable, "-c", f"from support.forked import stand_in; stand_in({start_server_of_forks()!r})"]
    program = folder / "python"
    tests = shlex.quote(str(Path(__file__).parent.parent))
    program.write_text(f'#!/bin/sh\nPYTHONPATH={tests}:$PYTHONPATH exec {shlex.join(words)} "$@"\n')
    program.chmod(0o755)
    return program


def stand_in(server: dict[str, Any]) -> None:
    """Be that process."""
    share_server_of_forks(server)
    out, err = streams_of(os.getpid())
    process = Forked(*sys.argv[1:], env=os.environ, out=out, err=err, cwd=Path.cwd())
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda number, _: process.send_signal(signal.Signals(number)))
    sys.exit(process.wait(None))


def run_forked(*command: object, env: Mapping[str, str], cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """What `subprocess.run` gives of a command that is forked, when it has ended."""
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = Forked(*command, env=env, out=out, err=err, cwd=cwd)
        status = process.wait(timeout=240)
        return subprocess.CompletedProcess(command, status, out.read_text(), err.read_text())
