"""Workers of ``dask = "cuda"`` come from dask-cuda where it is installed, one thread for each GPU."""

import sys
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import SimpleNamespace
from typing import Any

import pytest

from headstart.flows.extraction import gpu_workers


def test_dask_cuda_starts_the_workers_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    @contextmanager
    def started(**options: Any) -> Any:
        asked.append(options)
        yield "cluster"

    @contextmanager
    def client(cluster: str) -> Any:
        yield f"client of {cluster}"

    here = SimpleNamespace(LocalCUDACluster=started, __spec__=ModuleSpec("dask_cuda", None))
    monkeypatch.setitem(sys.modules, "dask_cuda", here)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr(gpu_workers, "Client", client)
    for workers, count in ((None, 4), (2, 2)):
        with gpu_workers.open_gpu_client(workers) as opened:
            assert opened == ("client of cluster", count)
    assert [(one["n_workers"], one["threads_per_worker"], one["host"]) for one in asked] == [
        (4, 1, "127.0.0.1"),
        (2, 1, "127.0.0.1"),
    ]
