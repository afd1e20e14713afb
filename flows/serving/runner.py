"""Prefect's runner, which starts the runs of a served experiment, ended in good order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.runner import Runner


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

    @contextmanager
    def sigterm_passed_on(self) -> Iterator[None]:
        """Give SIGTERM to whoever handled it before, when all is tidied up."""
        before = signal.getsignal(signal.SIGTERM)
        try:
            yield
        except KeyboardInterrupt:
            if not self.terminated:
                raise
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.signal(signal.SIGTERM, before)
