"""SIGTERM, and SIGHUP of a terminal that is closed, end a command as Ctrl-C does, with an exit status of their own."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGTERM, signal.SIGHUP)
SIGNAL_STATUSES = tuple(128 + number for number in _ENDING)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into a KeyboardInterrupt, and however the block ends then, into exit status 143 or 129.

    Only the first counts: whoever sends another wants what the first asked for. One that is ignored, as SIGHUP is by
    nohup, stays so.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()  # Python handles signals in no other
    heeded = [one for one in _ENDING if in_main_thread and signal.getsignal(one) is not signal.SIG_IGN]
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]  # not to be asked of one that is closed
    came = 0

    def interrupt(number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = number
        for one in heeded:
            signal.signal(one, signal.SIG_IGN)
        if number == signal.SIGHUP:
            _write_nowhere(terminals)
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupt) for one in heeded}
    try:
        yield
    except BaseException as end:
        if came:
            raise SystemExit(128 + came) from end
        raise
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _write_nowhere(streams: list[int]) -> None:
    """Lose what would be written to a terminal that is gone, which is an error in whoever writes."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream)
    os.close(nowhere)


def leave_if_threads_run(status: int) -> None:
    """End the process with this exit status, if threads are still at work.

    A fit that was interrupted goes on in its thread until it ends. Python would take torch down under it, which ends
    the process with an abort and a word of C++. What is registered for the end of the process is done all the same.
    """
    if all(thread is threading.current_thread() for thread in threading.enumerate()):
        return
    atexit._run_exitfuncs()  # noqa: SLF001 - os._exit leaves them out, and nothing else in Python runs them
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
