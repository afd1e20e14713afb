"""One writer a key: the second waits, and then computes only what is still missing."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import draw
from support.cache_contract import check_cache
from support.forked import Forked

import headstart.extractors.writer_lock
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError
from headstart.extractors.extraction.extraction import Extraction
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import read_listing
from headstart.extractors.listing.update import update_listing
from headstart.extractors.spec.settings import Settings
from headstart.extractors.spec.tap import Tap
from headstart.extractors.writer_lock import writer_lock

ROOT = Path(__file__).parent.parent.parent
SETTINGS = Settings(precision="fp32", device="cpu", batch_size=4, workers=2)
HOLD = """
import sys
from pathlib import Path
from headstart.extractors.writer_lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    input()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lock of `tmp_path`, until it reads a line."""
    command = [sys.executable, "-c", HOLD, tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def opened(cache: Path, folder: Path, settings: Settings = SETTINGS) -> Extraction:
    made = EmbeddingCache(cache, create=True)
    listing = update_listing(made, list_images(folder), workers=2)
    backbone = load_backbone("small_cnn", weights="none")
    return Extraction(made, listing, backbone, [Tap()], settings, weights_source="none")


def test_a_second_process_waits_and_says_so_once(holder: "subprocess.Popen[str]", tmp_path: Path) -> None:
    shown: list[Path] = []

    def let_go(lock: Path) -> None:
        shown.append(lock)
        assert holder.stdin is not None
        holder.stdin.write("go\n")
        holder.stdin.flush()

    with writer_lock(tmp_path, on_wait=let_go):
        assert holder.wait(timeout=30) == 0
    assert shown == [tmp_path / "writer.lock"]


def test_a_lock_that_is_free_is_taken_without_a_word(tmp_path: Path) -> None:
    shown: list[Path] = []
    for _ in range(2):
        with writer_lock(tmp_path / "embeddings" / "key", on_wait=shown.append):
            pass
    assert shown == []


def test_the_lock_of_a_killed_writer_is_no_obstacle(holder: "subprocess.Popen[str]", tmp_path: Path) -> None:
    shown: list[Path] = []
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=30)
    assert (tmp_path / "writer.lock").exists()
    with writer_lock(tmp_path, on_wait=shown.append):
        pass
    assert shown == []


def test_the_lock_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), writer_lock(tmp_path):
        raise KeyError
    with writer_lock(tmp_path, on_wait=lambda _: pytest.fail("it is still held")):
        pass


def test_a_file_system_without_locks_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Fallback(headstart.extractors.writer_lock.SoftFileLock):
        """What filelock becomes where the kernel has no lock."""

    monkeypatch.setattr(headstart.extractors.writer_lock, "FileLock", Fallback)
    with (
        pytest.raises(CacheError, match="its file system knows no file locks; put the cache on another one"),
        writer_lock(tmp_path),
    ):
        pytest.fail("it went on without a lock")
    assert list(tmp_path.iterdir()) == []


def test_a_cache_without_permission_says_so(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir(mode=0o500)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may write anywhere; nobody may not
    try:
        with pytest.raises(CacheError, match="permission denied; choose another folder"), writer_lock(tmp_path / "key"):
            pytest.fail("it went on without a lock")
    finally:
        if root:
            os.seteuid(0)


def test_what_another_process_sealed_while_this_one_waited_is_not_embedded_again(photos: Path, tmp_path: Path) -> None:
    mine, theirs = (opened(tmp_path / "cache", photos) for _ in range(2))
    waiting = threading.Event()
    embedded: list[int] = []

    def second() -> None:
        with mine.writing(on_wait=lambda _: waiting.set()):
            embedded.extend(result.embedded for result in mine.run())

    with theirs.writing():
        (thread := threading.Thread(target=second)).start()
        assert waiting.wait(timeout=30)
        assert [result.embedded for result in theirs.run()] == [36]
    thread.join(timeout=30)
    assert embedded == []
    assert len(mine.missing) == 0
    check_cache(EmbeddingCache(tmp_path / "cache"))


def test_the_batch_size_of_whoever_came_first_counts_for_those_who_waited(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.extractors.extraction.extraction._SHARD_ROWS", 10)
    mine = opened(tmp_path / "cache", photos, Settings(precision="fp32", device="cpu"))
    theirs = opened(tmp_path / "cache", photos, Settings(precision="fp32", device="cpu", batch_size=9))
    with theirs.writing():
        theirs.run_shard(0)
    with mine.writing():
        assert sum(result.embedded for result in mine.run()) == 26
    assert mine.execution is not None
    assert mine.execution.batch_size == 9
    check_cache(EmbeddingCache(tmp_path / "cache"))


def test_where_nothing_is_missing_no_lock_is_taken(photos: Path, tmp_path: Path) -> None:
    first = opened(tmp_path / "cache", photos)
    with first.writing():
        list(first.run())
    (first.store.path / "writer.lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in first.store.path.iterdir()}
    with opened(tmp_path / "cache", photos).writing():
        pass
    assert {path: path.stat().st_mtime_ns for path in first.store.path.iterdir()} == before


def test_rows_whose_key_file_is_gone_get_it_back(photos: Path, tmp_path: Path) -> None:
    first = opened(tmp_path / "cache", photos)
    list(first.run())
    content = (first.store.path / "key.json").read_bytes()
    (first.store.path / "key.json").unlink()
    assert EmbeddingCache(tmp_path / "cache").stores() == []
    assert len(opened(tmp_path / "cache", photos).missing) == 0
    assert (first.store.path / "key.json").read_bytes() == content
    check_cache(EmbeddingCache(tmp_path / "cache"))


def test_a_run_leaves_an_index_of_what_it_sealed(photos: Path, tmp_path: Path) -> None:
    from headstart.extractors.cache.index import ShardIndex

    extraction = opened(tmp_path / "cache", photos)
    with extraction.writing():
        list(extraction.run())
        assert len(ShardIndex(extraction.store.path, extraction.store.key).unindexed) == 1
    assert ShardIndex(extraction.store.path, extraction.store.key).unindexed == []


def test_an_index_that_killed_runs_left_far_behind_is_rebuilt_before_anything_else(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.extractors.cache.index import ShardIndex

    monkeypatch.setattr("headstart.extractors.extraction.extraction._SHARD_ROWS", 2)
    monkeypatch.setattr("headstart.extractors.extraction.missing_rows._MANY_UNINDEXED", 18)
    list(opened(tmp_path / "cache", photos).run())
    again = opened(tmp_path / "cache", photos)
    assert len(ShardIndex(again.store.path, again.store.key).unindexed) == 18
    with again.writing():
        assert ShardIndex(again.store.path, again.store.key).unindexed == []


def test_a_damaged_index_is_rebuilt_before_rows_are_counted_as_missing(photos: Path, tmp_path: Path) -> None:
    first = opened(tmp_path / "cache", photos)
    with first.writing():
        list(first.run())
    index = first.store.path / "index.bin"
    index.write_bytes(index.read_bytes().replace(bytes.fromhex(first.listing.distinct["digest"].iloc[0]), bytes(32)))
    again = opened(tmp_path / "cache", photos)
    assert len(again.missing) == 1
    with again.writing():
        assert again.shards == []
    assert len(opened(tmp_path / "cache", photos).missing) == 0


EXTRACT = """
import sys, time
from pathlib import Path
import headstart.extractors.extraction.embedding
import headstart.extractors.extraction.extraction
headstart.extractors.extraction.extraction._SHARD_ROWS = 10
embed = headstart.extractors.extraction.embedding.embed
def slow(*arguments, **options):
    for batch in embed(*arguments, **options):
        time.sleep(0.03)
        yield batch
headstart.extractors.extraction.embedding.embed = slow
from headstart.flows.cli.app import main
images, cache, mine, others = map(Path, sys.argv[1:])
mine.touch()
while not others.exists():
    time.sleep(0.01)
main(["extract", str(images), "--backbone", "small_cnn", "--weights", "none", "--cache", str(cache),
      "--precision", "fp32", "--batch-size", "4", "--json"])
"""


def test_two_extractions_at_the_same_time_end_with_every_row_once(tmp_path: Path) -> None:
    for number in range(120):
        draw(tmp_path / "photos" / "abc"[number % 3] / f"{number}.png", number % 3, seed=number)
    command = ["-c", EXTRACT, tmp_path / "photos", tmp_path / "cache"]
    ready = tmp_path / "first is ready", tmp_path / "second is ready"
    files = [(tmp_path / f"{name} out", tmp_path / f"{name} err") for name in ("first", "second")]
    both = [
        Forked(*command, *those, env=os.environ, out=out, err=err)
        for those, (out, err) in zip((ready, reversed(ready)), files, strict=True)
    ]
    ended = [process.wait(timeout=120) for process in both]
    noted = [(out.read_text(), err.read_text()) for out, err in files]
    assert ended == [0, 0], noted
    summaries = [json.loads(out) for out, _ in noted]
    assert sum(summary["embedded"] for summary in summaries) == 120
    assert [summary["embedded"] + summary["reused"] for summary in summaries] == [120, 120]
    assert sum(err.count("another process writes these embeddings; waiting") for _, err in noted) <= 1
    cache = EmbeddingCache(tmp_path / "cache")
    check_cache(cache)
    (store,) = cache.stores()
    assert np.asarray(store.view("penultimate", read_listing(cache).distinct["digest"].tolist())).shape == (120, 256)
