"""Dask workers that embed shards when one process is not enough: here, one for each GPU, or on a cluster."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import dask.config
from distributed import CancelledError, Client, Future, KilledWorker
from distributed.comm.core import CommClosedError

from headstart.extractors.errors import ExtractorError
from headstart.flows.errors import JobError
from headstart.flows.experiment import DASK_PATTERN
from headstart.flows.extraction.gpu_workers import open_gpu_client
from headstart.flows.extraction.worker import Work, pack, work
from headstart.flows.output import show_notes
from headstart.heads.sweep import open_client, without_chatter

_GPU = "GPU"  # the resource that a worker declares, and of which each shard takes one
_CORES_A_WORKER = 4  # one process decodes no faster with more
_IN_FLIGHT = 2  # shards a worker: the one that it embeds, and the next
_LOOK_S = 1.0  # between two counts of the workers
_WAIT_S = 5.0
_GO_ON = "What is sealed is kept; run the same again, and it goes on from there"


@dataclass
class Cluster:
    """Dask workers that embed shards.

    Attributes
    ----------
    client : Client
    name : str
        The scheduler's address, or the name that was asked for.
    decoding_threads : int or None
        Number for each worker, where the workers share this machine.
    show : bool
        Write on standard error when the run waits for workers.
    """

    client: Client
    name: str
    decoding_threads: int | None = None
    show: bool = False
    _under_way: set[Future] = field(default_factory=set)
    _n_workers: int | None = None
    _counted: float = 0.0
    _asked_of: int | None = None
    _have_gpus: bool = False

    def n_workers(self) -> int:
        """Count the workers; they may come and go, so they are counted again from time to time."""
        before = self._n_workers
        if before is not None and time.monotonic() < self._counted + _LOOK_S:
            return before
        count = len(self.client.nthreads()) if self.client.status == "running" else 0
        self._n_workers, self._counted = count, time.monotonic()
        if not count and before != 0 and self.show:
            show_notes([f"the Dask scheduler at {self.name} has no worker; waiting for one"])
        return count

    def limit(self) -> int:
        """Return the number of shards that should be under way now."""
        return _IN_FLIGHT * max(1, self.n_workers())

    def run(self, what: Work, *arguments: Any) -> Any:
        """Have one worker call a function of `extractors.extraction.shard_work`, and wait for its result.

        Raises
        ------
        ExtractorError
            The function raised it.
        JobError
            The workers end without a word, cannot import headstart, or the scheduler is gone.
        """
        try:
            future = self.client.submit(work, what, pack(*arguments), pure=False, **self._restrictions())
        except Exception as error:
            if self.client.status == "running":
                raise
            raise self._gone(error) from error
        self._under_way.add(future)
        try:
            return future.result()
        except ExtractorError:
            raise
        except KilledWorker as error:
            raise JobError(
                f"Dask workers ended without a word over the same work ({error.allowed_failures + 1} of them, the last "
                f"{error.last_worker.address}): see its log; most often memory is short, of which a smaller batch_size "
                f"needs less. {_GO_ON}"
            ) from error
        except ModuleNotFoundError as error:
            raise JobError(
                f"a Dask worker cannot import {error.name}; install headstart where the workers run"
            ) from error
        except (CancelledError, OSError) as error:
            if not isinstance(error, CancelledError | CommClosedError) and self.client.status == "running":
                raise  # the worker's own, such as a folder that is away: a retry may pass
            raise self._gone(error) from error
        finally:
            self._under_way.discard(future)

    def stop(self) -> None:
        """Cancel calls that have not begun; a shard that is being embedded is finished on its worker."""
        self.client.cancel(list(self._under_way), force=True)

    def _gone(self, error: BaseException) -> JobError:
        return JobError(f"the Dask scheduler at {self.name} went away ({type(error).__name__}); start it. {_GO_ON}")

    def _restrictions(self) -> dict[str, dict[str, int]]:
        """Ask only when workers came or went: the answer about 64 workers takes longer than sending them a shard."""
        if self._asked_of is None or self._asked_of != self._n_workers:
            self._asked_of = self._n_workers
            workers = self.client.scheduler_info()["workers"].values()
            self._have_gpus = any(_GPU in worker["resources"] for worker in workers)
        return {"resources": {_GPU: 1}} if self._have_gpus else {}


@contextmanager
def cluster_on_demand(dask_: str, workers: int | None, *, show: bool) -> Iterator[Callable[[], Cluster]]:
    """Yield a function that opens the cluster when it is first called: a run with nothing new needs no cluster.

    Parameters
    ----------
    dask_ : str
        "local": processes on this machine; "cuda": one for each of its GPUs; or a scheduler's address, such as
        "tcp://10.0.0.5:8786", which is left running.
    workers : int or None
        Processes on this machine; by default one for four cores, or for each GPU.
    show : bool
        Write on standard error when the run waits for workers.

    Raises
    ------
    JobError
        The name is unknown; or, when the function is called, no scheduler answers or there is no GPU.
    """
    if not re.fullmatch(DASK_PATTERN, dask_):
        raise JobError(f"dask is {dask_!r}, expected local, cuda or a scheduler's address such as tcp://host:8786")
    with ExitStack() as stack:
        yield cache(lambda: stack.enter_context(_opened(dask_, workers, show=show)))


@contextmanager
def _opened(dask_: str, workers: int | None, *, show: bool) -> Iterator[Cluster]:
    cores = os.cpu_count() or 1
    with ExitStack() as stack:
        stack.enter_context(without_chatter())
        if dask_ == "local":
            count = workers or max(1, cores // _CORES_A_WORKER)
            threads = max(1, cores // count)
            # Dask gives its processes one thread for matrix products, which suits those that have one core.
            stack.enter_context(dask.config.set({"distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": threads}))
            cluster = Cluster(stack.enter_context(open_client("processes", count)), dask_, threads)
        elif dask_ == "cuda":
            client, count = stack.enter_context(open_gpu_client(workers))
            cluster = Cluster(client, dask_, max(1, cores // count))
        else:
            cluster = Cluster(stack.enter_context(_connected(dask_)), dask_, show=show)
            _wait_for_a_worker(cluster)
        yield cluster


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    with ExitStack() as stack:
        try:
            client = stack.enter_context(open_client(address, None))
        except OSError as error:
            raise JobError(
                f"no Dask scheduler answers at {address} ({error}); start one with 'dask scheduler', or do without"
            ) from error
        yield client


def _wait_for_a_worker(cluster: Cluster) -> None:
    """Wait, however long, for a worker that can be asked whether it has a GPU: workers of a batch system queue."""
    while not cluster.n_workers():
        with suppress(TimeoutError):
            cluster.client.wait_for_workers(1, timeout=_WAIT_S)
