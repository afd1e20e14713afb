"""What disks, people and dead processes do to a cache, met for real."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw
from support.cache_contract import check_cache
from support.synthetic_cache import flip_bit

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError
from headstart.extractors.listing.cache_listing import read_listing
from headstart.flows.extraction.job import extract
from headstart.flows.fitting.job import fit
from headstart.flows.upkeep.compaction import compact
from headstart.flows.upkeep.exporting import export
from headstart.flows.upkeep.inspection import inspect
from headstart.flows.upkeep.verification import verify

Embed = Callable[..., Any]


@pytest.fixture
def read_only(embed: Embed, tmp_path: Path) -> Iterator[Path]:
    """A complete cache on a file system that is then mounted read-only, which only root may do."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs needs root")
    try:
        embed(cache=place / "cache")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        yield place / "cache"
    finally:
        subprocess.run(["umount", place], check=True)


def test_a_read_only_cache_serves_an_extraction_with_nothing_new(read_only: Path, embed: Embed) -> None:
    summary = embed(cache=read_only)
    assert (summary.images, summary.embedded, summary.reused) == (36, 0, 36)


def test_a_read_only_cache_says_so_when_something_is_new(read_only: Path, embed: Embed, photos: Path) -> None:
    draw(photos / "cat" / "new.png", 0, seed=800)
    with pytest.raises(CacheError, match="the file system is read-only; choose another folder"):
        embed(cache=read_only)


def test_a_read_only_cache_can_be_inspected_verified_exported_and_fitted(read_only: Path, tmp_path: Path) -> None:
    assert inspect(read_only).keys[0].missing == 0
    assert verify(read_only).sound
    assert verify(read_only, repair=True).sound
    assert not compact(read_only).changed
    assert export(read_only, tmp_path / "x.npy").images == 36
    assert fit(read_only, ["centroid"], out=tmp_path / "results").winner.head == "centroid"


def test_a_read_only_cache_that_is_damaged_says_why_it_cannot_be_repaired(read_only: Path) -> None:
    place = read_only.parent
    subprocess.run(["mount", "-o", "remount,rw", place], check=True)
    (shard,) = EmbeddingCache(read_only).stores()[0].shards()
    flip_bit(shard, shard.stat().st_size - 8)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    summary = verify(read_only, repair=True)
    assert not summary.sound
    assert "the file system is read-only" in summary.notes[0]


def test_a_fit_on_a_flipped_bit_is_refused(embed: Embed, tmp_path: Path) -> None:
    cache = embed().cache
    (shard,) = EmbeddingCache(cache).stores()[0].shards()
    flip_bit(shard, shard.stat().st_size - 8)
    with pytest.raises(ValueError, match="its bytes do not give the checksum that was kept when it was sealed"):
        fit(cache, ["centroid"], out=tmp_path / "results")
    assert verify(cache, repair=True).sound
    fit(cache, ["centroid"], out=tmp_path / "results")


def test_images_that_moved_elsewhere_are_listed_again_and_none_is_embedded(embed: Embed, photos: Path) -> None:
    cache = embed().cache
    moved = photos.rename(photos.with_name("moved"))
    summary = embed(images=moved)
    assert (summary.embedded, summary.reused) == (0, 36)
    assert read_listing(EmbeddingCache(cache)).root == moved
    check_cache(EmbeddingCache(cache))


def test_a_listing_of_more_images_than_there_are_still_fits_and_the_next_run_forgets_them(
    embed: Embed, photos: Path, tmp_path: Path
) -> None:
    cache = embed().cache
    shutil.rmtree(photos / "owl")
    assert fit(cache, ["centroid"], out=tmp_path / "before").test.n_images > 0
    assert verify(cache).sound
    summary = embed()
    assert (summary.images, summary.embedded, summary.reused) == (24, 0, 24)
    assert compact(cache).dropped == 12
    check_cache(EmbeddingCache(cache))


def test_a_listing_of_fewer_images_than_there_are_is_completed(embed: Embed, photos: Path) -> None:
    cache = embed().cache
    before = verify(cache)
    for number in range(5):
        draw(photos / "cat" / f"new{number}.png", 0, seed=700 + number)
    assert verify(cache).bytes == before.bytes
    assert embed().embedded == 5
    check_cache(EmbeddingCache(cache))


def test_what_a_dead_writer_left_is_no_obstacle_and_is_cleared_away(embed: Embed, photos: Path) -> None:
    cache = EmbeddingCache(embed().cache)
    folder = cache.stores()[0].path
    code = f"""
import os, signal
from pathlib import Path
from headstart.extractors.atomic import atomic_file
from headstart.extractors.writer_lock import writer_lock
folder = Path({str(folder)!r})
with writer_lock(folder), atomic_file(folder / "shard-0123456789abcdef.h5") as file:
    file.write(b"half a shard")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(folder.glob("*.part"))) == 1
    assert (folder / "writer.lock").exists()
    draw(photos / "cat" / "new.png", 0, seed=800)
    assert embed().embedded == 1
    check_cache(cache)


def test_a_compacted_cache_serves_everything_as_before(
    embed: Embed, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headstart.extractors.extraction.extraction._SHARD_ROWS", 7)
    cache = EmbeddingCache(embed().cache)
    digests = read_listing(cache).distinct["digest"].tolist()
    before = np.asarray(cache.stores()[0].view("penultimate", digests)).tobytes()
    summary = compact(cache.path)
    assert (summary.shards_before, summary.shards_after, summary.dropped) == (6, 1, 0)
    assert np.asarray(cache.stores()[0].view("penultimate", digests)).tobytes() == before
    assert extract(photos, "small_cnn", weights="none", cache=cache.path, precision="fp32").embedded == 0
    check_cache(cache)
    again = compact(cache.path)
    assert (again.changed, again.shards_before, again.shards_after) == (False, 1, 1)
