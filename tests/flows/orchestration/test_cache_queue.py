"""Runs of one cache come one after the other, and one that died keeps nobody waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from support.prefect_queries import ask, post

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.orchestration.cache_queue import free_dead_runs, limit_name, share_limit


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return EmbeddingCache(tmp_path / "a cache", create=True).path


@pytest.fixture
def deploy(prefect_server: str) -> Callable[[], UUID]:
    """Register a deployment with a limit of its own, as `serve` does first."""

    def register() -> UUID:
        flow = post(prefect_server, "flows/", {"name": f"flow {uuid4()}"})
        body = {"name": "one", "flow_id": flow["id"], "concurrency_limit": 1}
        return UUID(post(prefect_server, "deployments/", body)["id"])

    return register


def with_client(server: str, job: Callable[[PrefectClient], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with get_client() as client:
            return await job(client)

    with temporary_settings({PREFECT_API_URL: server}):
        return asyncio.run(run())


def read(server: str, deployment: UUID) -> dict[str, Any]:
    (found,) = ask(server, "deployments", {"deployments": {"id": {"any_": [str(deployment)]}}})
    return dict(found)


def start(server: str, deployment: UUID, parameters: dict[str, Any] | None = None) -> str:
    """Bring a run of the deployment to Running, as its process would; returns its id, and the state it got."""
    run = post(server, f"deployments/{deployment}/create_flow_run", {"parameters": parameters or {}})["id"]
    for state in ("PENDING", "RUNNING"):
        answer = post(server, f"flow_runs/{run}/set_state", {"state": {"type": state}})
    return f"{run} {answer['state']['name']}"


def test_a_limit_is_named_by_the_place_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert limit_name(Path("night.cache")) == limit_name(tmp_path / "x" / ".." / "night.cache")
    assert limit_name(tmp_path / "a" / "night.cache") != limit_name(tmp_path / "b" / "night.cache")


def test_two_deployments_share_the_limit_of_their_cache_and_leave_none_behind(
    deploy: Callable[[], UUID], prefect_server: str, cache: Path
) -> None:
    both = [deploy(), deploy()]
    for deployment in [*both, both[0]]:  # serving again changes nothing
        with_client(prefect_server, lambda client, one=deployment: share_limit(client, one, cache))
    shared = {read(prefect_server, one)["global_concurrency_limit"]["name"] for one in both}
    assert shared == {limit_name(cache)}
    limits = {one["name"] for one in ask(prefect_server, "v2/concurrency_limits")}
    assert not limits & {f"deployment:{one}" for one in both}


def test_a_run_whose_process_is_gone_is_crashed_and_its_slot_free(
    deploy: Callable[[], UUID], prefect_server: str, cache: Path
) -> None:
    deployment = deploy()
    with_client(prefect_server, lambda client: share_limit(client, deployment, cache))
    run, state = start(prefect_server, deployment).split()
    assert state == "Running"
    assert read(prefect_server, deployment)["global_concurrency_limit"]["active_slots"] == 1
    dead = with_client(prefect_server, lambda client: free_dead_runs(client, deployment, cache))
    (found,) = ask(prefect_server, "flow_runs", {"flow_runs": {"id": {"any_": [run]}}})
    assert (dead, found["state_name"]) == ([found["name"]], "Crashed")
    assert read(prefect_server, deployment)["global_concurrency_limit"]["active_slots"] == 0


def test_a_run_on_another_cache_is_not_taken_for_dead(
    deploy: Callable[[], UUID], prefect_server: str, cache: Path
) -> None:
    deployment = deploy()
    start(prefect_server, deployment, {"experiment": {"cache": "/elsewhere/night.cache"}})
    assert with_client(prefect_server, lambda client: free_dead_runs(client, deployment, cache)) == []


def test_a_run_is_alive_as_long_as_somebody_holds_the_lock_of_its_cache(
    deploy: Callable[[], UUID], prefect_server: str, cache: Path
) -> None:
    deployment = deploy()
    start(prefect_server, deployment)
    with writer_lock(cache):
        assert with_client(prefect_server, lambda client: free_dead_runs(client, deployment, cache)) == []
    (found,) = ask(prefect_server, "flow_runs", {"deployments": {"id": {"any_": [str(deployment)]}}})
    assert found["state_name"] == "Running"
