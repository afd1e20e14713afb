"""What runs on a Dask worker; the scheduler imports this, too, and should not have to load torch for it."""

import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Literal

from extractors.allowed_roots import ENVIRONMENT

Work = Literal["settle", "prepare_pass", "embed_shard"]

_LIMITED = threading.Lock()


def pack(*arguments: Any) -> bytes:
    """Make arguments bytes, which the scheduler passes on as they are; paths of 4096 images would take its time.

    What this process may read goes along: a worker of this run may read no more.
    """
    return pickle.dumps((os.environ.get(ENVIRONMENT), arguments))


def work(what: Work, packed: bytes) -> Any:
    """Call a function of `extractors.shard_work` on this worker, alone on its GPU.

    Parameters
    ----------
    what : {"settle", "prepare_pass", "embed_shard"}
    packed : bytes
        Its arguments, from `pack`.
    """
    distributed = import_module("distributed")
    shard_work = import_module("extractors.shard_work")
    precision = import_module("extractors.precision")
    device_lock = import_module("flows.device_lock")
    limits, arguments = pickle.loads(packed)  # noqa: S301 - from the coordinator, by Dask, which unpickles all it gets
    first = arguments[0]
    device = precision.resolve_device((first.request if what == "embed_shard" else first).settings.device)
    with _held_to(limits), device_lock.device_lock(device, show=False):
        return getattr(shard_work, what)(*arguments, slot=distributed.get_worker().id)


@contextmanager
def _held_to(limits: str | None) -> Iterator[None]:
    """Read only what the run may, one call at a time; limits that were set where the worker was started stay."""
    if not limits or os.environ.get(ENVIRONMENT):
        yield
        return
    with _LIMITED:
        os.environ[ENVIRONMENT] = limits
        try:
            yield
        finally:
            del os.environ[ENVIRONMENT]
