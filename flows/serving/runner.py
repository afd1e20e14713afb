"""Prefect's runner, which starts the runs of a served experiment, ended in good order."""

import asyncio
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from prefect.client.orchestration import get_client
from prefect.runner import Runner
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

# Ten seconds from SIGTERM to the end, where the server is gone: to ask for it, to end runs, and to leave.
_PATIENCE_S = 4.0
_GRACE_S = 2.0
_LOOK_EVERY_S = 2.0


class TidyRunner(Runner):
    """Prefect's runner, ended by SIGTERM as by Ctrl-C: schedules are paused, and the run in hand is waited for.

    Where the server is gone, or goes while it is waited for, the run is ended: it would ask for the server for minutes,
    again and again, and could tell nobody what came of it. What it embedded is sealed.

    Prefect's own handler calls a coroutine function without awaiting it, so that nothing is told to end.
    Its web server stays off, which is the default: nothing listens to other machines.
    """

    terminated = False

    def handle_sigterm(self, *_: Any) -> None:
        """Take the way of Ctrl-C, which asyncio turns into a cancellation."""
        self.terminated = True
        signal.raise_signal(signal.SIGINT)

    async def __aexit__(self, *exc_info: object) -> None:
        """Tidy up; what a server that is gone would have to be told is not tried for minutes."""
        gone = await _is_gone()
        self.pause_on_shutdown = self.pause_on_shutdown and not gone
        leaving = asyncio.current_task()
        assert leaving is not None  # noqa: S101 - for the type checker: a coroutine runs in a task
        asked = leaving.cancelling()
        ending = asyncio.create_task(_leave_without_server(leaving, gone=gone))
        try:
            with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0} if gone else {}):
                await super().__aexit__(*exc_info)
        except asyncio.CancelledError:
            if leaving.cancelling() <= asked:
                raise
        finally:
            ending.cancel()
            while leaving.cancelling() > asked:
                leaving.uncancel()

    @contextmanager
    def sigterm_passed_on(self) -> Iterator[None]:
        """Give SIGTERM to whoever handled it before, when all is tidied up."""
        before = signal.getsignal(signal.SIGTERM)
        try:
            yield
        except BaseException:  # that the server is gone, too, is no news now
            if not self.terminated:
                raise
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, before)


async def _leave_without_server(leaving: "asyncio.Task[Any]", *, gone: bool) -> None:
    """As soon as the server is gone, end the runs in hand, and all that waits for its farewell; others go on."""
    while not gone:
        await asyncio.sleep(_LOOK_EVERY_S)
        gone = await _is_gone()
    await asyncio.to_thread(_end_runs)
    while True:  # each connection waits for ten seconds
        await asyncio.sleep(_GRACE_S / 2)
        leaving.cancel()


def _end_runs() -> None:
    """End the processes of all runs, with those that they started."""
    trees: list[psutil.Process] = []
    for run in multiprocessing.active_children():
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(run.pid)
            trees += [process, *process.children(recursive=True)]
    for process in trees:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(trees, timeout=_GRACE_S)[1]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


async def _is_gone() -> bool:
    """Ask the Prefect server whether it is there: once, and not again and again as Prefect's client does."""
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            async with asyncio.timeout(_PATIENCE_S), get_client() as client:
                return await client.api_healthcheck() is not None
    except Exception:  # noqa: BLE001 - whatever is wrong, it does not answer
        return True
