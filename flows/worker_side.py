"""What runs on a Dask worker; the scheduler imports this, too, and should not have to load torch for it."""

import pickle
from importlib import import_module
from typing import Any, Literal

Work = Literal["settle", "prepare_pass", "embed_shard"]


def pack(*arguments: Any) -> bytes:
    """Make arguments bytes, which the scheduler passes on as they are; paths of 4096 images would take its time."""
    return pickle.dumps(arguments)


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
    first, *others = pickle.loads(packed)  # noqa: S301 - from the coordinator, through Dask, which unpickles all it gets
    device = precision.resolve_device((first.request if what == "embed_shard" else first).settings.device)
    with device_lock.device_lock(device, show=False):
        return getattr(shard_work, what)(first, *others, slot=distributed.get_worker().id)
