"""`prefect.yaml` as it is: deployed with Prefect's own command, run by Prefect's own worker."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cache_contract import check_cache
from conftest import CLASSES, age, draw
from prefect_queries import ask, post, without_prefect

from extractors.backbones import load_backbone
from extractors.cache import EmbeddingCache
from flows.deployments import find_keys
from flows.errors import JobError
from flows.experiment import Experiment
from flows.extraction import extract

ROOT = Path(__file__).parents[2]


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deployments")
    for label, name in enumerate(CLASSES):
        for number in range(2):
            draw(folder / "photos" / name / f"{number}.png", label, seed=10 * label + number)
    age(folder)
    return folder


@pytest.fixture(scope="module")
def deployed(folder: Path, prefect_server: str) -> dict[str, dict[str, Any]]:
    """What `prefect deploy --all` made of a copy of prefect.yaml, after a worker ran the extraction once."""

    def prefect(*words: str) -> None:
        own = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": prefect_server, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "prefect", *words]
        ran = subprocess.run(
            command, env=without_prefect() | own, cwd=folder, capture_output=True, text=True, check=False, timeout=120
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr

    shutil.copy(ROOT / "prefect.yaml", folder)
    prefect("work-pool", "create", "headstart", "--type", "process")
    prefect("--no-prompt", "deploy", "--all")
    found = {one["name"]: one for one in ask(prefect_server, "deployments") if one["work_pool_name"] == "headstart"}
    run = {"parameters": {"experiment": experiment_in(folder)}}
    post(prefect_server, f"deployments/{found['extraction']['id']}/create_flow_run", run)
    prefect("worker", "start", "--pool", "headstart", "--run-once")
    return found


def test_every_deployment_is_registered_for_the_pool_one_run_at_a_time(deployed: dict[str, Any]) -> None:
    assert sorted(deployed) == ["extraction", "nightly", "refitting"]
    for deployment in deployed.values():
        assert deployment["global_concurrency_limit"]["limit"] == 1
        assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        assert "Experiment" in deployment["parameter_openapi_schema"]["definitions"]


def test_no_path_of_this_machine_is_in_a_deployment(deployed: dict[str, Any], folder: Path) -> None:
    for deployment in deployed.values():
        assert deployment["pull_steps"] in (None, [])
        assert deployment["entrypoint"].startswith("flows.")
        assert str(ROOT) not in json.dumps(deployment)
        assert str(folder) not in json.dumps(deployment)


def test_a_worker_runs_the_extraction_of_an_experiment_that_was_typed_in(
    deployed: dict[str, Any], prefect_server: str, folder: Path
) -> None:
    which = {"deployments": {"id": {"any_": [deployed["extraction"]["id"]]}}}
    (run,) = ask(prefect_server, "flow_runs", which)
    assert (run["name"], run["state_name"]) == ("extraction of typed", "Completed"), run["state"]["message"]
    check_cache(EmbeddingCache(folder / "typed.headstart"))
    assert not (folder / "typed.results").exists()


def test_what_a_worker_embedded_is_what_refitting_fits(deployed: dict[str, Any], folder: Path) -> None:
    (key,) = find_keys(Experiment(**experiment_in(folder)))
    (store,) = EmbeddingCache(folder / "typed.headstart").stores()
    assert key == store.key.id


def test_refitting_says_what_was_not_extracted(deployed: dict[str, Any], folder: Path) -> None:
    experiment = experiment_in(folder) | {"extract": [{"backbone": "small_cnn", "weights": "none"}]}
    with pytest.raises(JobError, match=r"no embeddings of small_cnn \(none\); run the extraction first"):
        find_keys(Experiment(**experiment))


def test_refitting_takes_the_keys_of_the_weights_that_are_named_and_no_others(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load_backbone("small_cnn", weights="none").module.state_dict()
    torch.save(network, tmp_path / "own.pth")
    cache = tmp_path / "cache"
    made = {
        weights: extract(photos, "small_cnn", weights=weights, cache=cache, precision="fp32").keys[0]["id"]
        for weights in ("none", str(tmp_path / "own.pth"))
    }
    assert len(set(made.values())) == 2
    # As on a machine where nobody asked for them.
    monkeypatch.setattr("flows.deployments.recall", lambda *_: None)
    for weights, key in made.items():
        table = {"backbone": "small_cnn", "weights": weights}
        asked = experiment_in(tmp_path) | {"cache": str(cache), "extract": [table]}
        assert find_keys(Experiment(**asked)) == [key]
