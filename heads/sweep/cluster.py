"""Processes or a cluster that run a sweep's jobs, and what becomes of those whose worker died."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask.config
from dask.system import CPU_COUNT
from distributed import CancelledError, Client, KilledWorker, LocalCluster, as_completed

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from distributed import Future


_SILENT = logging.CRITICAL + 1  # a cancelled job may find its connection closed, which Dask calls critical
# Pages that nobody is told of: importing what draws them takes longer than all the rest of opening a cluster.
_NO_PAGES: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
_STARTING = threading.Lock()  # Dask's configuration is one for all threads, and is set while a cluster starts
_TRIES = 2  # of a job among others: a worker may die once through no fault of the job's


@contextmanager
def open_client(dask_: str, workers: int | None) -> Iterator[Client]:
    """Open a Dask client; what was started here is closed with it.

    Parameters
    ----------
    dask_ : str
        "processes", or a scheduler's address, which is left running.
    workers : int or None
        Processes; None takes every core.

    Raises
    ------
    DataError
        An argument is unknown.
    OSError
        No scheduler answers at the address.
    """
    with without_chatter():
        yield from _opened(dask_, workers)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Keep what Dask logs from a program's own log: what goes wrong comes back as an exception.

    It would tell of every worker that comes and goes, and of a job that fails ten times.
    """
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(_SILENT)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _opened(dask_: str, workers: int | None) -> Iterator[Client]:
    count = CPU_COUNT if workers is None else workers
    # A scheduler serves HTTP also without a dashboard, on port 8787 unless told otherwise, and warns where it is taken.
    quiet = {"dashboard_address": "127.0.0.1:0", "silence_logs": _SILENT, "memory_limit": 0}
    if count < 1:
        raise DataError(f"workers is {workers!r}, expected at least 1")
    if dask_ == "processes":
        with _STARTING, _interrupts_for_this_process_alone(), dask.config.set(_NO_PAGES):
            cluster = LocalCluster(
                processes=True,
                n_workers=count,
                threads_per_worker=1,
                scheduler_kwargs={"allowed_failures": _TRIES - 1},
                **quiet,
            )
        with cluster, Client(cluster) as client, _left_at_once(cluster):
            yield client
    elif "://" in dask_:
        with Client(dask_) as client:
            yield client
    else:
        raise DataError(
            f"dask is {dask_!r}, expected 'threads', 'processes' or a scheduler's address such as tcp://host:8786"
        )


@contextmanager
def _left_at_once(cluster: LocalCluster) -> Iterator[None]:
    """Close the workers at once where the block is interrupted: a fit that is under way may take minutes to end."""

    async def close() -> None:
        await asyncio.gather(*(worker.close(timeout=0.5) for worker in cluster.workers.values()))

    try:
        yield
    except BaseException:
        cluster.sync(close)
        raise


@contextmanager
def _interrupts_for_this_process_alone() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which a terminal sends to all: this one ends them, and they print nothing."""
    if threading.current_thread() is not threading.main_thread():  # others may not set signals, nor do they get Ctrl-C
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


class DaskWorkers:
    """The workers of a Dask client, as a sweep uses them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.n_workers = max(1, sum(client.nthreads().values()))

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        """Run a function with its arguments when those are there that are futures themselves, or lists of some."""
        return self._client.submit(function, *arguments, pure=False)

    def place(self, value: object) -> Future:
        """Put a value where jobs find it, see `place`."""
        return place(self._client, value)

    def gather(self, futures: Mapping[Any, Any], on_result: Callable[[Any, Any], None]) -> list[Any]:
        """Hand over each result as it arrives, see `gather`."""
        return gather(self._client, futures, on_result)


def place(client: Client, value: object) -> Future:
    """Put a value where jobs find it, sent once however many of them use it.

    Placing is a job: what is scattered is gone for good with the worker that holds it, and a job is run again. A value
    that pickles small, as a path and row numbers, is read once by each process.
    """
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):  # it is large only once
        return client.submit(as_given, value, pure=False)


def gather(client: Client, futures: Mapping[Any, Any], on_result: Callable[[Any, Any], None]) -> list[Any]:
    """Hand over each result as it arrives, with what it is the result of.

    Parameters
    ----------
    client : Client
    futures : mapping of Future to object
    on_result : callable
        Called in this thread with the object and its result, or with the exception that a job raised.

    Returns
    -------
    list of object
        Those whose jobs ended the workers that ran them, or waited on such workers too often.
    """
    waiting, lost = dict(futures), []
    try:
        # Each result is fetched at once and its future dropped: what a worker only holds is done again when it dies.
        # as_completed could fetch it too, but waits forever for one that was done, died with its worker before it was
        # fetched, and failed when it was done again.
        for future in as_completed(list(waiting)):
            what = waiting.pop(future)
            try:
                outcome = future.result()
            except (KilledWorker, CancelledError):
                lost.append(what)
                continue
            except Exception as error:  # noqa: BLE001 - what a job raised is what came of it
                outcome = error
            finally:
                future.release()
            on_result(what, outcome)
    except BaseException:
        client.cancel(list(waiting), force=True)
        raise
    return lost


def as_given(value: Any) -> Any:
    """Return a value: the job that brings it to a worker, whose memory then keeps it for all jobs that run there."""
    return value
