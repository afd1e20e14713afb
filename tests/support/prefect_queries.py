"""Asking a Prefect server what it knows, and waiting for it, without Prefect's client in the test's process."""

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from support.forked import Forked


@contextmanager
def serving_prefect(home: Path, port: int | None = None) -> Iterator[str]:
    """A real Prefect server on loopback with its own database in `home`; yields its API's address."""
    port = port or free_port()
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",  # 30 s before a queued run asks again
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",  # a minute before a new schedule is seen
    }
    command = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    process = Forked(*command, env=without_prefect() | own, out=home / "server.log")
    address = f"http://127.0.0.1:{port}/api"
    try:
        wait_until_healthy(f"{address}/health", process)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def without_prefect() -> dict[str, str]:
    """This process's environment without what it says of Prefect."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


def wait_until_healthy(address: str, process: Forked) -> None:
    def answers() -> bool:
        assert process.poll() is None, "the server ended before it was up"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return True
        except OSError:
            return False

    wait_for(answers, f"{address} to answer")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 240, every: float = 0.1) -> Any:
    """Ask again and again until the answer is true; returns it. A server is busy with each question, so ask it less.

    A question that a busy machine leaves without an answer is asked again, too.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(TimeoutError):
            if found := condition():
                return found
        time.sleep(every)
    raise AssertionError(f"waited {seconds:.0f} s for {what}")


def ask(server: str, what: str, query: dict[str, Any] | None = None) -> Any:
    """What the server answers to a filter: of ``flow_runs``, ``task_runs``, ``artifacts``, ``deployments``…"""
    return post(server, f"{what}/filter", query or {})


def post(server: str, path: str, body: dict[str, Any]) -> Any:
    """What the server answers to any other request with a body."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{server}/{path}", data=json.dumps(body).encode(), headers=headers)
    for _ in range(50):  # a server on SQLite says 503 while another writes; Prefect's own client asks again, too
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
        time.sleep(0.2)
    raise AssertionError(f"{server}/{path} stayed unavailable")


def flow_runs_of(server: str, name: str) -> list[dict[str, Any]]:
    """The flow runs that are called so."""
    found: list[dict[str, Any]] = ask(server, "flow_runs", {"flow_runs": {"name": {"any_": [name]}}})
    return found


def tasks_of(server: str, flow_name: str) -> dict[str, dict[str, Any]]:
    """The task runs of the one flow run that is called so, by name."""
    (flow,) = flow_runs_of(server, flow_name)
    return {found["name"]: found for found in ask(server, "task_runs", {"flow_runs": {"id": {"any_": [flow["id"]]}}})}
