"""Nothing is told to anybody: Prefect's analytics are off where flows run, and a job connects to no other machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.flows.fitting.job import fit

OFF = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
SHOW = f"""
import os, headstart.flows
from prefect.settings import get_current_settings
print([os.environ[name] for name in {list(OFF)}], get_current_settings().server.analytics_enabled)
"""


def test_analytics_are_off_in_every_process_that_imports_the_flows(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in OFF}
    environment["PREFECT_HOME"] = str(tmp_path)

    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout.strip() == "['false', '1'] False"


def test_extracting_and_fitting_asks_no_other_machine(
    embed: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: Any) -> None:
        # Dask learns this machine's own address by a UDP socket, over which nothing is sent.
        if self.type == socket.SOCK_STREAM and not str(address[0]).startswith("127."):
            asked.append(address)
        connect(self, address)

    def look_up_here(host: Any, *arguments: Any, **options: Any) -> Any:
        if host not in (None, "", "localhost", "127.0.0.1", socket.gethostname()):
            asked.append(host)
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)

    summary = embed()
    fit(summary.cache, ["logreg", "knn"], folds=2, out=tmp_path / "results")

    assert asked == []
