"""`prefect.yaml` as it is: deployed with Prefect's own command, run by Prefect's own worker; for real, all together."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, age, draw
from distributed import Client
from support.cache_contract import check_cache
from support.dask_processes import DaskProcesses
from support.prefect_operations import ROOT, Operations
from support.prefect_queries import ask, wait_for

from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.listing.cache_listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.experiment.tables import Experiment
from headstart.flows.extraction.job import extract
from headstart.flows.history.runs import FOLDER, read_runs
from headstart.flows.orchestration.deployments import find_keys
from headstart.heads.report.text import score_text

COMPUTING = {"precision": "fp32", "decode": "full", "batch_size": 4, "workers": 1}


def experiment_in(folder: Path) -> dict[str, Any]:
    """An experiment as somebody would type it into Prefect's form."""
    return {
        "name": "typed",
        "images": str(folder / "photos"),
        "cache": str(folder / "typed.headstart"),
        "out": str(folder / "typed.results"),
        "precision": "fp32",
        "extract": [{"backbone": "pixels"}],
        "fit": [{"head": ["dummy"]}],
    }


def every_night(folder: Path, scheduler: str) -> dict[str, Any]:
    """An experiment that embeds on a cluster of Dask."""
    return {
        "name": "every night",
        "images": str(folder / "photos"),
        "cache": str(folder / "cache"),
        "out": str(folder / "results"),
        **COMPUTING,
        "extract": [{"backbone": "small_cnn", "weights": "none"}],
        "fit": [{"head": ["centroid", "dummy"], "folds": 3}],
        "scale": {"dask": scheduler, "shard_images": 8},
    }


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Operations]:
    """What `prefect deploy --all` made of prefect.yaml, with a worker that ran the extraction once."""
    folder = tmp_path_factory.mktemp("deployments")
    for label, name in enumerate(CLASSES):
        for number in range(12):
            draw(folder / "photos" / name / f"{number:02d}.png", label, seed=100 * label + number)
    age(folder)
    made = Operations(prefect_server, folder)
    made.start_run("extraction", experiment_in(folder))
    with made.worker():
        wait_for(lambda: [run for run in made.runs("extraction") if run["end_time"]], "the extraction", every=0.5)
        yield made


@pytest.fixture
def dask(operations: Operations) -> Iterator[DaskProcesses]:
    """A scheduler with two workers."""
    with DaskProcesses(operations.folder) as processes:
        processes.start_scheduler()
        for _ in range(2):
            processes.start_worker()
        yield processes


def test_every_deployment_is_registered_for_the_pool_one_run_at_a_time(operations: Operations) -> None:
    assert sorted(operations.deployments) == ["extraction", "nightly", "refitting"]
    for deployment in operations.deployments.values():
        assert deployment["global_concurrency_limit"]["limit"] == 1
        assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        assert "Experiment" in deployment["parameter_openapi_schema"]["definitions"]


def test_no_path_of_this_machine_is_in_a_deployment(operations: Operations) -> None:
    for deployment in operations.deployments.values():
        assert deployment["pull_steps"] in (None, [])
        assert deployment["entrypoint"].startswith("headstart.flows.")
        assert str(ROOT) not in json.dumps(deployment)
        assert str(operations.folder) not in json.dumps(deployment)


def test_a_worker_runs_the_extraction_of_an_experiment_that_was_typed_in(operations: Operations) -> None:
    (run,) = operations.runs("extraction")
    assert (run["name"], run["state_name"]) == ("extraction of typed", "Completed"), run["state"]["message"]
    check_cache(EmbeddingCache(operations.folder / "typed.headstart"))
    assert not (operations.folder / "typed.results").exists()


def test_what_a_worker_embedded_is_what_refitting_fits(operations: Operations) -> None:
    (key,) = find_keys(Experiment(**experiment_in(operations.folder)))
    (store,) = EmbeddingCache(operations.folder / "typed.headstart").stores()
    assert key == store.key.id


def test_refitting_says_what_was_not_extracted(operations: Operations) -> None:
    table = {"backbone": "small_cnn", "weights": "none"}
    experiment = experiment_in(operations.folder) | {"extract": [table]}
    with pytest.raises(JobError, match=r"no embeddings of small_cnn \(none\); run the extraction first"):
        find_keys(Experiment(**experiment))


def test_scheduled_nights_embed_every_image_once_and_score_what_they_fitted(
    operations: Operations, dask: DaskProcesses
) -> None:
    def nights(number: int) -> list[str] | None:
        """The page of each night, when so many have ended and all of their runs completed."""
        states = [run["state_name"] for run in operations.runs("nightly")]
        assert set(states) <= {"Completed", "Pending", "Running", "AwaitingConcurrencySlot"}
        if states.count("Completed") < number:
            return None
        found = ask(operations.server, "artifacts", {"artifacts": {"key": {"any_": ["every-night-night"]}}})
        return [one["data"] for one in sorted(found, key=lambda one: one["created"])]

    folder = operations.folder
    for _ in range(2):  # both are due at once, so one waits; it finds nothing new
        operations.schedule("nightly", every_night(folder, dask.address))
    wait_for(lambda: nights(2), "the first two nights", every=0.5)
    for label, name in enumerate(CLASSES):
        draw(folder / "photos" / name / "new.png", label, seed=900 + label)
    operations.schedule("nightly", every_night(folder, dask.address))
    first, second, page = wait_for(lambda: nights(3), "a night with new images", every=0.5)
    assert ["| new | 36 |" in first, "| new | 0 |" in second, "| new | 3 |" in page] == [True] * 3

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
    assert [run.winner.head for run in runs] == ["centroid", "centroid"]  # a night without news fits nothing
    for run in runs:
        assert score_text("accuracy", run.test.scores["accuracy"].value) in page
    with Client(dask.address) as client:
        loaded = client.run(lambda: "headstart.extractors.extraction.shard_work" in __import__("sys").modules)
    assert len(loaded) == 2
    assert any(loaded.values()), "no worker of the cluster embedded anything"


def test_refitting_takes_the_keys_of_the_weights_that_are_named_and_no_others(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load_backbone("small_cnn", weights="none").module.state_dict()
    torch.save(network, tmp_path / "own.pth")
    cache = tmp_path / "cache"
    made = {
        weights: extract(photos, "small_cnn", weights=weights, cache=cache, precision="fp32").keys[0].id
        for weights in ("none", str(tmp_path / "own.pth"))
    }
    assert len(set(made.values())) == 2
    # As on a machine where nobody asked for them.
    monkeypatch.setattr("headstart.flows.orchestration.deployments.recall", lambda *_: None)
    for weights, key in made.items():
        table = {"backbone": "small_cnn", "weights": weights}
        asked = experiment_in(tmp_path) | {"cache": str(cache), "extract": [table]}
        assert find_keys(Experiment(**asked)) == [key]
