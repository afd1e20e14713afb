"""One job a GPU: a file lock on this host, which goes with the process however that ends.

Why no concurrency slot of Prefect's, which could be seen in its UI: a slot outlives a killed process until its lease
ends (a minute at the least); and a server that keeps leases in memory, which is Prefect's default, and is restarted
meanwhile, never takes it back. A GPU belongs to one host, and so does its lock.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from headstart.flows.output import show_notes

if TYPE_CHECKING:
    import torch


@contextmanager
def device_lock(device: "torch.device", *, show: bool, log: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Let one job of a user at a time use a GPU; the lock goes with the process, however that ends.

    Parameters
    ----------
    device : torch.device
        Of a CPU there may be many.
    show : bool
        Say on standard error that another one is waited for.
    log : callable
        Told the same.
    """
    if device.type != "cuda":
        yield
        return
    lock = FileLock(Path(tempfile.gettempdir()) / f"headstart-{_name_gpu(device)}-{os.getuid()}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        text = f"another job uses {device}; waiting for it ({lock.lock_file})"
        log(text)
        if show:
            show_notes([text])
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _name_gpu(device: "torch.device") -> str:
    """Name the GPU itself: a process that sees one of eight calls it cuda:0, whichever it is."""
    from torch.cuda import get_device_properties  # noqa: PLC0415 - only where there is a GPU

    return f"gpu-{get_device_properties(device).uuid}"
