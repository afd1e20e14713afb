"""However a sweep runs, a job has one thread of every kind: jobs together have as many as there are workers."""

import pytest
import torch
from distributed import LocalCluster
from support.sweep_example import PIXELS, PLAN, Y
from support.thread_count_path import PLACE, allow_many
from threadpoolctl import threadpool_limits

from headstart.heads.registry.candidates import expand
from headstart.heads.registry.head import GridSolver
from headstart.heads.sweep.run import Running, sweep

COUNTING = GridSolver(place="support.thread_count_path:solve", params=frozenset({"alpha"}), divisible=False)


@pytest.fixture
def jobs(monkeypatch):
    """Two candidates whose shared jobs note their threads."""
    monkeypatch.setattr("headstart.heads.sweep.jobs.solver_of", lambda _: COUNTING)
    return expand([PIXELS], ["ridge"], {"ridge": {"alpha": [1.0, 10.0]}})


def check(folder, *, n_processes):
    seen = [path.read_text().split() for path in folder.iterdir()]
    assert len(seen) == len(PLAN.folds)
    assert {count for counts in seen for count in counts} == {"1"}
    assert min(map(len, seen)) >= 3  # BLAS, OpenMP and torch were asked
    assert len({path.name.partition("-")[0] for path in folder.iterdir()}) <= n_processes


def test_jobs_in_threads_have_one_thread_each(jobs, tmp_path, monkeypatch):
    monkeypatch.setenv(PLACE, "")  # taken back afterwards
    before = torch.get_num_threads()
    with threadpool_limits(2):
        try:
            allow_many(tmp_path)
            sweep(jobs, Y, PLAN, running=Running(workers=2))
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)
    check(tmp_path, n_processes=1)


def test_jobs_in_processes_have_one_thread_each(jobs, tmp_path):
    # Workers that somebody else started may be allowed more than one.
    many = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")
    options = {"dashboard_address": "127.0.0.1:0", "silence_logs": 60, "memory_limit": 0}
    env = many | {PLACE: str(tmp_path)}
    with LocalCluster(n_workers=1, threads_per_worker=1, env=env, **options) as cluster:
        sweep(jobs, Y, PLAN, running=Running(dask=cluster.scheduler_address))
    check(tmp_path, n_processes=1)
