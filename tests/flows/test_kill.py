"""Whichever command is killed, and whatever works beside it: nothing sealed is lost, and the same command ends well."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.shared_imports import start_server_of_forks


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that kills each command ten times; here, on few images."""
    path = Path(__file__).parent.parent.parent / "benchmarks" / "kill.py"
    spec = importlib.util.spec_from_file_location("kill", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "kill", module)  # where dataclasses look for their own module
    monkeypatch.syspath_prepend(path.parent)  # where the processes that it starts look for theirs
    spec.loader.exec_module(module)
    start_server_of_forks()  # a process has one server of forks, which all tests share
    monkeypatch.setattr(module, "N_IMAGES", 30)
    return module


# A whole run takes half a minute, and is for the script: it is killed in `test_run_signals`, and its jobs are here.
@pytest.mark.parametrize("scenario", ["compact", "fit", "two extracts", "extract and compact"])
def test_a_kill_costs_nothing_that_was_sealed_and_leaves_nothing(
    script: ModuleType, tmp_path: Path, scenario: str
) -> None:
    assert set(script.SCENARIOS) >= {scenario}
    found = script.kill_and_go_on(script.SCENARIOS[scenario], tmp_path, 1)
    assert found["kills"] == 1
    assert found["ends"] >= 1


def test_harm_is_seen(script: ModuleType, tmp_path: Path) -> None:
    script.make_images(tmp_path / "photos")
    script.work((script.EXTRACT,), tmp_path)
    expected = script.state(tmp_path)
    script.check_end(tmp_path, expected)
    left = tmp_path / script.CACHE / "listing.parquet.x.part"
    left.touch()
    with pytest.raises(script.HarmError, match="left over"):
        script.check_end(tmp_path, expected)
    left.unlink()
    with pytest.raises(script.HarmError, match="rows are not those"):
        script.check_end(tmp_path, expected | {"rows": b""})
    shard = next((tmp_path / script.CACHE).rglob("shard-*.h5"))
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(script.HarmError, match="damaged"):
        script.sealed(tmp_path)
