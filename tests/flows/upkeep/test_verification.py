"""Repair: what was damaged comes back byte for byte, or nothing is touched and it is said why."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import draw
from support.cache_contract import check_cache
from support.synthetic_cache import flip_bit

import headstart.extractors.extraction.extraction
from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.listing.cache_listing import read_listing
from headstart.flows.upkeep.verification import verify

Embed = Callable[..., Any]


@pytest.fixture
def store(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> EmbeddingStore:
    """Thirty-six photos in three shards and two taps."""
    monkeypatch.setattr(headstart.extractors.extraction.extraction, "_SHARD_ROWS", 12)
    summary = embed(tap=["penultimate", "features.2:avg"], batch_size=5)
    (store,) = EmbeddingCache(summary.cache).stores()
    return store


def cache_of(store: EmbeddingStore) -> EmbeddingCache:
    return EmbeddingCache(store.path.parent.parent)


def features(store: EmbeddingStore) -> dict[str, bytes]:
    digests = sorted(read_listing(cache_of(store)).distinct["digest"])
    return {tap: np.asarray(store.view(tap, digests)).tobytes() for tap in store.key.taps}


def damage(shard: Path, how: str) -> None:
    if how == "flipped":
        flip_bit(shard, shard.stat().st_size - 8)
    elif how == "truncated":
        shard.write_bytes(shard.read_bytes()[:5000])
    else:
        shard.unlink()


def content(store: EmbeddingStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.path.glob("*.h5*")}


def test_a_sound_cache_is_sound_and_verifying_writes_nothing(store: EmbeddingStore) -> None:
    before = {path: path.stat().st_mtime_ns for path in cache_of(store).path.rglob("*")}
    summary = verify(cache_of(store).path, repair=True)
    assert (summary.sound, summary.keys, summary.shards) == (True, 1, 3)
    assert (summary.damage, summary.incomplete, summary.notes) == ([], [], [])
    assert {path: path.stat().st_mtime_ns for path in cache_of(store).path.rglob("*")} == before


@pytest.mark.parametrize("how", ["flipped", "truncated", "gone"])
def test_damage_is_found_repaired_byte_for_byte_and_nothing_else_is_embedded(store: EmbeddingStore, how: str) -> None:
    before, files = features(store), content(store)
    damage(store.shards()[1], how)
    found = verify(cache_of(store).path)
    assert not found.sound
    assert [entry.repaired for entry in found.damage] == [False] * (how != "gone")
    assert [(entry.images, entry.embedded, len(entry.paths)) for entry in found.incomplete] == [(12, 0, 12)]
    repaired = verify(cache_of(store).path, repair=True)
    assert repaired.sound
    assert [entry.repaired for entry in repaired.damage] == [True] * (how != "gone")
    assert [entry.embedded for entry in repaired.incomplete] == [12]
    assert features(store) == before
    assert content(store) == files
    check_cache(cache_of(store))
    assert verify(cache_of(store).path).sound


def test_a_repair_that_was_cut_short_is_finished_by_the_next(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = features(store)
    damage(store.shards()[1], "flipped")

    def cut_short(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("headstart.flows.upkeep.repair.run_shards", cut_short)
        with pytest.raises(KeyboardInterrupt):
            verify(cache_of(store).path, repair=True)
    between = verify(cache_of(store).path)
    assert not between.sound
    assert [entry.problem for entry in between.damage] == ["a repair of this shard was cut short"]
    assert [entry.images for entry in between.incomplete] == [12]
    assert verify(cache_of(store).path, repair=True).sound
    assert features(store) == before
    assert not list(store.path.glob("*.damaged"))


def test_other_weights_under_the_same_name_touch_nothing_and_are_named(embed: Embed, tmp_path: Path) -> None:
    from headstart.extractors.backbones.registry import load_backbone
    from headstart.extractors.pretraining.supervised import save_encoder

    file = tmp_path / "encoder.safetensors"
    save_encoder(load_backbone("small_cnn", weights="none", seed=1).module, file)
    (store,) = EmbeddingCache(embed(weights=str(file)).cache).stores()
    damage(store.shards()[0], "flipped")
    save_encoder(load_backbone("small_cnn", weights="none", seed=2).module, file)
    before = content(store)
    summary = verify(cache_of(store).path, repair=True)
    assert not summary.sound
    assert "now gives other embeddings (weights sha256:" in summary.notes[0]
    assert content(store) == before
    file.unlink()
    summary = verify(cache_of(store).path, repair=True)
    assert "encoder.safetensors" in summary.notes[0]
    assert content(store) == before


def test_code_of_a_cache_runs_only_on_the_word_of_the_caller(
    embed: Embed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_models.py").write_text(
        "from headstart.extractors.backbones.small_cnn import SmallCNN\ndef build():\n    return SmallCNN(10)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (store,) = EmbeddingCache(embed(backbone="my_models:build").cache).stores()
    damage(store.shards()[0], "truncated")
    summary = verify(cache_of(store).path, repair=True)
    assert not summary.sound
    assert "if you trust it, say so with --backbone my_models:build" in summary.notes[0]
    assert verify(cache_of(store).path, repair=True, backbone="my_models:build").sound


def test_images_that_are_gone_are_counted_and_quarantined(store: EmbeddingStore, photos: Path) -> None:
    lost = verify_paths(store)[:2]
    for path in lost:
        (photos / path).unlink()
    summary = verify(cache_of(store).path, repair=True)
    assert not summary.sound
    assert [(entry.images, entry.embedded) for entry in summary.incomplete] == [(12, 10)]
    assert summary.notes == ["2 images could not be read again (first: no such file) and are in quarantine"]
    assert read_listing(cache_of(store)).quarantined["path"].tolist() == lost
    assert verify(cache_of(store).path).sound


def verify_paths(store: EmbeddingStore) -> list[str]:
    """Damage a shard; return the paths of its images."""
    damage(store.shards()[1], "flipped")
    return list(verify(cache_of(store).path).incomplete[0].paths)


@pytest.mark.parametrize("how", ["moved", "emptied"])
def test_where_all_images_are_gone_the_damaged_shard_stays(store: EmbeddingStore, photos: Path, how: str) -> None:
    damage(store.shards()[1], "flipped")
    before = content(store)
    if how == "moved":
        photos.rename(photos.with_name("elsewhere"))
    else:  # what a disk that is not mounted looks like
        shutil.rmtree(photos)
        photos.mkdir()
    summary = verify(cache_of(store).path, repair=True)
    assert not summary.sound
    assert {"moved": "the images are no longer in", "emptied": "not one of 12 images could be read"}[how] in (
        summary.notes[0]
    )
    assert content(store) == before
    assert len(read_listing(cache_of(store)).usable) == 36


def test_rows_of_images_that_are_no_longer_listed_are_counted(
    store: EmbeddingStore, embed: Embed, photos: Path
) -> None:
    for path in verify_paths(store)[:3]:
        (photos / path).unlink()
    from headstart.extractors.images.sources import list_images
    from headstart.extractors.listing.update import update_listing

    update_listing(cache_of(store), list_images(photos), workers=1)
    summary = verify(cache_of(store).path, repair=True)
    assert summary.sound
    assert summary.notes == ["3 rows of images that are no longer listed were in damaged shards and are gone"]


def test_a_key_that_was_made_for_other_images_is_no_damage(embed: Embed, tmp_path: Path) -> None:
    cache = embed().cache
    draw(tmp_path / "others" / "x.png", 0, seed=900)
    embed(images=tmp_path / "others", backbone="pixels", weights="default")
    summary = verify(cache, repair=True)
    assert summary.sound
    assert "holds none of the images that are listed now; it was made for others" in summary.notes[0]


def test_a_damaged_marker_is_repaired_and_the_rest_is_checked(store: EmbeddingStore) -> None:
    (cache_of(store).path / "cache.json").write_text("")
    folder = store.path.parent.parent
    found = verify(folder)
    assert (found.sound, found.keys, len(found.damage)) == (False, 0, 1)
    repaired = verify(folder, repair=True)
    assert (repaired.sound, repaired.keys) == (True, 1)


def test_the_advice_for_a_damaged_key_brings_its_rows_back(store: EmbeddingStore, embed: Embed) -> None:
    before = features(store)
    (store.path / "key.json").write_text("{")
    (cache_of(store).path / "requests.json").unlink()  # or it says where the weights came from
    (found,) = verify(cache_of(store).path, repair=True).damage
    assert not found.repaired
    assert "delete it and run 'headstart extract' with --backbone headstart/small_cnn" in found.advice
    (store.path / "key.json").unlink()
    summary = embed(tap=["penultimate", "features.2:avg"])
    assert (summary.embedded, summary.reused) == (0, 36)
    assert features(cache_of(store).stores()[0]) == before
    assert verify(cache_of(store).path).sound


def test_the_advice_for_a_damaged_listing_keeps_the_embeddings(store: EmbeddingStore, embed: Embed) -> None:
    listing = cache_of(store).path / "listing.parquet"
    listing.write_bytes(listing.read_bytes()[:500])
    (found,) = verify(cache_of(store).path, repair=True).damage
    assert "delete it and run 'headstart extract IMAGES --cache" in found.advice
    listing.unlink()
    assert embed(tap=["penultimate", "features.2:avg"]).embedded == 0
    assert verify(cache_of(store).path).sound


def test_checking_loads_no_torch(store: EmbeddingStore) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from headstart.flows.upkeep.verification import verify; "
        f"assert verify({str(cache_of(store).path)!r}).sound; print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"


def test_the_summary_is_plain_json(store: EmbeddingStore) -> None:
    from dataclasses import asdict

    damage(store.shards()[0], "flipped")
    assert json.loads(json.dumps(asdict(verify(cache_of(store).path))))["sound"] is False
