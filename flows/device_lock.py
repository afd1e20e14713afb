"""One extraction a GPU: a file lock on this host, which goes with the process however that ends."""

import getpass
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from flows.terminal import show_notes

if TYPE_CHECKING:
    import torch


@contextmanager
def device_lock(device: "torch.device", *, show: bool) -> Iterator[None]:
    """Let one extraction of a user at a time use a GPU; the lock goes with the process, however that ends."""
    if device.type != "cuda":
        yield
        return
    lock = FileLock(Path(tempfile.gettempdir()) / f"headstart-gpu{device.index or 0}-{getpass.getuser()}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if show:
            show_notes([f"another extraction uses {device}; waiting for it ({lock.lock_file})"])
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
