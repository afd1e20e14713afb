"""Threads of this process that run a sweep's jobs: nothing is sent, and no library has to be loaded for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field
from itertools import count
from queue import PriorityQueue
from typing import TYPE_CHECKING, Any, Self

from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

_LAST = float("inf")  # after all jobs


@dataclass(order=True)
class _Job:
    """A function, its arguments and where its outcome goes; jobs that are ready run in the order of their numbers."""

    number: float
    work: Any = field(default=None, compare=False)


class Threads:
    """So many threads, each with a job at a time; they end with the block, unless an exception leaves it.

    Parameters
    ----------
    n_threads : int

    Raises
    ------
    DataError
        There is not one thread.

    Examples
    --------
    >>> with Threads(2) as threads:
    ...     first = threads.submit(abs, -1)
    ...     threads.submit(max, [first, 0]).result()
    1
    """

    def __init__(self, n_threads: int) -> None:
        if n_threads < 1:
            raise DataError(f"workers is {n_threads!r}, expected at least 1")
        self.n_workers = n_threads
        self._ready: PriorityQueue[_Job] = PriorityQueue()
        self._numbers = count()
        self._left = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        # Daemons: the process may end while a fit goes on, which nothing can interrupt.
        names = [f"job {number}" for number in range(self.n_workers)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is not None:
            self._left.set()
        for _number in range(self.n_workers):
            self._ready.put(_Job(_LAST))
        if kind is None:  # torch aborts a process that ends while one of its threads does
            for thread in self._threads:
                thread.join()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Run a function with its arguments when those are there that are futures themselves, or lists of some."""
        future: Future[Any] = Future()
        job = _Job(next(self._numbers), (future, function, arguments))
        awaited = [one for some in arguments for one in (some if isinstance(some, list) else [some])]
        awaited = [one for one in awaited if isinstance(one, Future)]
        if not awaited:
            self._ready.put(job)
        missing = count(len(awaited) - 1, -1)

        def arrived(_: Future[Any]) -> None:
            if next(missing) == 0:
                self._ready.put(job)

        for one in awaited:
            one.add_done_callback(arrived)
        return future

    def place(self, value: object) -> object:
        """Give a value to jobs: in one process, the object itself."""
        return value

    def gather(self, futures: Mapping[Any, Any], on_result: Callable[[Any, Any], None]) -> list[Any]:
        """Hand over each result, or the exception that its job raised, with what it is the result of; none is lost."""
        waiting = dict(futures)
        for future in as_completed(list(waiting)):
            outcome = future.exception() or future.result()
            on_result(waiting.pop(future), outcome)
        return []

    def _work(self) -> None:
        while not self._left.is_set():
            job = self._ready.get()
            if job.work is None:
                return
            (future, function, arguments), job.work = job.work, None  # what it was given goes with the job
            try:
                future.set_result(function(*map(_known, arguments)))
            except BaseException as error:  # noqa: BLE001 - what a job raised is what came of it
                future.set_exception(error)
            del future, function, arguments


def _known(argument: Any) -> Any:
    if isinstance(argument, list):
        return [_known(one) for one in argument]
    return argument.result() if isinstance(argument, Future) else argument
