"""The usable images of a listing in little memory: the same rows, in the same order, as the listing's table has."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.synthetic_cache import make_images, relist
from support.tar_shards import write_tar

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.cache.digests import as_hex
from headstart.extractors.errors import CacheError
from headstart.extractors.images.image_set import label_columns
from headstart.extractors.images.reading import image_sources
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import CacheListing, read_listing
from headstart.extractors.listing.update import update_listing
from headstart.extractors.listing.usable_images import read_usable

Make = Callable[[Path], Path]


def folder(place: Path) -> Path:
    """Class folders with a copy, and two files that cannot be used."""
    make_images(place, 20)
    shutil.copy(place / "a" / "000.png", place / "b" / "copy.png")
    (place / "a" / "005.png").touch()
    (place / "b" / "zzz.png").touch()
    return place


def flat(place: Path) -> Path:
    """No labels at all."""
    for number in range(5):
        place.mkdir(exist_ok=True)
        (place / f"{number}.png").write_bytes(f"image {number}".encode())
    return place


def tar(place: Path) -> Path:
    """Images in archives, from some byte on."""
    write_tar(place / "one.tar", {"a.jpg": b"image 1", "a.cls": b"3", "b.jpg": b"image 2", "b.cls": b"1"})
    write_tar(place / "two.tar", {"c.jpg": b"image 3", "c.cls": b"3"})
    return place


def manifest(place: Path) -> Path:
    """Splits, groups, and labels of several types; two images are not there, and lack a label."""
    make_images(place, 6)
    names = [*(f"{'ab'[number % 2]}/{number:03d}.png" for number in range(6)), "gone.png", "lost.png"]
    table = {
        "path": names,
        "split": ["train", "test", None, "val", "train", "train", "test", None],
        "group": [None, "g", "g", None, "h", "é", "h", None],
        "count": [3, 1, 2, 3, 1, 2, None, None],  # whole numbers where all are there
        "exact": [2**60 + number for number in range(8)],
        "share": [0.5, None, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
        "seen": [True, False, True, False, True, True, True, False],
        "name": ["owl", "cat", "owl", None, "NA", "é", "owl", "cat"],
    }
    pd.DataFrame(table).to_csv(place / "table.csv", index=False)
    return place / "table.csv"


@pytest.fixture(params=[folder, flat, tar, manifest], ids=lambda make: make.__name__)
def listed(request: pytest.FixtureRequest, cache: EmbeddingCache, tmp_path: Path) -> EmbeddingCache:
    """A cache with a listing of each kind, some of whose images cannot be used."""
    make: Make = request.param
    relist(cache, make(tmp_path / "images"))
    return cache


def test_images_and_labels_are_those_of_the_listing_in_its_order(listed: EmbeddingCache) -> None:
    listing, found = read_listing(listed), read_usable(listed)
    rows = listing.usable
    assert len(found.images) == len(rows) > 0
    assert found.root == listing.root
    assert as_hex(found.images.digest) == rows["digest"].tolist()
    assert found.images.sources(range(len(rows))) == image_sources(rows)
    assert found.paths.tolist() == rows["path"].tolist()
    pd.testing.assert_frame_equal(found.labels, rows[["split", "group", *label_columns(rows)]])


def test_the_images_that_are_kept_are_those_of_the_mask(listed: EmbeddingCache) -> None:
    images = read_usable(listed).images
    mask = np.arange(len(images)) % 3 == 0
    kept = images.keep(mask)
    assert as_hex(kept.digest) == as_hex(images.digest[mask])
    assert kept.sources(range(len(kept))) == images.sources(np.flatnonzero(mask))
    assert images.keep(np.ones(len(images), bool)) is images
    assert images.keep(~mask).paths([0]) == images.paths([1])


def test_of_no_rows_there_are_no_paths(cache: EmbeddingCache, tmp_path: Path) -> None:
    relist(cache, flat(tmp_path / "images"))
    images = read_usable(cache).images
    assert images.paths([]) == images.paths(np.array([], np.intp)) == []
    assert images.paths(np.array([3, 1, 3])) == ["3.png", "1.png", "3.png"]


def test_a_listing_without_a_usable_image_has_none(cache: EmbeddingCache, tmp_path: Path) -> None:
    relist(cache, folder(tmp_path / "images"))
    listing = read_listing(cache)
    listing.with_not_read(dict.fromkeys(listing.rows["path"], "gone")).write(cache)
    found = read_usable(cache)
    assert (len(found.images), len(found.labels), found.paths.tolist()) == (0, 0, [])


def test_a_listing_in_several_pieces_is_read_in_order(
    cache: EmbeddingCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relist(cache, folder(tmp_path / "images"))
    path = cache.path / "listing.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=4)
    monkeypatch.setattr("headstart.extractors.listing.usable_images.PIECE_ROWS", 3)
    rows, found = read_listing(cache).usable, read_usable(cache)
    assert as_hex(found.images.digest) == rows["digest"].tolist()
    assert found.images.sources([19, 0, 7]) == image_sources(rows.iloc[[19, 0, 7]])


def test_a_path_and_its_bytes_take_what_they_need(cache: EmbeddingCache, tmp_path: Path) -> None:
    update_listing(cache, list_images(flat(tmp_path / "images")), workers=1)
    listing = read_listing(cache)
    many = replace(listing, rows=pd.concat([listing.rows] * 2000, ignore_index=True))
    CacheListing(many.rows, many.root, many.kind).write(cache)
    images = read_usable(cache).images
    # 32 of a digest, 5 of a path and 4 or 8 to find it, 8 of a size; nothing where there is no archive.
    assert (images.digest.nbytes + images.files.nbytes) / len(images) < 55


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("digest", ["no digest"] * 5, "hexadecimal"),
        ("digest", ["ab" * 31] * 5, "no 64 hexadecimal digits"),
        ("digest", [None] * 5, "no digest"),
        ("bytes", None, "bytes"),
        ("status", None, "status"),
    ],
)
def test_a_listing_that_says_something_else_is_damaged(
    cache: EmbeddingCache, tmp_path: Path, column: str, values: list[str | None] | None, reason: str
) -> None:
    relist(cache, flat(tmp_path / "images"))
    path = cache.path / "listing.parquet"
    table = pq.read_table(path)
    at = table.column_names.index(column)
    broken = table.remove_column(at)
    pq.write_table(broken if values is None else broken.append_column(column, pa.array(values, pa.string())), path)
    with pytest.raises(CacheError, match=rf"listing.parquet: cannot be read \(.*{reason}.*\); delete this file"):
        read_usable(cache)


def test_a_cache_without_a_listing_says_how_to_make_one(cache: EmbeddingCache) -> None:
    with pytest.raises(CacheError, match="no images are listed in this cache yet; run 'headstart extract"):
        read_usable(cache)
