"""Digests that a limited listing leaves out: kept for the next full one, and never for another file."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from conftest import age, draw

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import CacheListing, read_listing
from headstart.extractors.listing.update import update_listing


@pytest.fixture
def cache(tmp_path: Path, photos: Path) -> EmbeddingCache:
    """A cache that has listed all photographs, which are at rest."""
    age(photos)
    cache = EmbeddingCache(tmp_path / "cache", create=True)
    update(cache, photos)
    return cache


def update(cache: EmbeddingCache, folder: Path, limit: int | None = None) -> CacheListing:
    return update_listing(cache, list_images(folder, limit=limit), workers=2)


def test_a_limit_forgets_no_digest(cache: EmbeddingCache, photos: Path, read_paths: list[str]) -> None:
    first = read_listing(cache)
    for limit in (6, 20, 3):
        assert len(update(cache, photos, limit=limit).rows) == limit
    again = update(cache, photos)
    assert read_paths == []
    assert again.rows.astype(object).equals(first.rows.astype(object))
    assert not (cache.path / "digests.parquet").exists()


def test_a_limited_rerun_writes_nothing(cache: EmbeddingCache, photos: Path) -> None:
    update(cache, photos, limit=6)
    before = {path.name: path.stat() for path in cache.path.iterdir()}
    update(cache, photos, limit=6)
    assert "digests.parquet" in before
    for name, stat in before.items():
        assert (cache.path / name).stat() == stat


def test_what_a_limit_left_out_stays_quarantined_until_it_changes(
    cache: EmbeddingCache, photos: Path, read_paths: list[str]
) -> None:
    first = read_listing(cache)
    last = first.rows.iloc[-1]
    first.with_unreadable({last["digest"]: "damaged PNG"}).write(cache)
    update(cache, photos, limit=3)
    assert update(cache, photos).quarantined["reason"].tolist() == ["damaged PNG"]
    update(cache, photos, limit=3)
    draw(photos / last["path"], 2, seed=77)
    read_paths.clear()
    assert update(cache, photos).quarantined.empty
    assert read_paths == [last["path"]]


def test_what_a_limit_left_out_of_another_folder_proves_nothing(
    cache: EmbeddingCache, photos: Path, tmp_path: Path, read_paths: list[str]
) -> None:
    copy = shutil.copytree(photos, tmp_path / "copy")
    update(cache, photos, limit=3)
    read_paths.clear()
    update(cache, copy)
    assert len(read_paths) == 36


def test_damaged_memory_of_left_out_digests_only_costs_hashing(
    cache: EmbeddingCache, photos: Path, read_paths: list[str]
) -> None:
    update(cache, photos, limit=6)
    (cache.path / "digests.parquet").write_bytes(b"PAR1 no more")
    read_paths.clear()
    assert len(update(cache, photos).usable) == 36
    assert len(read_paths) == 30


def test_a_kill_between_memory_and_listing_loses_no_digest(
    cache: EmbeddingCache, photos: Path, read_paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(CacheListing, "write", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            update(cache, photos, limit=6)
    read_paths.clear()
    update(cache, photos, limit=6)
    update(cache, photos)
    assert read_paths == []


def test_digests_are_kept_in_a_folder_whose_name_is_not_utf8(
    cache: EmbeddingCache, photos: Path, tmp_path: Path, read_paths: list[str]
) -> None:
    moved = EmbeddingCache(cache.path.rename(tmp_path / os.fsdecode(b"cache\xff")))
    update(moved, photos, limit=6)
    update(moved, photos)
    assert read_paths == []
