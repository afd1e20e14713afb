"""A served experiment on a real Prefect server: how it is registered, and what its runs do and leave."""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import CLASSES, age, draw
from prefect.client.orchestration import get_client
from prefect.runner import Runner
from prefect.settings import PREFECT_API_URL, temporary_settings
from support.forked import Forked
from support.prefect_queries import ask, post, serving_prefect, wait_for, without_prefect
from support.process_trees import listeners, open_to_others

from headstart.flows.experiment.reading import read_experiment
from headstart.flows.serving.schedules import read_when
from headstart.flows.serving.server import register

EXPERIMENT = """
images = "photos"
batch_size = 8
precision = "fp32"
[[extract]]
backbone = "pixels"
[fit]
head = ["logreg", "dummy"]
[security]
roots = ["."]
"""
# The command line, whose runs need not import what it has imported.
PROGRAM = """
from support.forked import fork_runs_of_flows
fork_runs_of_flows()
from headstart.flows.cli.app import main
main()
"""


@contextmanager
def serving(folder: Path, server: str, *options: str) -> Iterator[Forked]:
    """`headstart serve` in a process of its own, from when it is ready."""
    own = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_API_URL": server, "PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    command = ["-c", PROGRAM, "serve", folder / "served.toml", *options]
    noted = folder / "serve.log"
    process = Forked(*command, env=without_prefect() | own | {"OMP_NUM_THREADS": "1"}, out=noted)

    def ready() -> bool:
        assert process.poll() is None, noted.read_text()
        return noted.exists() and b"serving" in noted.read_bytes()

    try:
        wait_for(ready, "headstart serve to be ready")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM, noted.read_text()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment file beside its photographs."""
    folder = tmp_path_factory.mktemp("serving")
    for label, name in enumerate(CLASSES):
        for number in range(8):
            draw(folder / "photos" / name / f"{number:02d}.png", label, seed=100 * label + number)
    age(folder)
    (folder / "served.toml").write_text(EXPERIMENT)
    return folder


@pytest.fixture(scope="module")
def nightly(folder: Path, prefect_server: str) -> dict[str, Any]:
    """The experiment's deployment with a cron schedule, registered in this process."""
    when = read_when("0 2 * * *", None, watch=False, timezone="Europe/Berlin")

    async def run() -> None:
        async with get_client() as client:
            await register(Runner(name="nightly"), read_experiment(folder / "served.toml"), when, client)

    with temporary_settings({PREFECT_API_URL: prefect_server}):
        asyncio.run(run())
    return deployment_called("nightly", prefect_server)


@pytest.fixture(scope="module")
def runs(folder: Path, prefect_server: str) -> list[dict[str, Any]]:
    """What a deployment that watches came to: runs that were to overlap, and one that is to read another folder.

    The first two in the order of their starts, as both asked to start at once; and the third.
    """
    with serving(folder, prefect_server, "--watch", "--look-every", "0.5"):
        deployment = deployment_called("served", prefect_server)

        def started() -> list[dict[str, Any]]:
            return list(ask(prefect_server, "flow_runs", {"deployments": {"id": {"any_": [deployment["id"]]}}}))

        wait_for(started, "the run that the first still look starts")
        thief = deployment["parameters"]["experiment"] | {"name": "thief", "images": "/etc", "security": {}}
        for parameters in ({}, {"experiment": thief}):
            post(prefect_server, f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
        wait_for(lambda: all(run["end_time"] for run in started()), "three runs to end")
        found = started()
    unborn = [run["state"] for run in found if not run["start_time"]]
    assert not unborn, f"{unborn}\n{(folder / 'serve.log').read_text()}"
    return sorted(found, key=lambda run: (run["name"].startswith("thief"), run["start_time"]))


def deployment_called(name: str, server: str) -> dict[str, Any]:
    (found,) = ask(server, "deployments", {"deployments": {"name": {"any_": [name]}}})
    return dict(found)


def test_the_schedule_is_registered_in_its_time_zone(nightly: dict[str, Any]) -> None:
    (schedule,) = nightly["schedules"]
    assert schedule["schedule"]["cron"] == "0 2 * * *"
    assert schedule["schedule"]["timezone"] == "Europe/Berlin"
    assert (schedule["active"], nightly["paused"]) == (True, False)


def test_the_experiment_is_a_typed_parameter_with_its_values_as_defaults(nightly: dict[str, Any], folder: Path) -> None:
    schema = nightly["parameter_openapi_schema"]
    assert nightly["enforce_parameter_schema"]
    assert schema["properties"]["experiment"]["$ref"] == "#/definitions/Experiment"
    fields = schema["definitions"]["Experiment"]["properties"]
    assert fields["precision"]["enum"] == ["auto", "fp32", "bf16"]
    assert fields["extract"]["items"]["$ref"] == "#/definitions/ExtractTable"
    experiment = nightly["parameters"]["experiment"]
    assert experiment["images"] == str(folder / "photos")
    assert experiment["fit"][0]["head"] == ["logreg", "dummy"]


def test_deployments_on_one_cache_share_one_slot_and_further_runs_wait_for_it(
    nightly: dict[str, Any], runs: list[dict[str, Any]], prefect_server: str
) -> None:
    both = [nightly, deployment_called("served", prefect_server)]
    (name,) = {one["global_concurrency_limit"]["name"] for one in both}
    assert name.startswith("cache:served.headstart:")
    for deployment in both:
        assert deployment["global_concurrency_limit"]["limit"] == 1
        assert deployment["concurrency_options"]["collision_strategy"] == "ENQUEUE"


def test_two_runs_of_one_cache_never_run_at_once_and_the_later_embeds_nothing_again(
    runs: list[dict[str, Any]], prefect_server: str
) -> None:
    first, second, _ = runs
    assert [first["state_name"], second["state_name"]] == ["Completed", "Completed"], first["state"]["message"]
    assert first["end_time"] <= second["start_time"]
    ids = [first["id"], second["id"]]
    tasks = ask(prefect_server, "task_runs", {"flow_runs": {"id": {"any_": ids}}})
    assert [task["name"] for task in tasks if task["name"].startswith("embed ")] == ["embed pixels, shard 1 of 1"]


def test_a_run_that_the_watch_starts_is_told_from_one_that_a_person_edited(
    runs: list[dict[str, Any]], folder: Path
) -> None:
    first, second, thief = (run["parameters"]["experiment"] for run in runs)
    assert first == second == read_experiment(folder / "served.toml").model_dump(mode="json") != thief


def test_parameters_from_the_ui_do_not_lead_out_of_the_roots_that_are_served(runs: list[dict[str, Any]]) -> None:
    *_, thief = runs
    assert thief["state_name"] == "Failed"
    assert "images: /etc lies outside the allowed roots" in thief["state"]["message"]


def test_a_run_leaves_progress_table_picture_and_link(runs: list[dict[str, Any]], prefect_server: str) -> None:
    left = ask(prefect_server, "artifacts", {"flow_runs": {"id": {"any_": [runs[0]["id"]]}}})
    artifacts = {one["key"]: one for one in left if one["key"]}
    assert artifacts["embedding-pixels"]["type"] == "progress"
    assert float(artifacts["embedding-pixels"]["data"]) == 100
    assert json.loads(artifacts["served-leaderboard"]["data"])[-1]["head"] == "dummy"
    assert artifacts["served-chart"]["type"] == "image"
    assert "report.html" in artifacts["served-report"]["data"]


def test_assets_lead_from_the_images_over_the_embeddings_to_the_model(
    runs: list[dict[str, Any]], prefect_server: str, folder: Path
) -> None:
    made = {"filter": {"event": {"name": ["prefect.asset.materialization.succeeded"]}}, "limit": 50}

    def lineage() -> dict[str, list[str]]:
        found = {
            event["resource"]["prefect.resource.id"]: [
                related["prefect.resource.id"]
                for related in event["related"]
                if related["prefect.resource.role"] == "asset"
            ]
            for event in post(prefect_server, "events/filter", made)["events"]
        }
        return found if f"{folder.as_uri()}/served.results/model" in found else {}

    found = wait_for(lineage, "the asset's event")
    (embeddings,) = found[f"{folder.as_uri()}/served.results/model"]
    assert embeddings.startswith(f"{folder.as_uri()}/served.headstart/embeddings/pixels-")
    assert found[embeddings] == [f"{folder.as_uri()}/photos"]


def test_a_shard_logs_its_rows_and_how_fast_it_was(runs: list[dict[str, Any]], prefect_server: str) -> None:
    logs = ask(prefect_server, "logs", {"logs": {"flow_run_id": {"any_": [runs[0]["id"]]}}})
    (line,) = [log["message"] for log in logs if "shard 1 of 1: " in log["message"]]
    assert line.startswith("pixels, shard 1 of 1: 24 rows in ")
    assert line.endswith(" images/s")


def test_prefect_stores_no_result_and_of_a_failed_run_its_error_as_text(
    runs: list[dict[str, Any]], folder: Path
) -> None:
    (kept,) = (folder / "prefect" / "storage").iterdir()
    assert json.loads(kept.read_text())["__exc_type__"] == "headstart.flows.errors.JobError"


def test_a_deployment_is_paused_when_its_process_ends(runs: list[dict[str, Any]], prefect_server: str) -> None:
    assert deployment_called("served", prefect_server)["paused"]


def test_serving_listens_on_loopback_alone_and_ends_soon_when_its_server_is_gone(
    tmp_path: Path, settle_prefect: Callable[[Path], Path]
) -> None:
    (tmp_path / "served.toml").write_text(EXPERIMENT)
    with ExitStack() as life:
        server = life.enter_context(serving_prefect(settle_prefect(tmp_path / "server")))
        with serving(tmp_path, server, "--interval", "1d") as process:
            assert process.pid is not None
            wait_for(partial(listeners, process.pid), "the port on which runs are asked to stop")
            assert open_to_others(process.pid) == []
            life.close()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 128 + signal.SIGTERM  # it tried for minutes
