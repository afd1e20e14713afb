"""Checking a cache: every kind of damage is found, is named, and comes with advice."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from support.synthetic_cache import fill, flip_bit, key_of, make_images

from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.cache.shards import find_damage
from headstart.extractors.errors import CacheError
from headstart.extractors.listing.cache_listing import read_listing
from headstart.extractors.upkeep.integrity import (
    check_keys,
    check_listing,
    check_marker,
    check_shards,
    delete_aside,
    find_unembedded,
    put_aside,
    put_shards_aside,
    put_shards_back,
    restore_marker,
)


@pytest.fixture
def cached(tmp_path: Path) -> tuple[EmbeddingCache, EmbeddingStore]:
    """Twelve images in shards of four."""
    make_images(tmp_path / "images", 12)
    return fill(tmp_path / "cache", tmp_path / "images", n_rows_a_shard=4)


Cached = tuple[EmbeddingCache, EmbeddingStore]


def test_a_sound_cache_has_no_damage(cached: Cached) -> None:
    cache, store = cached
    assert check_marker(cache.path) is None
    listing, damage = check_listing(cache)
    assert damage is None
    assert listing is not None
    assert len(listing.rows) == 12
    assert check_keys(cache) == ([store], [])
    assert check_shards(store) == []
    assert find_unembedded(store, listing, []) == []


def test_any_flipped_bit_of_a_shard_is_found_or_harmless_and_none_ends_the_process(cached: Cached) -> None:
    """HDF5's own structures are hit too: without checksums of their own, some flips there crash the library."""
    _, store = cached
    shard = store.shards()[0]
    sound = shard.read_bytes()
    with h5py.File(shard) as file:
        before = [file[name][...].tobytes() for name in ("digest", "features/penultimate")]
    random = np.random.default_rng(0)
    used = np.flatnonzero(np.frombuffer(sound, np.uint8))
    n_found = 0
    for at in random.choice(used, 400).tolist():
        content = bytearray(sound)
        content[at] ^= 1 << int(random.integers(8))
        shard.write_bytes(content)
        if find_damage(shard, store.key):
            n_found += 1
            continue
        with h5py.File(shard) as file:
            assert [file[name][...].tobytes() for name in ("digest", "features/penultimate")] == before, at
    assert n_found > 380


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"format_version": 99}'], ids=str)
def test_a_marker_that_the_keys_contradict_is_restored(cached: Cached, content: bytes | None) -> None:
    cache, _ = cached
    marker = cache.path / "cache.json"
    marker.unlink() if content is None else marker.write_bytes(content)
    damage = check_marker(cache.path)
    assert damage is not None
    assert damage.path == marker
    assert damage.repairable
    restore_marker(cache.path)
    assert check_marker(cache.path) is None


def test_a_cache_that_really_has_another_format_is_refused(cached: Cached) -> None:
    cache, store = cached
    (cache.path / "cache.json").write_text('{"format_version": 99}')
    content = json.loads((store.path / "key.json").read_text())
    content["key"]["format_version"] = 99
    (store.path / "key.json").write_text(json.dumps(content))
    with pytest.raises(CacheError, match="written in cache format 99"):
        check_marker(cache.path)


def test_no_cache_is_no_damaged_cache(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match="no cache here"):
        check_marker(tmp_path)


def test_a_damaged_listing_is_found_and_the_advice_keeps_the_embeddings(cached: Cached) -> None:
    cache, _ = cached
    (cache.path / "listing.parquet").write_bytes(b"PAR1 no more")
    listing, damage = check_listing(cache)
    assert listing is None
    assert damage is not None
    assert damage.path == cache.path / "listing.parquet"
    assert "delete it and run 'headstart extract IMAGES --cache" in damage.advice
    assert "embeddings are kept" in damage.advice


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "is missing"), ("{", "cannot be read"), ("other weights", "does not give the name of its folder")],
    ids=str,
)
def test_a_damaged_key_is_found_and_its_shards_say_what_it_was(
    cached: Cached, content: str | None, problem: str
) -> None:
    cache, store = cached
    file = store.path / "key.json"
    if content is None:
        file.unlink()
    else:
        file.write_text(file.read_text().replace("sha256:aa", "sha256:ab") if content == "other weights" else content)
    stores, (damage,) = check_keys(cache)
    assert stores == []
    assert damage.path == file
    assert damage.problem.startswith(problem)
    assert "--backbone torchvision/resnet18 --tap penultimate --precision fp32 --dtype float32" in damage.advice
    assert not damage.repairable


def test_a_key_folder_without_rows_or_key_is_no_damage(cached: Cached) -> None:
    cache, store = cached
    (cache.path / "embeddings" / "resnet50-0123456789abcdef").mkdir()
    assert check_keys(cache) == ([store], [])


@pytest.mark.parametrize("harm", ["flipped", "truncated", "emptied", "replaced"])
def test_a_damaged_shard_is_found_with_the_images_it_concerns(cached: Cached, harm: str) -> None:
    cache, store = cached
    shard = store.shards()[1]
    with h5py.File(shard) as file:
        digests = {row.tobytes().hex() for row in file["digest"][...]}
        offset = file["features/penultimate"].id.get_offset()
    if harm == "flipped":
        flip_bit(shard, offset)
    else:
        shard.write_bytes({"truncated": shard.read_bytes()[:9000], "emptied": b"", "replaced": b"text"}[harm])
    (damage,) = check_shards(store)
    assert damage.path == shard
    assert damage.repairable
    assert damage.advice == f"run 'headstart verify {cache.path} --repair'"
    listing = read_listing(cache)
    rows = listing.rows
    concerned = rows["path"][rows["digest"].isin(digests)].tolist()
    assert len(concerned) == 4
    assert find_unembedded(store, listing, [shard]) == concerned


def test_a_missing_shard_is_found_by_the_images_without_a_row(cached: Cached) -> None:
    cache, store = cached
    store.shards()[0].unlink()
    assert len(find_unembedded(store, read_listing(cache), [])) == 4


def test_a_shard_of_another_key_is_put_aside_under_a_name_that_is_never_deleted(cached: Cached) -> None:
    cache, store = cached
    other = cache.store(key_of({"penultimate": (4,)}, backbone="torchvision/resnet50"))
    other.create({})
    strayed = other.seal(np.zeros((1, 32), np.uint8), {"penultimate": np.ones((1, 4), np.float32)})
    shutil.move(strayed, store.path)
    (damage,) = check_shards(store)
    assert damage.problem.startswith("made under another key (backbone: ")
    assert f"it keeps the file as {strayed.name}.strayed" in damage.advice
    put_shards_aside(store, [damage.path])
    delete_aside(store)
    assert check_shards(store) == []
    assert (store.path / f"{strayed.name}.strayed").exists()


def test_a_shard_put_aside_counts_no_more_until_it_is_put_back(cached: Cached) -> None:
    cache, store = cached
    before = store.shards()
    aside = put_shards_aside(store, before[:1])
    assert store.shards() == before[1:]
    assert put_aside(store) == aside
    assert [damage.problem for damage in check_shards(store)] == ["a repair of this shard was cut short"]
    put_shards_back(aside)
    assert store.shards() == before
    assert find_unembedded(store, read_listing(cache), []) == []
