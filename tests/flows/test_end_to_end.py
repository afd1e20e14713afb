"""Everything together, for real: a Prefect server, a schedule, a worker of a work pool, and two Dask workers."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cache_contract import check_cache
from conftest import CLASSES, age, draw
from dask_processes import DaskProcesses
from distributed import Client
from prefect_queries import ask, post, wait_for, without_prefect

from extractors.cache import EmbeddingCache
from extractors.cache_listing import read_listing
from flows.extraction import extract
from flows.history import FOLDER, read_runs
from heads.report_text import score_text

ROOT = Path(__file__).parents[2]
NAME = "every night"
COMPUTING = {"precision": "fp32", "decode": "full", "batch_size": 4, "workers": 1}


class Operations:
    """What an operator has: a pool with a worker, a deployment with a schedule, and a cluster."""

    def __init__(self, server: str, folder: Path, dask: DaskProcesses) -> None:
        self.server, self.folder, self.dask = server, folder, dask
        own = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": server, "OMP_NUM_THREADS": "1"}
        own["PREFECT_WORKER_QUERY_SECONDS"] = "1"  # it looks for runs every ten seconds otherwise
        self._environment = without_prefect() | own
        self._deployment = ""

    def prefect(self, *words: str) -> None:
        """Run one of Prefect's own commands."""
        ran = subprocess.run(
            [sys.executable, "-m", "prefect", *words],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr

    def deploy(self) -> None:
        """Deploy prefect.yaml as it is, on a pool of its own; then give the nightly an experiment and a schedule."""
        text = (ROOT / "prefect.yaml").read_text().replace("name: headstart", "name: operations")
        (self.folder / "prefect.yaml").write_text(text)
        self.prefect("work-pool", "create", "operations", "--type", "process")
        self.prefect("--no-prompt", "deploy", "--all")
        (self._deployment,) = (
            one["id"]
            for one in ask(self.server, "deployments")
            if (one["name"], one["work_pool_name"]) == ("nightly", "operations")
        )
        schedule = {"schedule": {"interval": 10}, "parameters": {"experiment": self.experiment()}, "active": True}
        post(self.server, f"deployments/{self._deployment}/schedules", [schedule])

    def experiment(self) -> dict[str, Any]:
        return {
            "name": NAME,
            "images": str(self.folder / "photos"),
            "cache": str(self.folder / "cache"),
            "out": str(self.folder / "results"),
            **COMPUTING,
            "extract": [{"backbone": "small_cnn", "weights": "none"}],
            "fit": [{"head": ["centroid", "dummy"], "folds": 3}],
            "scale": {"dask": self.dask.address, "shard_images": 8},
        }

    def pages(self) -> list[str]:
        """The page of each night so far."""
        found = ask(self.server, "artifacts", {"artifacts": {"key": {"any_": ["every-night-night"]}}})
        return [one["data"] for one in sorted(found, key=lambda one: one["created"])]

    def states(self) -> list[str]:
        """How the nights ended so far, those that began."""
        runs = ask(self.server, "flow_runs", {"deployments": {"id": {"any_": [self._deployment]}}})
        return [run["state_name"] for run in runs if run["start_time"]]


@pytest.fixture
def operations(prefect_server: str, tmp_path: Path) -> Iterator[Operations]:
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(tmp_path / "photos" / name / f"{number:02d}.png", label, seed=100 * label + number)
    age(tmp_path)
    with DaskProcesses(tmp_path) as dask:
        dask.start_scheduler()
        for _ in range(2):
            dask.start_worker()
        made = Operations(prefect_server, tmp_path, dask)
        made.deploy()
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "operations"]
        with (tmp_path / "worker.log").open("wb") as log:
            worker = subprocess.Popen(command, env=made._environment, cwd=tmp_path, stdout=log, stderr=log)
        try:
            yield made
        finally:
            worker.send_signal(signal.SIGINT)
            worker.wait(timeout=60)


def test_scheduled_nights_embed_every_image_once_and_score_what_they_fitted(operations: Operations) -> None:
    folder = operations.folder
    wait_for(operations.pages, "the first night")
    for label, name in enumerate(CLASSES):
        draw(folder / "photos" / name / "new.png", label, seed=900 + label)
    wait_for(lambda: any("| new | 3 |" in page for page in operations.pages()), "a night with new images")

    cache = EmbeddingCache(folder / "cache")
    check_cache(cache)
    (store,) = cache.stores()
    listing = read_listing(cache)
    assert (len(listing.rows), store.n_rows()) == (39, 39)
    here = EmbeddingCache(
        extract(folder / "photos", "small_cnn", weights="none", cache=folder / "here", **COMPUTING).cache
    )
    digests = listing.distinct["digest"].tolist()
    ours, theirs = (np.asarray(one.stores()[0].view("penultimate", digests)) for one in (cache, here))
    np.testing.assert_array_equal(ours, theirs)

    runs, damaged = read_runs(cache.path / FOLDER)
    assert damaged == []
    assert [run.winner["head"] for run in runs] == ["centroid", "centroid"]  # a night without news fits nothing
    page = next(page for page in operations.pages() if "| new | 3 |" in page)
    for run in runs:
        assert score_text("accuracy", run.test["scores"]["accuracy"]["value"]) in page
    assert set(operations.states()) <= {"Completed", "Running", "AwaitingConcurrencySlot"}
    with Client(operations.dask.address) as client:
        loaded = client.run(lambda: "extractors.shard_work" in __import__("sys").modules)
    assert len(loaded) == 2
    assert any(loaded.values()), "no worker of the cluster embedded anything"
