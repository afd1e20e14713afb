"""Prefect's runner, which starts the runs of a served experiment, ended in good order."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.client.orchestration import get_client
from prefect.runner import Runner
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

_PATIENCE_S = 3.0


class TidyRunner(Runner):
    """Prefect's runner, ended by SIGTERM as by Ctrl-C: schedules are paused, and the run in hand is waited for.

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
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0} if gone else {}):
            await super().__aexit__(*exc_info)

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


async def _is_gone() -> bool:
    """Ask the Prefect server whether it is there: once, and not again and again as Prefect's client does."""
    try:
        with temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}):
            async with asyncio.timeout(_PATIENCE_S), get_client() as client:
                return await client.api_healthcheck() is not None
    except Exception:  # noqa: BLE001 - whatever is wrong, it does not answer
        return True
