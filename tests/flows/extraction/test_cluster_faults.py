"""What dies while shards are embedded on Dask workers — a worker, all of them, the scheduler, Prefect's server."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw
from support.cache_contract import check_cache
from support.dask_processes import DaskProcesses, end
from support.forked import Forked
from support.prefect_queries import flow_runs_of, free_port, serving_prefect, tasks_of, wait_for

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.listing.cache_listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.extraction.job import extract

N_IMAGES, SHARD_IMAGES = 60, 12  # five shards of three forward passes each
OPTIONS: dict[str, Any] = {"precision": "fp32", "decode": "full", "batch_size": 4, "workers": 1}
EXPERIMENT = """
images = "photos"
cache = "cache"
batch_size = 4
precision = "fp32"
decode = "full"
workers = 1
[scale]
dask = "{address}"
shard_images = {shard_images}
[[extract]]
backbone = "support.gated_model:build"
[fit]
head = ["dummy"]
dask = "threads"
"""


@pytest.fixture
def dask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaskProcesses]:
    """A scheduler; no worker makes more than four forward passes, so each seals one shard and waits amid its second."""
    monkeypatch.setenv("GATE", str(tmp_path))
    monkeypatch.setattr("headstart.flows.extraction.scaled.SHARD_IMAGES", SHARD_IMAGES)
    with DaskProcesses(tmp_path) as processes:
        processes.start_scheduler()
        processes.allow(4)
        yield processes


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for number in range(N_IMAGES):
        draw(folder / "abc"[number % 3] / f"{number:02d}.png", number % 3, seed=number, size=(12, 10))
    return folder


class Extracting(threading.Thread):
    """An extraction on a cluster, in a thread; what comes of it is `outcome`."""

    def __init__(self, photos: Path, address: str) -> None:
        super().__init__(daemon=True)
        self._arguments, self.outcome = (photos, address), None
        self.start()

    def run(self) -> None:
        photos, address = self._arguments
        cache = photos.parent / "cache"
        try:
            self.outcome = extract(photos, "support.gated_model:build", cache=cache, dask=address, **OPTIONS)
        except JobError as error:
            self.outcome = error

    def ended(self) -> Any:
        self.join(timeout=60)
        assert not self.is_alive()
        return self.outcome


def sealed(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("shard-*.h5")}


def check_every_row_once_and_as_here(photos: Path) -> None:
    """Every image has its row once, with the bits that an extraction in this process gives."""
    cache = EmbeddingCache(photos.parent / "cache")
    check_cache(cache)
    here = EmbeddingCache(extract(photos, "support.gated_model:build", cache=photos.parent / "here", **OPTIONS).cache)
    digests = read_listing(here).distinct["digest"].tolist()
    assert len(digests) == cache.stores()[0].n_rows() == N_IMAGES
    ours, theirs = (np.asarray(one.stores()[0].view("penultimate", digests)) for one in (cache, here))
    np.testing.assert_array_equal(ours, theirs)


def test_a_worker_killed_amid_a_shard_costs_nothing_and_one_that_comes_late_takes_its_part(
    dask: DaskProcesses, photos: Path
) -> None:
    first, second = dask.start_worker(), dask.start_worker()
    extracting = Extracting(photos, dask.address)
    dask.wait_until_gated(first, second)
    end(first)
    dask.wait_until_gated(dask.start_worker())  # it has sealed a shard, too, when it waits
    dask.allow(None)
    assert extracting.ended().embedded == N_IMAGES
    check_every_row_once_and_as_here(photos)


def test_two_workers_that_die_over_the_same_shard_end_in_a_clear_error_and_what_they_sealed_is_kept(
    dask: DaskProcesses, photos: Path
) -> None:
    first = dask.start_worker()
    extracting = Extracting(photos, dask.address)
    dask.wait_until_gated(first)
    end(first)
    second = dask.start_worker()
    dask.wait_until_gated(second)  # it has sealed the shard over which the first one died, and waits amid the next
    end(second)
    error = extracting.ended()
    assert isinstance(error, JobError)
    assert str(error).startswith("Dask workers ended without a word over the same work (2 of them, the last tcp://")
    assert str(error).endswith("What is sealed is kept; run the same again, and it goes on from there")
    assert len(sealed(photos.parent)) == 2


class Running:
    """``headstart run EXPERIMENT``, in a process of its own that ends with those of Dask."""

    def __init__(self, experiment: Path, environment: dict[str, str], dask: DaskProcesses) -> None:
        self._err, self._out = experiment.with_suffix(".err"), experiment.with_suffix(".out")
        for file in (self._err, self._out):
            file.unlink(missing_ok=True)
        command = ["-m", "headstart", "run", experiment, "--json"]
        env = environment | {"GATE": str(experiment.parent)}
        self._process = Forked(*command, env=env, out=self._out, err=self._err)
        dask.callback(end, self._process)

    def ended(self) -> tuple[int, str, str]:
        """Its exit status, and what it wrote on standard error and on standard output."""
        status = self._process.wait(timeout=120)
        return status, " ".join(self._err.read_text().split()), self._out.read_text()


def test_a_flow_whose_scheduler_is_restarted_goes_on_when_it_is_retried(
    dask: DaskProcesses, photos: Path, configured: dict[str, str]
) -> None:
    experiment = photos.parent / "restarted scheduler.toml"
    experiment.write_text(EXPERIMENT.format(address=dask.address, shard_images=SHARD_IMAGES))
    worker = dask.start_worker()
    flow = Running(experiment, configured, dask)
    dask.wait_until_gated(worker)
    dask.end_scheduler()
    status, log, _ = flow.ended()
    assert status == 1
    assert "Traceback" not in log
    assert f"the Dask scheduler at {dask.address} went away" in log
    kept = sealed(photos.parent)
    assert len(kept) == 1
    # The worker has lost its scheduler but computes on. Shards are cut otherwise now: what it would seal overlaps them.
    experiment.write_text(EXPERIMENT.format(address=dask.address, shard_images=10))
    dask.start_scheduler()
    another = dask.start_worker()
    flow = Running(experiment, configured, dask)
    dask.wait_until_gated(another)
    dask.allow(None)
    status, log, answer = flow.ended()
    assert status == 0, log
    assert json.loads(answer)["extraction"]["embedded"] == N_IMAGES - SHARD_IMAGES
    assert kept.items() <= sealed(photos.parent).items()
    check_every_row_once_and_as_here(photos)


def test_a_flow_outlives_a_restart_of_prefects_server(
    dask: DaskProcesses, photos: Path, environment: dict[str, str], settle_prefect: Callable[[Path], Path]
) -> None:
    experiment = photos.parent / "restarted server.toml"
    experiment.write_text(EXPERIMENT.format(address=dask.address, shard_images=SHARD_IMAGES))
    home, port = settle_prefect(photos.parent / "server"), free_port()
    worker = dask.start_worker()
    with serving_prefect(home, port) as server:
        flow = Running(experiment, environment | {"PREFECT_API_URL": server}, dask)
        dask.wait_until_gated(worker)
    dask.allow(7)  # a shard ends while there is no server
    wait_for(lambda: len(sealed(photos.parent)) == 2, "a second shard")
    with serving_prefect(home, port) as server:
        dask.allow(None)
        status, log, answer = flow.ended()
        assert status == 0, log
        assert json.loads(answer)["extraction"]["embedded"] == N_IMAGES
        (seen,) = flow_runs_of(server, "restarted server")
        assert seen["state_name"] == "Completed"
        shards = [f"embed support.gated_model:build, shard {number} of 5" for number in range(1, 6)]
        tasks = wait_for(lambda: (found := tasks_of(server, "restarted server")).keys() >= {*shards} and found, "tasks")
        assert {tasks[shard]["state_name"] for shard in shards} == {"Completed"}
    check_every_row_once_and_as_here(photos)
