"""Code that runs on a Dask worker; the scheduler imports this, too, and should not have to load torch for it."""

import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from headstart.extractors.images import ENVIRONMENT

Work = Literal["settle", "prepare_pass", "embed_shard"]


def pack(*arguments: Any) -> bytes:
    """Make arguments bytes, which the scheduler passes on as they are; paths of 4096 images would take its time.

    What this process may read goes along: a worker of this run may read no more.
    """
    return pickle.dumps((os.environ.get(ENVIRONMENT), arguments))


def work(what: Work, packed: bytes) -> Any:
    """Call a function of `extractors.extraction.shard_work` on this worker, alone on its GPU.

    Parameters
    ----------
    what : {"settle", "prepare_pass", "embed_shard"}
    packed : bytes
        Its arguments, from `pack`.
    """
    distributed = import_module("distributed")
    shard_work = import_module("headstart.extractors.extraction.shard_work")
    precision = import_module("headstart.extractors.network.device")
    gpu_lock = import_module("headstart.flows.extraction.gpu_lock")
    limits, arguments = pickle.loads(packed)  # noqa: S301 - from the coordinator, by Dask, which unpickles all it gets
    first = arguments[0]
    device = precision.resolve_device((first.request if what == "embed_shard" else first).settings.device)
    with held_to(limits), gpu_lock.device_lock(device, show=False):
        return getattr(shard_work, what)(*arguments, slot=distributed.get_worker().id)


@dataclass
class _AtWork:
    """Limits on what the calls under way in this process may read; it is the process's, so all of them share it."""

    changed: threading.Condition = field(default_factory=threading.Condition)
    n_calls: int = 0
    limits: str | None = None
    before: str | None = None


_AT_WORK = _AtWork()


@contextmanager
def held_to(limits: str | None) -> Iterator[None]:
    """Read only what both the run and this worker's own environment allow; calls of runs that may differ wait."""
    narrow_limits = import_module("headstart.flows.experiment.security").narrow_limits
    with _AT_WORK.changed:
        _AT_WORK.changed.wait_for(lambda: not _AT_WORK.n_calls or _AT_WORK.limits == limits)
        if not _AT_WORK.n_calls:
            _AT_WORK.before, _AT_WORK.limits = os.environ.get(ENVIRONMENT), limits
            _set_limits(narrow_limits(_AT_WORK.before, limits))
        _AT_WORK.n_calls += 1
    try:
        yield
    finally:
        with _AT_WORK.changed:
            _AT_WORK.n_calls -= 1
            if not _AT_WORK.n_calls:
                _set_limits(_AT_WORK.before)
            _AT_WORK.changed.notify_all()


def _set_limits(limits: str | None) -> None:
    if limits is None:
        os.environ.pop(ENVIRONMENT, None)
    else:
        os.environ[ENVIRONMENT] = limits
