"""Files that changed while size and time stayed: the file itself and its time of change tell, else it is read."""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import age
from support.tar_shards import write_tar

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.images.image_set import STAMP_COLUMNS
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import CacheListing, read_listing
from headstart.extractors.listing.update import update_listing

Change = Callable[[Path, Path], None]
OLD_NS = 1_700_000_000_000_000_000


def update(cache: EmbeddingCache, source: Path, *, limit: int | None = None, rehash: bool = False) -> CacheListing:
    return update_listing(cache, list_images(source, limit=limit), workers=2, rehash=rehash)


def exchange(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


def exchange_folders(one: Path, other: Path) -> None:
    exchange(one.parent, other.parent)


def copy_over(one: Path, other: Path) -> None:
    shutil.copy2(other, one)


def write_over(one: Path, other: Path) -> None:
    kept = one.stat()
    one.write_bytes(other.read_bytes())
    os.utime(one, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def link_over(one: Path, other: Path) -> None:
    one.unlink()
    one.symlink_to(other)


CHANGES = [exchange, exchange_folders, copy_over, write_over, link_over]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two files of one size and time, and other content, in folders of their own."""
    files = tmp_path / "set" / "ant" / "1.bmp", tmp_path / "set" / "bee" / "1.bmp"
    for number, file in enumerate(files):
        file.parent.mkdir(parents=True)
        file.write_bytes(f"content {number}".encode())
        os.utime(file, ns=(OLD_NS, OLD_NS))
    return files


def assert_as_on_disk(listing: CacheListing) -> None:
    for row in listing.rows.itertuples():
        assert row.digest == hashlib.sha256((Path(str(listing.root)) / row.path).read_bytes()).hexdigest()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_keeps_size_and_time_is_seen(
    cache: EmbeddingCache, pair: tuple[Path, Path], change: Change
) -> None:
    root = pair[0].parents[1]
    before = update(cache, root)
    change(*pair)
    after = update(cache, root)
    assert_as_on_disk(after)
    assert after.rows["digest"].tolist() != before.rows["digest"].tolist()
    assert read_listing(cache).rows["digest"].tolist() == after.rows["digest"].tolist()


@pytest.mark.parametrize("change", CHANGES)
def test_a_manifest_and_a_limited_listing_see_it_too(
    cache: EmbeddingCache, pair: tuple[Path, Path], tmp_path: Path, change: Change
) -> None:
    manifest = tmp_path / "set.csv"
    manifest.write_text("path\nset/ant/1.bmp\nset/bee/1.bmp\n")
    update(cache, manifest)
    update(cache, manifest, limit=1)
    change(*pair)
    assert_as_on_disk(update(cache, manifest))


def test_members_of_archives_that_were_exchanged_are_read_again(cache: EmbeddingCache, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in range(2):
        write_tar(shards / f"{number}.tar", {"1.bmp": f"content {number}".encode()})
        with zipfile.ZipFile(tmp_path / f"{number}.zip", "w") as packed:
            packed.writestr("1.bmp", f"content {number}")
    for file in [*shards.iterdir(), *tmp_path.glob("*.zip")]:
        os.utime(file, ns=(OLD_NS, OLD_NS))
    for source, change in (
        (shards, (shards / "0.tar", shards / "1.tar")),
        (tmp_path / "0.zip", (tmp_path / "0.zip", tmp_path / "1.zip")),
    ):
        before = update(cache, source).rows["digest"].tolist()
        exchange(*change)
        after = update(cache, source).rows["digest"].tolist()
        assert after != before
        assert after[0] == hashlib.sha256(b"content 1").hexdigest()


def written_before(cache: EmbeddingCache) -> None:
    """Leave the listing as the version before wrote it: without what tells a file from another."""
    path = cache.path / "listing.parquet"
    pq.write_table(pq.read_table(path).drop_columns(list(STAMP_COLUMNS)), path)


def test_a_listing_of_before_is_trusted_for_files_that_did_not_change_since(
    cache: EmbeddingCache, photos: Path, read_paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    age(photos)
    later = max(file.stat().st_ctime_ns for file in photos.rglob("*.png")) + 3_000_000_000
    monkeypatch.setattr("headstart.extractors.listing.update.time.time_ns", lambda: later)
    first = update(cache, photos)
    written_before(cache)
    assert not set(STAMP_COLUMNS) & set(pd.read_parquet(cache.path / "listing.parquet"))
    read_paths.clear()
    again = update(cache, photos)
    assert read_paths == []
    assert again.rows["digest"].equals(first.rows["digest"])
    assert (read_listing(cache).rows["changed_ns"] > 0).all()


def test_a_listing_of_before_is_not_trusted_for_a_file_that_changed_since(
    cache: EmbeddingCache, pair: tuple[Path, Path], read_paths: list[str]
) -> None:
    root = pair[0].parents[1]
    update(cache, root)
    written_before(cache)
    exchange(*pair)
    read_paths.clear()
    assert_as_on_disk(update(cache, root))
    assert len(read_paths) == 2


def test_a_cache_of_before_that_may_not_be_written_is_read_without(
    cache: EmbeddingCache, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    update(cache, pair[0].parents[1])
    written_before(cache)
    before = (cache.path / "listing.parquet").read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    update(cache, pair[0].parents[1])
    assert (cache.path / "listing.parquet").read_bytes() == before


def test_a_clock_of_whole_seconds_leaves_doubt_for_two_of_them(
    cache: EmbeddingCache, pair: tuple[Path, Path], read_paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list_images(pair[0].parents[1])
    changed = found.rows["changed_ns"].max() // 10**9 * 10**9
    found.rows["changed_ns"] = changed
    for after_s, read in (
        (0.5, 2),
        (1.5, 2),
        (2.5, 2),
        (3.5, 0),
    ):  # what is listed late enough is trusted the next time
        monkeypatch.setattr(
            "headstart.extractors.listing.update.time.time_ns", lambda at=after_s: int(changed + at * 1e9)
        )
        read_paths.clear()
        update_listing(cache, found, workers=1)
        assert len(read_paths) == read


def test_nothing_else_is_read_again_and_rehash_reads_all(
    cache: EmbeddingCache, photos: Path, read_paths: list[str]
) -> None:
    age(photos)
    first = update(cache, photos)
    (photos / "cat" / "00.png").chmod(0o600)  # which changes something about it: in doubt
    read_paths.clear()
    update(cache, photos)
    assert read_paths == ["cat/00.png"]
    update(cache, photos)
    assert read_paths == ["cat/00.png"]
    assert update(cache, photos, rehash=True).rows["digest"].equals(first.rows["digest"])
    assert len(read_paths) == 1 + len(first.rows)
