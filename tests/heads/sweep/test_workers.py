"""What a sweep on processes sends, reads and survives; the processes are real, and so are their deaths."""

import os
import signal
import threading
import time
from collections import Counter

import numpy as np
import pytest
from distributed import KilledWorker, LocalCluster
from sklearn.datasets import load_digits
from support.forked import forked_workers
from support.sweep_example import PIXELS, PLAN, X, Y

from headstart.heads import HEADS, Head
from headstart.heads.registry import table as registry
from headstart.heads.registry.candidates import Candidate, FeatureSet, expand
from headstart.heads.registry.head import GridSolver
from headstart.heads.sweep import cluster as sweep_cluster
from headstart.heads.sweep.run import Running, sweep


@pytest.fixture(scope="module")
def scheduler():
    with (
        forked_workers(),
        LocalCluster(
            processes=True,
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=60,
            memory_limit=0,
            scheduler_kwargs={"allowed_failures": 0},
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture
def numbered(monkeypatch):
    """Return candidates of a head that calls a function with its number and then is the dummy."""

    def candidates(n_candidates, act):
        def make(params, seed):
            from headstart.heads import HEADS  # travels to the worker with the function

            act(params["number"])
            return HEADS["dummy"].make({}, seed)

        monkeypatch.setitem(
            registry._registered["classify"], "numbered", Head(name="numbered", summary=".", make=make, grid={})
        )
        source = {"features": X, "backbone": "pixels", "tap": "raw", "key": "k", "head": "numbered"}
        return [Candidate(**source, params={"number": number}) for number in range(n_candidates)]

    return candidates


def test_each_process_reads_the_features_once_for_all_candidates_and_folds(scheduler, tmp_path):
    class View:
        def __array__(self, dtype=None, copy=None):
            import os  # travel to the worker with the class
            import uuid

            (tmp_path / f"{os.getpid()}-{uuid.uuid4()}").touch()
            return load_digits().data[:300].astype(np.float16)

    source = FeatureSet(features=View(), backbone="pixels", tap="raw", key="k")
    results = sweep(expand([source], ["dummy", "centroid", "ridge", "knn"]), Y, PLAN, running=Running(dask=scheduler))
    reads = Counter(int(path.name.partition("-")[0]) for path in tmp_path.iterdir())
    assert reads.pop(os.getpid()) == 1  # the check before anything runs
    assert set(reads.values()) == {1}
    assert len(reads) == 2
    here = sweep(expand([PIXELS], ["dummy", "centroid", "ridge", "knn"]), Y, PLAN)
    assert [result.scores for result in results] == [result.scores for result in here]


def test_a_worker_that_is_killed_costs_the_job_that_it_ran_and_no_other(scheduler, numbered, tmp_path):
    def act(number):
        import os
        import time
        from pathlib import Path

        runs, me = Path(tmp_path), str(os.getpid())
        finished = {path.name.split("-")[1] for path in runs.glob("run-*") if path.read_text() == me}
        (runs / f"run-{number}-{len(list(runs.glob(f'run-{number}-*')))}").write_text(me)
        if number == 9 and not (runs / "victim").exists():
            while not all((runs / f"seen-{earlier}").exists() for earlier in finished):  # what has arrived is not lost
                time.sleep(0.01)
            (runs / "part").write_text(me)
            (runs / "part").rename(runs / "victim")
            time.sleep(600)

    def kill():
        while not (tmp_path / "victim").exists():
            time.sleep(0.01)
        os.kill(int((tmp_path / "victim").read_text()), signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    candidates = numbered(12, act)
    results = sweep(
        candidates,
        Y,
        PLAN,
        running=Running(
            dask=scheduler, on_result=lambda result: (tmp_path / f"seen-{result.candidate.params['number']}").touch()
        ),
    )
    killer.join()
    assert len(results) == 12
    assert {result.error for result in results} == {None}
    runs = Counter(int(path.name.split("-")[1]) for path in tmp_path.glob("run-*"))
    assert runs == Counter(dict.fromkeys(range(12), len(PLAN.folds))) + Counter([9])


def test_a_candidate_that_ends_every_worker_fails_with_a_reason_and_the_others_finish(
    scheduler, numbered, tmp_path, monkeypatch
):
    def act(number):
        import os
        import uuid

        if number == 3:
            (tmp_path / str(uuid.uuid4())).touch()
            os._exit(1)

    deadly = GridSolver(place="support.deadly_path:solve", params=frozenset({"alpha"}), divisible=False)
    monkeypatch.setattr(
        "headstart.heads.sweep.jobs.solver_of", lambda candidate: deadly if candidate.head == "ridge" else None
    )
    ridges = expand([PIXELS], ["ridge"], {"ridge": {"alpha": [1.0, 10.0]}})
    results = {
        str(r.candidate.params): r
        for r in sweep([*numbered(6, act), *ridges], Y, PLAN, running=Running(dask=scheduler))
    }
    lost = results.pop("{'number': 3}")
    assert lost.error.startswith("WorkerLostError: every process that fitted it ended without a word")
    assert (
        1 <= len(list(tmp_path.iterdir())) <= 2
    )  # once among others, unless one of them ended the worker first; then alone
    assert len(results) == 7
    assert {result.error for result in results.values()} == {None}
    stock = HEADS["ridge"].make({"alpha": 1.0}, 0).fit(X[PLAN.folds[0][0]].astype(np.float32), Y[PLAN.folds[0][0]])
    scored = PLAN.folds[0][1]
    expected = stock.score(X[scored].astype(np.float32), Y[scored])
    assert results["{'alpha': 1.0}"].per_fold[0]["accuracy"] == expected


def test_a_head_that_exits_fails_like_any_other(numbered):
    def act(number):
        if number == 1:
            raise SystemExit(3)

    first, second = sweep(numbered(2, act), Y, PLAN, running=Running(workers=1))
    assert (first.error, second.error) == (None, "SystemExit: 3")


def test_a_job_whose_result_was_lost_and_cannot_be_made_again_is_lost_and_ends_no_sweep(monkeypatch):
    class Job:
        def __init__(self, outcome):
            self.outcome = outcome

        def result(self):
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome

        def release(self):
            pass

    killed = Job(KilledWorker("its features", None, 0))
    jobs = {Job(1): "a", killed: "b", Job(ValueError("no")): "c"}
    monkeypatch.setattr(sweep_cluster, "as_completed", iter)
    arrived = {}
    assert sweep_cluster.gather(None, jobs, arrived.__setitem__) == ["b"]
    assert arrived["a"] == 1
    assert str(arrived["c"]) == "no"
