"""The listing in the cache: what is unchanged is not read again, what is changed never keeps its digest."""

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from conftest import age, draw

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError, ImageSetError
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import CacheListing, listed_root, read_listing
from headstart.extractors.listing.update import update_listing


def update(cache: EmbeddingCache, folder: Path) -> CacheListing:
    return update_listing(cache, list_images(folder), workers=2)


def test_each_image_has_the_digest_of_its_bytes(cache: EmbeddingCache, photos: Path) -> None:
    for row in update(cache, photos).rows.itertuples():
        assert row.digest == hashlib.sha256((photos / row.path).read_bytes()).hexdigest()


def test_unchanged_files_are_not_read_again(cache: EmbeddingCache, photos: Path, read_paths: list[str]) -> None:
    age(photos)
    first = update(cache, photos)
    assert len(read_paths) == 36
    read_paths.clear()
    again = update(cache, photos)
    assert read_paths == []
    assert again.rows["digest"].tolist() == first.rows["digest"].tolist()


def test_only_new_and_changed_files_are_read(cache: EmbeddingCache, photos: Path, read_paths: list[str]) -> None:
    age(photos)
    update(cache, photos)
    read_paths.clear()
    draw(photos / "cat" / "99.png", 0, seed=999)
    changed = draw(photos / "dog" / "03.png", 1, seed=998)
    listing = update(cache, photos)
    assert sorted(read_paths) == ["cat/99.png", "dog/03.png"]
    row = listing.rows.set_index("path").loc["dog/03.png"]
    assert row["digest"] == hashlib.sha256(changed.read_bytes()).hexdigest()


def test_a_file_that_changed_just_before_it_was_listed_is_read_again(
    cache: EmbeddingCache, photos: Path, read_paths: list[str]
) -> None:
    # Its clock may be too coarse to show a second change within the same tick.
    update(cache, photos)
    read_paths.clear()
    update(cache, photos)
    assert len(read_paths) == 36


def test_equal_names_sizes_and_times_in_another_folder_prove_nothing(
    cache: EmbeddingCache, photos: Path, tmp_path: Path, read_paths: list[str]
) -> None:
    age(photos)
    update(cache, photos)
    read_paths.clear()
    copy = shutil.copytree(photos, tmp_path / "copy")
    listing = update(cache, copy)
    assert len(read_paths) == 36
    assert listing.root == copy


def test_a_quarantined_image_stays_so_until_its_file_changes(cache: EmbeddingCache, photos: Path) -> None:
    age(photos)
    first = update(cache, photos)
    digest = first.rows["digest"][0]
    first.with_unreadable({digest: "damaged PNG"}).write(cache)
    assert update(cache, photos).quarantined["reason"].tolist() == ["damaged PNG"]
    draw(photos / first.rows["path"][0], 0, seed=5)
    assert update(cache, photos).quarantined.empty


def test_an_image_that_cannot_be_read_is_tried_again_next_time(cache: EmbeddingCache, photos: Path) -> None:
    path = photos / "cat" / "00.png"
    found = list_images(photos)
    hidden = path.rename(path.with_suffix(".hidden"))
    listing = update_listing(cache, found, workers=1)
    assert listing.quarantined[["path", "reason"]].to_numpy().tolist() == [["cat/00.png", "no such file"]]
    hidden.rename(path)
    assert update(cache, photos).quarantined.empty


def test_what_was_not_read_is_quarantined_by_its_path_and_read_again_next_time(
    cache: EmbeddingCache, photos: Path, read_paths: list[str]
) -> None:
    shutil.copy(photos / "cat" / "00.png", photos / "dog" / "copy.png")
    age(photos)
    first = update(cache, photos)
    first.with_not_read({"cat/00.png": "not enough memory"}).write(cache)
    found = read_listing(cache).quarantined
    assert found[["path", "reason", "digest"]].to_numpy().tolist() == [["cat/00.png", "not enough memory", None]]
    read_paths.clear()
    again = update(cache, photos)
    assert read_paths == ["cat/00.png"]
    assert again.rows.equals(first.rows)


def test_a_gigantic_file_is_quarantined_without_being_read(cache: EmbeddingCache, photos: Path) -> None:
    with (photos / "cat" / "00.png").open("r+b") as file:
        file.truncate(300 * 2**30)  # sparse: it takes no room on the disk
    found = update(cache, photos).quarantined
    reason = "322122547200 bytes is over the limit of 2147483648"
    assert found[["path", "reason", "digest"]].to_numpy().tolist() == [["cat/00.png", reason, None]]


def test_a_listing_that_is_not_to_be_written_leaves_the_cache_as_it_is(
    cache: EmbeddingCache, photos: Path, read_paths: list[str]
) -> None:
    age(photos)
    update(cache, photos)
    before = (cache.path / "listing.parquet").read_bytes()
    read_paths.clear()
    draw(photos / "cat" / "99.png", 0, seed=999)
    listing = update_listing(cache, list_images(photos), workers=2, write=False)
    assert read_paths == ["cat/99.png"]
    assert len(listing.usable) == 37
    assert (cache.path / "listing.parquet").read_bytes() == before


def test_copies_of_one_image_are_distinct_once(cache: EmbeddingCache, photos: Path) -> None:
    shutil.copy(photos / "cat" / "00.png", photos / "dog" / "copy.png")
    listing = update(cache, photos)
    assert len(listing.rows) == 37
    assert len(listing.distinct) == 36


def test_a_listing_survives_the_disk(cache: EmbeddingCache, photos: Path) -> None:
    (photos / "owl" / "empty.png").touch()
    written = update(cache, photos)
    found = read_listing(cache)
    assert found.rows.astype(object).equals(written.rows.astype(object))
    assert (found.root, found.kind, found.written_ns) == (written.root, written.kind, written.written_ns)


def test_a_label_column_of_mixed_types_is_refused_by_name(cache: EmbeddingCache, photos: Path) -> None:
    listing = update(cache, photos)
    rows = listing.rows.assign(age=[1, "two"] * 18)
    with pytest.raises(ImageSetError, match=r"a label column mixes types .*age.*; give it one type"):
        CacheListing(rows, listing.root, listing.kind).write(cache)


def test_a_missing_or_damaged_listing_says_what_to_do(cache: EmbeddingCache) -> None:
    with pytest.raises(CacheError, match="no images are listed in this cache yet; run 'headstart extract"):
        read_listing(cache)
    (cache.path / "listing.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(CacheError, match="delete this file and run 'headstart extract' again"):
        read_listing(cache)


def written(cache: EmbeddingCache) -> dict[str, tuple[int, int]]:
    """Return inode and time of the files in the cache's folder: writing one, even unchanged, gives another."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in cache.path.iterdir()}


def test_a_listing_with_nothing_new_is_not_written(cache: EmbeddingCache, photos: Path) -> None:
    age(photos)
    first, before = update(cache, photos), written(cache)
    again = update(cache, photos)
    assert written(cache) == before
    assert again.written_ns == first.written_ns


@pytest.mark.parametrize("column", [[1.5, None] * 18, [True, None] * 18, ["a", None] * 18, [None] * 36], ids=str)
def test_labels_of_every_type_count_as_the_same_after_they_were_stored(
    cache: EmbeddingCache, photos: Path, tmp_path: Path, column: list[object]
) -> None:
    age(photos)
    paths = [f"photos/{path.relative_to(photos)}" for path in photos.rglob("*.png")]
    pd.DataFrame({"path": paths, "label": column}).to_parquet(tmp_path / "set.parquet")
    update_listing(cache, list_images(tmp_path / "set.parquet"), workers=2)
    before = written(cache)
    update_listing(cache, list_images(tmp_path / "set.parquet"), workers=2)
    assert written(cache) == before


def test_other_labels_of_the_same_files_are_written(cache: EmbeddingCache, photos: Path) -> None:
    age(photos)
    update(cache, photos)
    found = list_images(photos)
    other = dataclasses.replace(found, rows=found.rows.assign(label=found.rows["label"].str.upper()))
    update_listing(cache, other, workers=2)
    assert set(read_listing(cache).rows["label"]) == {"CAT", "DOG", "OWL"}


def test_files_that_were_hashed_again_are_written_as_come_to_rest_where_that_may_be(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = update(cache, photos)  # every file has just been written
    before = written(cache)
    with monkeypatch.context() as read_only:
        read_only.setattr(os, "access", lambda *_: False)
        assert update(cache, photos).rows.astype(object).equals(first.rows.astype(object))
    assert written(cache) == before
    assert update(cache, photos).written_ns > first.written_ns
    assert written(cache) != before


def test_a_cache_whose_folder_has_a_name_that_is_not_utf8_keeps_its_listing(photos: Path, tmp_path: Path) -> None:
    age(photos)
    cache = EmbeddingCache(tmp_path / os.fsdecode(b"cache\xff"), create=True)
    moved = photos.rename(tmp_path / os.fsdecode(b"photos\xff"))
    first = update(cache, moved)
    assert listed_root(cache) == moved
    assert update(cache, moved).rows.equals(first.rows)
    assert read_listing(cache).root == moved


def test_the_root_is_told_without_the_rows(cache: EmbeddingCache, photos: Path) -> None:
    assert listed_root(cache) is None
    update(cache, photos)
    assert listed_root(cache) == photos
    (cache.path / "listing.parquet").write_bytes(b"PAR1 no more")
    assert listed_root(cache) is None


def test_a_flipped_bit_in_a_label_is_noticed(tree: Callable[..., Path], tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache", create=True)
    update_listing(cache, list_images(tree("zebra/1.png", "zebra/2.png", "yak/1.png")), workers=1)
    path = cache.path / "listing.parquet"
    content = bytearray(path.read_bytes())
    content[content.index(b"zebra")] ^= 1
    path.write_bytes(content)
    with pytest.raises(CacheError, match=r"listing\.parquet: cannot be read"):
        read_listing(cache)
