"""A runner whose server is gone ends, with the run in hand; one whose server answers waits for it."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from prefect.events.clients import NullEventsClient
from prefect.settings import PREFECT_API_URL, temporary_settings
from support.forked import FORKING
from support.prefect_queries import free_port
from support.stubborn_run import work

from headstart.flows.errors import JobError
from headstart.flows.serving import runner as serving
from headstart.flows.serving import server

PATIENCE_S = 60  # it took minutes


def unconnected(**_: object) -> None:
    raise ConnectionError


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A run in hand, in a process of its own."""
    monkeypatch.setattr(serving, "_PATIENCE_S", 0.3)
    monkeypatch.setattr(serving, "_GRACE_S", 0.3)
    monkeypatch.setattr(serving, "_LOOK_EVERY_S", 0.05)
    # Without a server, connecting these takes seconds at the start, which is not what is tested.
    monkeypatch.setattr("prefect.runner.runner.get_events_client", lambda **_: NullEventsClient())
    monkeypatch.setattr("prefect._internal.observers.get_events_subscriber", unconnected)
    process = FORKING.Process(target=work, args=(tmp_path / "ready", tmp_path / "until"))
    process.start()
    # Other tests have processes, too, such as a Prefect server.
    monkeypatch.setattr(serving.multiprocessing, "active_children", lambda: [process])
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    yield process
    process.kill()
    process.join()


async def ended_as_by_ctrl_c(run: Any) -> None:
    """Enter a runner with a run in hand, as Prefect waits for one, and leave it as a cancelled task does."""

    async def serve() -> None:
        async with serving.TidyRunner(name="nightly", pause_on_shutdown=False) as runner:
            runner._runs_task_group.start_soon(anyio.to_thread.run_sync, run.join)
            entered.set()
            await asyncio.Event().wait()

    entered = asyncio.Event()
    serving_now = asyncio.create_task(serve())
    async with asyncio.timeout(PATIENCE_S):
        await entered.wait()
        serving_now.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving_now
    assert serving_now.cancelled()


def test_a_run_whose_server_is_gone_is_ended(run: Any) -> None:
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        asyncio.run(ended_as_by_ctrl_c(run))
    assert not run.is_alive()


def test_a_server_that_says_nothing_any_more_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_PATIENCE_S", 0.3)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: address}):
            assert asyncio.run(serving._is_gone())


def test_a_run_whose_server_answers_is_waited_for(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False, False])

    async def is_gone() -> bool:
        if (answer := next(answers, None)) is None:
            (tmp_path / "until").touch()  # the run ends by itself
            return False
        return answer

    monkeypatch.setattr(serving, "_is_gone", is_gone)
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        asyncio.run(ended_as_by_ctrl_c(run))
    run.join()
    assert run.exitcode == 0


def test_a_server_that_goes_while_a_run_is_waited_for_ends_it(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False, False])

    async def is_gone() -> bool:
        return next(answers, True)

    monkeypatch.setattr(serving, "_is_gone", is_gone)
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        asyncio.run(ended_as_by_ctrl_c(run))
    assert not run.is_alive()


@pytest.mark.parametrize("how", ["one loop", "a loop in a loop"])
def test_a_server_that_goes_away_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "e.toml").write_text('images = "p"\n[[extract]]\nbackbone = "pixels"\n[fit]\nhead = ["dummy"]\n')
    failures: Any = ExceptionGroup("unhandled errors", [RuntimeError("Service exceeded error threshold.")])
    if how == "a loop in a loop":
        failures = ExceptionGroup("unhandled errors", [failures])

    async def fail(*_: object) -> None:
        raise failures

    monkeypatch.setattr(server, "_serve", fail)
    address = f"http://127.0.0.1:{free_port()}/api"
    with (
        temporary_settings({PREFECT_API_URL: address}),
        pytest.raises(JobError, match=rf"{address}: no Prefect server answers .*; start it, or set PREFECT_API_URL"),
    ):
        server.serve(tmp_path / "e.toml")
