"""What every flow does first: paths, and its turn."""

import threading
from pathlib import Path
from typing import Any

import pytest
from support.prefect_queries import wait_for

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.errors import JobError
from headstart.flows.experiment.tables import Experiment
from headstart.flows.nightly.flow import nightly
from headstart.flows.orchestration.pipeline import run_experiment
from headstart.flows.orchestration.preparation import BASE, experiment_at_work, settle_paths
from headstart.heads.errors import UnknownHeadError


def typed(**fields: Any) -> Experiment:
    """An experiment as it comes from Prefect's form."""
    given: dict[str, Any] = {"name": "typed", "images": "/data/images", "cache": "/data/cache", "out": "/data/out"}
    return Experiment(**(given | {"extract": [{"backbone": "pixels"}], "fit": [{}]} | fields))


def test_absolute_paths_and_urls_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(BASE, raising=False)
    experiment = typed(images="s3://bucket/images")
    assert settle_paths(experiment) == experiment


def test_relative_paths_start_from_the_folder_that_the_worker_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASE, "/srv")
    settled = settle_paths(typed(images="photos", cache="c", fit=[{"labels": "labels.csv"}]))
    assert (settled.images, settled.cache, settled.out) == ("/srv/photos", Path("/srv/c"), Path("/data/out"))
    assert settled.fit[0].labels == Path("/srv/labels.csv")


@pytest.mark.parametrize("base", [None, "", "somewhere"])
def test_relative_to_nothing_is_an_error_that_names_each_path(
    monkeypatch: pytest.MonkeyPatch, base: str | None
) -> None:
    monkeypatch.delenv(BASE, raising=False)
    if base is not None:
        monkeypatch.setenv(BASE, base)
    experiment = typed(images="photos", extract=[{"backbone": "resnet18", "weights": "own/w.pth"}])
    with pytest.raises(JobError, match=r"images 'photos', weights 'own/w.pth': relative to what\? .*HEADSTART_BASE"):
        settle_paths(experiment)


def test_a_folder_of_other_files_is_refused_before_anything_is_written_into_it(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with (
        pytest.raises(CacheError, match=r"holds other files \(letter.txt\)"),
        experiment_at_work(typed(cache=tmp_path)),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(("module", "flow"), [("orchestration.pipeline", run_experiment), ("nightly.flow", nightly)])
def test_what_is_misspelt_in_the_form_is_refused_before_anything_is_extracted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, flow: Any
) -> None:
    extracted: list[Any] = []
    monkeypatch.setattr(f"headstart.flows.{module}.extract_in_tasks", lambda *given, **_: extracted.append(given))
    places = {"images": str(tmp_path), "cache": tmp_path / "cache", "out": tmp_path / "results"}
    with pytest.raises(UnknownHeadError, match="no head for numbers is called 'rigde'; did you mean ridge"):
        flow.fn(typed(**places, fit=[{"head": ["rigde"], "task": "regress"}]))
    assert extracted == []


def test_a_run_waits_until_it_is_alone_with_its_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment, ran = typed(cache=EmbeddingCache(tmp_path / "cache", create=True).path), threading.Event()

    def run() -> None:
        with experiment_at_work(experiment, show=True):
            ran.set()

    waiting = threading.Thread(target=run)
    with writer_lock(experiment.cache):
        waiting.start()
        note = wait_for(lambda: capsys.readouterr().err, "the note")
        assert not ran.is_set()
    waiting.join(timeout=60)
    assert ran.is_set()
    assert "another run uses" in note
