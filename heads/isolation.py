"""Isolation of candidates that run side by side: they must not fight over cores, print warnings or make all wait."""

import gc
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# Made before the garbage collector looks for cycles. With what scikit-learn and torch leave it to go through, a look
# takes as long as a fit, and all jobs wait.
_OBJECTS = 100_000
# Python takes turns among threads every 5 ms; one that is hardly ever at Python's own work, as a sum over matrices in
# small steps, would wait that long for each step while another thread imports a library.
_TURN = 0.0005  # seconds
# Of features: a product with fewer is over before a second thread of BLAS is there to help, and threads of BLAS wait
# for each other at full speed, on cores that others need.
_FEW_BYTES = 2**27


def _loaded_pools() -> ThreadpoolController:
    """Thread pools of the libraries that are loaded, which are looked for again where more modules are."""
    return _find_pools(len(sys.modules))


@lru_cache(maxsize=1)
def _find_pools(_n_modules: int) -> ThreadpoolController:
    # Milliseconds, as it goes through every library: as long as a small fit, and each of thousands of jobs asks.
    return ThreadpoolController()


class _ProcessWide:
    """Settings that belong to the whole process: the first job in makes them, the last one out takes them back.

    Each job for itself would not do: jobs in threads overlap, and whoever leaves first would restore the settings under
    those still running, and the last would "restore" what another had set. From threadpoolctl 3.8 on only the first
    thread may set OpenBLAS at all: in a sweep that is the caller's, or the only one of a worker process. A foreign
    scheduler's worker with several threads may be left at one BLAS thread, as Dask advises for such workers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._settings = ExitStack()
        self.collected = threading.local()

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._settings.callback(gc.set_threshold, *gc.get_threshold())
                gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
                self._settings.callback(sys.setswitchinterval, sys.getswitchinterval())
                sys.setswitchinterval(_TURN)
                self._settings.enter_context(_loaded_pools().select(user_api="blas").limit(limits=1))
                self._settings.enter_context(warnings.catch_warnings())
                warnings.simplefilter("always", ConvergenceWarning)
                self._collect(warnings.showwarning)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._settings.close()

    def _collect(self, show: Any) -> None:
        """Send the warnings of threads that run a job to that job's list, and all others on."""

        def collect(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: Any = None,
            line: Any = None,
        ) -> None:
            texts = getattr(self.collected, "texts", None)
            if texts is None:
                show(message, category, filename, lineno, file, line)
                return
            text = f"{category.__name__}: {str(message).splitlines()[0]}"
            if text not in texts:
                texts.append(text)

        warnings.showwarning = collect


_process_wide = _ProcessWide()


@contextmanager
def quiet_and_single_threaded() -> Iterator[None]:
    """Hold the process at one BLAS thread and keep warnings off the screen; may be nested and entered by any thread."""
    _process_wide.enter()
    try:
        yield
    finally:
        _process_wide.leave()


def is_small(n_bytes: int) -> bool:
    """Say whether a fit on features of so many bytes is sooner done by one thread of BLAS."""
    return n_bytes <= _FEW_BYTES


def single_threaded_if_small(n_bytes: int) -> "AbstractContextManager[None]":
    """Hold the process at one BLAS thread for a fit on features of so many bytes, where it is sooner done so."""
    return quiet_and_single_threaded() if is_small(n_bytes) else nullcontext()


@contextmanager
def openmp_threads(n_threads: int) -> Iterator[None]:
    """Give this thread, and torch's work on a CPU in it, so many OpenMP threads; OpenMP counts other threads apart."""
    # In a fresh thread torch sets its own number at first use, over any limit. A job that is here while another one
    # imports torch finds the half of it, and does not use it.
    count = getattr(sys.modules.get("torch"), "get_num_threads", None)
    if count is not None:
        count()
    with _loaded_pools().select(user_api="openmp").limit(limits=n_threads):
        yield


@contextmanager
def isolated_job(n_threads: int = 1) -> Iterator[list[str]]:
    """Run one job in this thread, on so many threads of OpenMP; yields the list that collects its warnings, each once.

    BLAS has one thread all the same.
    """
    texts: list[str] = []
    with quiet_and_single_threaded(), openmp_threads(n_threads):
        _process_wide.collected.texts = texts
        try:
            yield texts
        finally:
            _process_wide.collected.texts = None
