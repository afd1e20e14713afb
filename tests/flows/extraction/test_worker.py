"""What calls of one worker process may read while others are under way in it."""

import json
import os
import threading

import pytest

from headstart.extractors.images.roots import ENVIRONMENT
from headstart.flows.extraction.worker import held_to


def test_calls_of_one_worker_under_equal_limits_run_together_and_all_are_held_to_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"roots": ["/data", "/other"], "code": [], "dask": []}))
    together, seen = threading.Barrier(2, timeout=20), []

    def call(limits: str) -> None:
        with held_to(limits):
            together.wait()
            seen.append(json.loads(os.environ[ENVIRONMENT])["roots"])

    asked = json.dumps({"roots": ["/data/birds", "/etc"]})
    threads = [threading.Thread(target=call, args=(asked,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [["/data/birds"], ["/data/birds"]]  # what the worker may, and what the run may
    assert json.loads(os.environ[ENVIRONMENT])["roots"] == ["/data", "/other"]


def test_a_call_under_other_limits_waits_for_those_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    order, inside = [], threading.Event()

    def unlimited() -> None:
        inside.wait(timeout=20)
        with held_to(None):
            order.append(("unlimited", ENVIRONMENT in os.environ))

    other = threading.Thread(target=unlimited)
    other.start()
    with held_to(json.dumps({"roots": ["/data"]})):
        inside.set()
        other.join(timeout=0.3)
        order.append(("limited", ENVIRONMENT in os.environ))
    other.join(timeout=20)
    assert order == [("limited", True), ("unlimited", False)]
