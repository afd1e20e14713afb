"""What headstart doctor finds of servers, for real, and the command around it."""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from distributed import LocalCluster
from prefect.settings import PREFECT_API_URL, temporary_settings
from support.prefect_queries import free_port

from headstart.flows.cli.app import main
from headstart.flows.doctor.diagnosis import diagnose
from headstart.flows.doctor.finding import Finding
from headstart.flows.doctor.services import check_dask, check_prefect
from headstart.flows.experiment.reading import read_experiment

EXPERIMENT = """
images = "photos"
device = "cuda:99"
[[extract]]
backbone = "small_cnn"
weights = "none"
[fit]
dask = "{address}"
"""


def prefect_at(address: str | None) -> Finding:
    with temporary_settings({PREFECT_API_URL: address} if address else {}, restore_defaults=[PREFECT_API_URL]):
        return check_prefect()


def test_a_prefect_server_that_answers_is_told_with_its_version(prefect_server: str) -> None:
    assert prefect_at(prefect_server) == Finding(
        "Prefect", "ok", f"{prefect_server} runs {version('prefect')}, as here"
    )


def test_a_prefect_server_of_another_version_is_told(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.flows.doctor.services.version", lambda _: "3.0.0")
    found = prefect_at(prefect_server)
    assert (found.state, found.found) == ("warn", f"{prefect_server} runs {version('prefect')}; here is 3.0.0")


def test_a_prefect_server_that_does_not_answer_fails_and_its_password_is_not_shown() -> None:
    port = free_port()
    found = prefect_at(f"http://somebody:secret@127.0.0.1:{port}/api")
    assert found.state == "fail"
    assert found.found.startswith(f"http://127.0.0.1:{port}/api does not answer: ")
    assert "secret" not in str(found)


def test_without_a_prefect_server_a_run_starts_its_own() -> None:
    assert prefect_at(None).state == "ok"


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=":0"
    ) as cluster:
        yield cluster.scheduler_address


def test_a_dask_scheduler_is_told_with_its_workers(scheduler: str) -> None:
    assert check_dask(scheduler) == Finding("Dask", "ok", f"{scheduler} has 2 workers with 2 threads")


def test_a_dask_scheduler_of_another_version_is_told(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.flows.doctor.services.version", lambda _: "2020.1")
    found = check_dask(scheduler)
    assert found.state == "warn"
    assert found.found.endswith(f"; distributed {version('distributed')} there and 2020.1 here")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "nonsense://127.0.0.1:1"])
def test_a_dask_scheduler_that_does_not_answer_fails(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.flows.doctor.services.TIMEOUT_S", 0.5)
    found = check_dask(address.format(port=free_port()))
    assert (found.name, found.state) == ("Dask", "fail")


def test_the_command_shows_a_screen_and_ends_with_1_where_something_fails(
    tmp_path: Path, scheduler: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    path = tmp_path / "birds.toml"
    path.write_text(EXPERIMENT.format(address=scheduler))
    with pytest.raises(SystemExit) as end:
        main(["doctor", str(path)])
    assert end.value.code == 1
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert len(out.splitlines()) <= 24
    words = " ".join(out.split())
    assert "✓ ok libraries headstart" in words
    assert "✗ fail GPU device 'cuda:99': this machine has" in words
    assert '→ set device = "auto" in the experiment' in words
    assert f"✓ ok Dask {scheduler} has 2 workers" in words


def test_as_json_every_finding_has_its_state_and_advice(capsys: pytest.CaptureFixture[str], elsewhere: Path) -> None:
    with pytest.raises(SystemExit):
        main(["doctor", "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [finding["name"] for finding in found] == ["libraries", "CPU", "bf16", "GPU", "compiler", "Prefect", "disk"]
    assert {frozenset(finding) for finding in found} == {frozenset({"name", "state", "found", "advice"})}


def test_where_libraries_fail_what_needs_them_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> None:
    broken = Finding("torch", "fail", "cannot be loaded: no such file", "install it again")
    monkeypatch.setattr("headstart.flows.doctor.diagnosis.check_libraries", lambda: [broken])
    assert [finding.name for finding in diagnose()] == ["torch", "disk"]


def test_each_scheduler_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(address: str) -> Finding:
        asked.append(address)
        return Finding("Dask", "ok", address)

    monkeypatch.setattr("headstart.flows.doctor.diagnosis.check_dask", ask)
    path = tmp_path / "birds.toml"
    path.write_text(EXPERIMENT.format(address="tcp://a:1") + '[scale]\ndask = "tcp://a:1"\n')
    diagnose(read_experiment(path), dask="tcp://b:1")
    assert asked == ["tcp://b:1", "tcp://a:1"]
