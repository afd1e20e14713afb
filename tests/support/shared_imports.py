"""Processes of one run of pytest that need not import the same again: they are forked from one that did.

Importing all tests, with torch, scikit-learn and the like, takes a process of xdist half a minute; making them of what
was imported takes three seconds. `ImportedTests` is the process from which they are forked. The server of `forked`
processes, whose import takes ten seconds, is one for all of them, too.
"""

import atexit
import gc
import multiprocessing.forkserver
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

PRELOADED = ["support.preloaded"]
_SERVER: Any = multiprocessing.forkserver._forkserver  # type: ignore[attr-defined]  # which is one a process
_NAMES = ("_forkserver_address", "_forkserver_authkey")  # the latter of Python 3.14


def start_server_of_forks() -> dict[str, Any]:
    """Start what forks `Forked` processes, to end with this process; returns what another one needs to ask it."""
    _SERVER.set_forkserver_preload(PRELOADED)
    own = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]
    before = os.environ.get("PYTHONPATH")
    # It looks where Python does, not where this process does, and leaves out what it does not find without a word.
    os.environ["PYTHONPATH"] = os.pathsep.join([*own, before] if before else own)
    try:
        _SERVER.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return {name: getattr(_SERVER, name) for name in _NAMES if hasattr(_SERVER, name)}


def share_server_of_forks(server: dict[str, Any]) -> None:
    """Have this process ask the server that another one started."""
    vars(_SERVER).update(server, ensure_running=lambda: None)
    _SERVER._forkserver_alive_fd = os.open(os.devnull, os.O_WRONLY)  # it lives as long as who started it


class ImportedTests:
    """A process that has imported the tests in `places`, and forks those of xdist; it ends with this one."""

    def __init__(self, places: Sequence[str]) -> None:
        self._folder = TemporaryDirectory()
        self._address = str(Path(self._folder.name) / "socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self._address)
            listener.listen()
            words = [sys.executable, __file__, "serve", str(listener.fileno()), *places]
            self._process = subprocess.Popen(
                words, pass_fds=[listener.fileno()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
            )

    @property
    def python(self) -> str:
        """Command that stands for an interpreter, in the words of a shell, as execnet reads it."""
        return shlex.join([sys.executable, "-S", __file__, "become", self._address])

    def end(self) -> None:
        self._process.communicate()  # closes its standard input
        self._folder.cleanup()


class _OnlyImports(MetaPathFinder, Loader):
    """Modules of tests are imported, and no tests are made of them, which some could be only once.

    One that is not imported to its end is left to the processes of xdist, which tell why; so are those that import
    what a process must not be forked from.
    """

    def find_spec(self, fullname: str, path: Any, _: object = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path) if fullname == "onnxruntime" else None
        if spec is not None:
            spec.loader = self  # whether it is installed may be asked
        return spec

    def exec_module(self, _: ModuleType) -> None:
        raise RuntimeError("it starts a thread, for which a forked process would wait")  # no ImportError to be caught

    def pytest_pycollect_makeitem(self) -> list[Any]:
        return []

    def pytest_collectreport(self, report: Any) -> None:
        if not report.passed:
            for name in [name for name, one in sys.modules.items() if _file_of(one) == Path(report.fspath).resolve()]:
                del sys.modules[name]


def _file_of(module: ModuleType | None) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if file else None


def _serve(listener: socket.socket, places: list[str]) -> None:
    """Import the tests, and fork a process for each that asks, until standard input is closed."""
    import pytest

    only_imports = _OnlyImports()
    sys.meta_path.insert(0, only_imports)
    pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider", *places], plugins=[only_imports])
    sys.meta_path.remove(only_imports)
    assert threading.active_count() == 1, "a test that is imported starts a thread, which a forked process lacks"
    gc.collect()  # as in `preloaded`
    gc.freeze()
    atexit.register(gc.unfreeze)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            os._exit(0)  # clearing away what was imported takes two seconds
        asking, _ = listener.accept()
        code, streams, _, _ = socket.recv_fds(asking, 4096, 3)
        if os.fork() == 0:
            break
        for one in streams:
            os.close(one)
        asking.close()
    listener.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for stream, given in enumerate(streams):
        os.dup2(given, stream)
        os.close(given)
    exec(code, {"__name__": "__main__"})  # noqa: S102 - execnet's own, in place of ``python -u -c CODE``


def _become(address: str, code: str) -> None:
    """Have a process forked that does with this one's streams what this one was to do, and wait until it ended."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(address)
        socket.send_fds(asking, [code.encode()], [0, 1, 2])
        os.close(0)
        os.close(1)  # or else nobody would see that the other one has closed it
        asking.recv(1)


if __name__ == "__main__":
    task, where, *others = sys.argv[1:]
    if task == "serve":
        _serve(socket.socket(fileno=int(where)), others)
    else:
        _become(where, others[-1])
