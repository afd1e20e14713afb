"""One Dask worker for each GPU of this machine."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

import torch
from distributed import Client, Nanny, Scheduler, SpecCluster

from headstart.flows.errors import JobError

_SILENT = logging.CRITICAL + 1
_HOST = "127.0.0.1"
_DASHBOARD = f"{_HOST}:0"  # a scheduler serves HTTP also without a dashboard: for this machine, on any free port


@contextmanager
def open_gpu_client(workers: int | None) -> Iterator[tuple[Client, int]]:
    """Start a process for each GPU, or the first few, by dask-cuda where it is installed; yields client and count.

    Raises
    ------
    JobError
        There are no such GPUs.
    """
    found = torch.cuda.device_count()
    count = workers or max(1, found)
    if count > found:
        needed = "1 GPU is" if count == 1 else f"{count} GPUs are"
        raise JobError(f"dask is 'cuda': {needed} needed and this machine has {found}; use 'local' or fewer workers")
    with _with_dask_cuda(count) if find_spec("dask_cuda") else _one_each(count) as cluster, Client(cluster) as client:
        yield client, count


def _with_dask_cuda(count: int) -> SpecCluster:
    local = import_module("dask_cuda").LocalCUDACluster
    options = {"host": _HOST, "dashboard_address": _DASHBOARD, "silence_logs": _SILENT}
    return local(n_workers=count, threads_per_worker=1, **options)


def _one_each(count: int) -> SpecCluster:
    """Let each process see one GPU, as dask-cuda does; its pools of GPU memory are for data frames."""
    options = {"host": _HOST, "nthreads": 1, "memory_limit": 0, "silence_logs": _SILENT}
    workers = {
        number: {"cls": Nanny, "options": options | {"env": {"CUDA_VISIBLE_DEVICES": gpu}}}
        for number, gpu in enumerate(_visible()[:count])
    }
    scheduler = {"cls": Scheduler, "options": {"host": _HOST, "port": 0, "dashboard_address": _DASHBOARD}}
    return SpecCluster(workers=workers, scheduler=scheduler, silence_logs=_SILENT)


def _visible() -> list[str]:
    """Name the GPUs as ``CUDA_VISIBLE_DEVICES`` does, which may have been set for this process."""
    return [f"GPU-{torch.cuda.get_device_properties(number).uuid}" for number in range(torch.cuda.device_count())]
