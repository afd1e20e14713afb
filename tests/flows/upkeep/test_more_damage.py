"""What `verify` finds besides flipped bits of features, and that `--repair` heals it or says what it cannot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from support.cache_contract import check_cache
from support.stored import cache_of, content, features

from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.errors import CacheError
from headstart.extractors.listing.cache_listing import read_listing
from headstart.flows.upkeep.verification import verify

Embed = Callable[..., Any]


def healed(store: EmbeddingStore, before: bytes) -> None:
    """It is not sound, is repaired, and then is what it was."""
    cache = cache_of(store).path
    assert not verify(cache).sound
    repaired = verify(cache, repair=True)
    assert repaired.sound, (repaired.damage, repaired.notes)
    assert verify(cache).sound
    assert features(store) == before
    check_cache(cache_of(store))


@pytest.mark.parametrize("column", ["shard", "row"])
def test_a_sign_bit_in_the_index_is_found_and_healed_and_no_reader_falls_over_it(
    store: EmbeddingStore, column: str
) -> None:
    before = features(store)
    index = store.path / "index.bin"
    data = bytearray(index.read_bytes())
    n_rows, page = 36, 4096
    end = len(data) - 32
    assert end % page == n_rows * 4, "the last column is that of rows"
    at = end - n_rows * 4 if column == "row" else end - n_rows * 4 - page
    data[at + 3] |= 0x80
    index.write_bytes(data)
    assert features(store) == before
    (found,) = verify(cache_of(store).path).damage
    assert (found.path, found.problem) == (str(index), "its bytes do not give the checksum at its end")
    healed(store, before)


@pytest.mark.parametrize("bytes_left", [0, 10, 60])
def test_an_index_that_was_cut_is_found_and_healed(store: EmbeddingStore, bytes_left: int) -> None:
    before = features(store)
    index = store.path / "index.bin"
    index.write_bytes(index.read_bytes()[:bytes_left])
    healed(store, before)


def test_a_key_whose_only_shards_are_gone_is_not_sound_and_comes_back(store: EmbeddingStore) -> None:
    before = features(store)
    for shard in store.shards():
        shard.unlink()
    found = verify(cache_of(store).path)
    assert [entry.problem for entry in found.damage] == ["has not one shard beside it"]
    assert [entry.images for entry in found.incomplete] == [36]
    healed(store, before)


def rewritten(shard: Path, change: Callable[[np.ndarray], np.ndarray], name: str = "features/penultimate") -> None:
    """Exchange a dataset of a shard for another whose checksum is right."""
    import hashlib

    with h5py.File(shard, "r+") as file:
        values = np.ascontiguousarray(change(file[name][...]))
        del file[name]
        file.create_dataset(name, data=values).attrs["sha256"] = hashlib.sha256(values.tobytes()).hexdigest()


def removed(shard: Path) -> None:
    with h5py.File(shard, "r+") as file:
        del file["features/penultimate"]


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "fewer rows": (lambda shard: rewritten(shard, lambda x: x[:-2]), "10 rows, for 12 digests"),
    "wrong width": (lambda shard: rewritten(shard, lambda x: x[:, :-1]), "255 numbers an image, its key says 256"),
    "one number": (lambda shard: rewritten(shard, lambda x: x[:, :1]), "1 numbers an image, its key says 256"),
    "wrong dtype": (lambda shard: rewritten(shard, lambda x: x.astype(np.float64)), "stored as float64"),
    "short digests": (lambda shard: rewritten(shard, lambda x: x[:, :16], "digest"), "expected 32 bytes an image"),
    "no tap": (removed, "holds the taps , its key has penultimate"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_shard_that_does_not_fit_its_key_is_found_and_healed(store: EmbeddingStore, what: str) -> None:
    before = features(store)
    change, problem = CHANGES[what]
    change(store.shards()[1])
    (found,) = verify(cache_of(store).path).damage
    assert problem in found.problem
    healed(store, before)


@pytest.mark.parametrize("how", ["external storage", "link", "chunks", "virtual"])
def test_what_is_stored_elsewhere_is_never_read_and_is_healed(store: EmbeddingStore, tmp_path: Path, how: str) -> None:
    before = features(store)
    shard, name = store.shards()[1], "features/penultimate"
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(12 * 256 * 4))
    with h5py.File(shard, "r+") as file:
        values, checksum = file[name][...], file[name].attrs["sha256"]
        del file[name]
        if how == "external storage":
            file.create_dataset(name, values.shape, values.dtype, external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        elif how == "chunks":
            file.create_dataset(name, data=values, chunks=True, compression="gzip")
        elif how == "virtual":
            layout = h5py.VirtualLayout(values.shape, values.dtype)
            layout[:] = h5py.VirtualSource(str(secret), "x", values.shape)
            file.create_virtual_dataset(name, layout)
        else:
            with h5py.File(secret, "w") as other:
                other.create_dataset("x", data=values).attrs["sha256"] = checksum
            file[name] = h5py.ExternalLink(str(secret), "x")
        if how != "link":
            file[name].attrs["sha256"] = checksum
    (found,) = verify(cache_of(store).path).damage
    assert "stored" in found.problem
    with pytest.raises(CacheError, match="stored"):
        features(store)
    healed(store, before)


def test_a_shape_that_the_file_is_too_short_for_gets_no_memory(store: EmbeddingStore) -> None:
    """Space is only claimed: a terabyte of rows that were never written."""
    shard, name = store.shards()[1], "features/penultimate"
    with h5py.File(shard, "r+") as file:
        del file[name]
        late = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        late.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
        file.create_dataset(name, (12, 2**36), "f4", dcpl=late).attrs["sha256"] = "0" * 64
    (found,) = verify(cache_of(store).path).damage
    assert "features/penultimate: " in found.problem
    with pytest.raises(CacheError, match="features/penultimate: "):
        features(store)


def test_a_high_bit_in_the_marker_is_said_and_healed(store: EmbeddingStore) -> None:
    before, cache = features(store), cache_of(store).path
    marker = cache / "cache.json"
    marker.write_bytes(b"{\xf2" + marker.read_bytes()[2:])
    with pytest.raises(CacheError, match=r"cache\.json: damaged"):
        EmbeddingCache(cache)
    assert not verify(cache).sound
    assert verify(cache, repair=True).sound
    assert features(store) == before


@pytest.mark.parametrize("harm", ["cut", "high bit", "weights_source", "gone", "nested"])
def test_a_damaged_key_is_made_again_from_its_shards_and_the_request(store: EmbeddingStore, harm: str) -> None:
    before, file = features(store), store.path / "key.json"
    sound = file.read_bytes()
    harmed = {
        "cut": sound[:100],
        "high bit": sound[:50] + bytes([sound[50] | 0x80]) + sound[51:],
        "weights_source": sound.replace(b'"weights_source": "none"', b'"weights_source": "nond"'),
        "nested": b"[" * 100_000,
    }
    file.unlink() if harm == "gone" else file.write_bytes(harmed[harm])
    healed(store, before)
    found, wanted = json.loads(file.read_bytes()), json.loads(sound)
    assert found["key"] == wanted["key"]
    assert {name: found["about"][name] for name in ("weights_name", "weights_source", "shape", "versions")} == {
        name: wanted["about"][name] for name in ("weights_name", "weights_source", "shape", "versions")
    }


def test_a_bit_in_the_schema_of_the_listing_is_found_and_the_images_are_listed_again(store: EmbeddingStore) -> None:
    before, file = features(store), cache_of(store).path / "listing.parquet"
    sound, labels = file.read_bytes(), read_listing(cache_of(store)).rows["label"].tolist()
    file.write_bytes(sound.replace(b"label", b"larel"))
    (found,) = verify(cache_of(store).path).damage
    assert found.path == str(file)
    healed(store, before)
    assert read_listing(cache_of(store)).rows["label"].tolist() == labels
    assert not list(file.parent.glob("*.damaged"))


def test_a_listing_that_says_nothing_of_its_folder_is_left_with_what_to_do(store: EmbeddingStore) -> None:
    file = cache_of(store).path / "listing.parquet"
    file.write_bytes(file.read_bytes()[:500])
    before = content(store)
    (found,) = verify(cache_of(store).path, repair=True).damage
    assert not found.repaired
    assert "delete it and run 'headstart extract IMAGES --cache" in found.advice
    assert {path: data for path, data in content(store).items() if not path.endswith(".lock")} == {
        path: data for path, data in before.items() if not path.endswith(".lock")
    }


def test_a_folder_where_a_shard_should_be_is_moved_aside_and_leaves_no_litter(store: EmbeddingStore) -> None:
    before, shard = features(store), store.shards()[1]
    shard.unlink()
    (shard / "in it").mkdir(parents=True)
    (found,) = verify(cache_of(store).path).damage
    assert "is no file" in found.problem
    healed(store, before)
    assert (shard.with_name(f"{shard.name}.strayed") / "in it").is_dir()
    assert not list(store.path.glob("*.damaged"))


def test_a_view_checks_the_bytes_of_a_shard_at_first_use_and_again_when_it_changed(store: EmbeddingStore) -> None:
    features(store)
    shard = store.shards()[0]
    data = bytearray(shard.read_bytes())
    data[-8] ^= 1
    shard.write_bytes(data)
    with pytest.raises(CacheError, match=r"its bytes do not give the checksum .*; it was damaged .* --repair'"):
        features(store)


def test_shards_of_different_widths_are_never_put_together(store: EmbeddingStore) -> None:
    rewritten(store.shards()[1], lambda x: x[:, :1])
    with pytest.raises(CacheError, match="has features of 1 float32, and of 256 float32 in"):
        features(store)
