"""A SIGKILL at any moment costs at most the shard in hand; what follows is bit for bit what would have been."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.cache_contract import check_cache
from support.shared_imports import start_server_of_forks

from headstart.extractors.cache.cache import EmbeddingCache


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that kills fifty times; `check_cache` is this test's own opinion on what it leaves."""
    path = Path(__file__).parent.parent.parent.parent / "benchmarks" / "kill_extract.py"
    spec = importlib.util.spec_from_file_location("kill_extract", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "kill_extract", module)  # where dataclasses look for their own module
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(path.parent)  # where the processes that it starts look for their own module
    spec.loader.exec_module(module)
    start_server_of_forks()  # a process has one server of forks, which all tests share
    return module


def test_five_kills_lose_nothing_that_was_sealed(script: ModuleType, tmp_path: Path) -> None:
    points = ["execution: renamed, folder not synced", "from outside", "decoding", "shard: half written"]
    points += ["index: half written"]  # in an order that one cache goes through
    assert set(points) - {"from outside"} < set(script.POINTS)
    trial = script.kill_and_resume(tmp_path, points)
    assert trial.kills == dict.fromkeys(points, 1)
    for cache in tmp_path.glob("cache-*"):
        check_cache(EmbeddingCache(cache))


@pytest.mark.parametrize("kills", [5, 50])
def test_half_of_the_kills_come_from_outside_and_the_others_reach_every_point(script: ModuleType, kills: int) -> None:
    planned = script.plan(kills, seed=0)
    assert len(planned) == kills
    assert planned.count("from outside") == kills - kills // 2
    assert kills < 2 * len(script.POINTS) or set(planned) == {"from outside", *script.POINTS}
