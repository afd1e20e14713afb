"""Prefect's embedded server, tied to the process that started it: Prefect itself ends it only where it can.

A terminal sends Ctrl-C to all of its processes, so the server would go first and the run would ask a dead one for
minutes; and a run that is killed would leave it, with 200 MB, for good.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from prefect.settings import PREFECT_API_URL

from headstart.flows.orchestration import end_with_parent

_MARK = "HEADSTART_SERVER_OF"  # in a server's environment: the process that started it
_APPLICATION = "prefect.server.api.server:create_app"


def tie_embedded_server() -> None:
    """Have the server that Prefect will start, if none is configured, end with this process; end those left behind.

    To be called before a flow is.
    """
    if PREFECT_API_URL.value():
        return
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - takes a second, and is not always used

    class TiedServer(SubprocessASGIServer):
        """Prefect keeps one server a process, which is the first that is made."""

        _watch: subprocess.Popen[bytes] | None = None

        def _run_uvicorn_command(self) -> subprocess.Popen[Any]:
            self._let_watch_end()
            with _terminal_unheard(), _marked():
                server = super()._run_uvicorn_command()
                self._watch = _watched(server)
            return server

        def stop(self) -> None:
            super().stop()
            self._let_watch_end()

        def _let_watch_end(self) -> None:
            if self._watch is not None:
                self._watch.communicate()
                self._watch = None

    end_servers_left_behind()
    TiedServer()


def end_servers_left_behind() -> None:
    """End embedded servers whose run was killed, and whose watch was, too."""
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(_MARK, "")
            if mark and _APPLICATION in process.cmdline() and _is_left_behind(mark):
                process.kill()
        except (psutil.Error, ValueError):  # another user's, or it ended meanwhile; or the mark is none of ours
            continue


def _is_left_behind(mark: str) -> bool:
    number, began, space = mark.split()
    if space != _number_space():  # a container's, where that number is another process's
        return False
    try:
        return psutil.Process(int(number)).create_time() != float(began)
    except psutil.NoSuchProcess:
        return True


@contextmanager
def _marked() -> Iterator[None]:
    this = psutil.Process()
    os.environ[_MARK] = f"{this.pid} {this.create_time()} {_number_space()}"
    try:
        yield
    finally:
        del os.environ[_MARK]


def _number_space() -> str:
    """Name what process numbers are told apart in, where there are several."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "one"


@contextmanager
def _terminal_unheard() -> Iterator[None]:
    """Start processes that take no signal of a terminal, though they set handlers: a mask outlives the start."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _watched(server: subprocess.Popen[Any]) -> subprocess.Popen[bytes]:
    """Start what ends a server when the pipe from this process closes, which no way of dying leaves open."""
    words = [end_with_parent.__file__, str(server.pid), str(psutil.Process(server.pid).create_time())]
    return subprocess.Popen([sys.executable, "-P", *words], stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603 - our own file
