"""Whoever runs shards holds the writer's lock around all of them: the plain job and the Prefect flow alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock, Timeout

import headstart.flows.extraction.job
import headstart.flows.orchestration.extraction_tasks
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.extraction.extraction import Extraction
from headstart.extractors.extraction.shard_result import ShardResult
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.update import update_listing
from headstart.extractors.spec.settings import Settings
from headstart.extractors.spec.tap import Tap
from headstart.flows.output.progress import say_waiting


class DirectTask:
    """Calls its function at once, as a Prefect task does in the end, without a server."""

    def __init__(self, function: Callable[..., ShardResult]) -> None:
        self._function = function

    def with_options(self, **_: Any) -> Callable[..., ShardResult]:
        return self._function


@pytest.fixture
def extraction(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Extraction:
    """Thirty-six images in four shards, nothing embedded yet; Prefect's tasks run without a server."""
    monkeypatch.setattr("headstart.extractors.extraction.extraction._SHARD_ROWS", 10)
    direct = DirectTask(headstart.flows.orchestration.extraction_tasks.embed_shard_task.fn)
    monkeypatch.setattr(headstart.flows.orchestration.extraction_tasks, "embed_shard_task", direct)
    cache = EmbeddingCache(tmp_path / "cache", create=True)
    listing = update_listing(cache, list_images(photos), workers=2)
    settings = Settings(precision="fp32", device="cpu", batch_size=4, workers=2)
    backbone = load_backbone("small_cnn", weights="none")
    return Extraction(cache, listing, backbone, [Tap()], settings, weights_source="none")


BOTH = pytest.mark.parametrize(
    "run",
    [headstart.flows.extraction.job.run_shards, headstart.flows.orchestration.extraction_tasks._embed],
    ids=["plain job", "Prefect flow"],
)


@BOTH
def test_the_lock_is_held_from_the_first_shard_to_the_last(
    run: Callable[..., None], extraction: Extraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []
    seal = type(extraction.store).seal

    def looking(*arguments: Any) -> Path:
        try:
            with FileLock(extraction.store.path / "writer.lock", timeout=0):
                held.append(False)
        except Timeout:
            held.append(True)
        return seal(*arguments)

    monkeypatch.setattr(type(extraction.store), "seal", looking)
    results: list[ShardResult] = []
    run(extraction, results, progress=False)
    assert held == [True] * 4
    assert [result.embedded for result in results] == [10, 10, 10, 6]
    with FileLock(extraction.store.path / "writer.lock", timeout=0):
        pass


@BOTH
def test_who_waits_is_told_so_once(
    run: Callable[..., None], extraction: Extraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = FileLock(extraction.store.path / "writer.lock")
    other.acquire()
    locks: list[Path] = []

    def say_and_let_go(lock: Path) -> None:
        locks.append(lock)
        other.release()

    monkeypatch.setattr(f"{run.__module__}.say_waiting", say_and_let_go)
    run(extraction, [], progress=True)
    assert locks == [extraction.store.path / "writer.lock"]
    assert extraction.store.n_rows() == 36


def test_what_is_said_names_the_lock_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say_waiting(Path("photos.headstart/embeddings/k/writer.lock"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert " ".join(captured.err.split()) == (
        "note: another process writes these embeddings; waiting for it to end "
        "(photos.headstart/embeddings/k/writer.lock)"
    )
