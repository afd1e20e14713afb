"""SIGTERM ends a command as Ctrl-C does: what is embedded is sealed, and the exit status says which signal it was."""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGTERM_STATUS = 128 + signal.SIGTERM


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Turn SIGTERM into a KeyboardInterrupt, and however the block ends then, into exit status 143.

    Only the first counts: whoever sends another wants what the first asked for. Where SIGTERM is ignored, it stays so.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()  # Python handles signals in no other
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
        yield
        return
    came = False

    def interrupt(number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except BaseException as end:
        if came:
            raise SystemExit(SIGTERM_STATUS) from end
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


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
