"""What is embedded, in which shards, and what is reused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import draw
from support.cache_contract import check_cache
from support.small_extraction import SETTINGS, opened, run

import headstart.extractors.extraction.extraction
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.extraction.extraction import Extraction, Settings
from headstart.extractors.network.taps import Tap


def test_a_whole_set_is_embedded_in_shards(cache: EmbeddingCache, photos: Path, short_shards: None) -> None:
    extraction = opened(cache, photos)
    assert [len(shard) for shard in extraction.shards] == [10, 10, 10, 6]
    assert run(extraction) == 36
    assert len(extraction.store.shards()) == 4
    check_cache(cache)


def test_a_second_run_has_nothing_to_do(cache: EmbeddingCache, photos: Path) -> None:
    run(opened(cache, photos))
    again = opened(cache, photos)
    assert len(again.missing) == 0
    assert again.shards == []


def test_only_what_is_new_is_embedded_and_renamed_files_and_copies_cost_nothing(
    cache: EmbeddingCache, photos: Path
) -> None:
    run(opened(cache, photos))
    for number in range(3):
        draw(photos / "owl" / f"new{number}.png", 2, seed=500 + number)
    (photos / "cat" / "00.png").rename(photos / "cat" / "renamed.png")
    shutil.copy(photos / "dog" / "00.png", photos / "owl" / "copy.png")
    assert run(opened(cache, photos)) == 3
    check_cache(cache)


def test_another_tap_has_another_key(cache: EmbeddingCache, photos: Path) -> None:
    first = opened(cache, photos)
    run(first)
    backbone = load_backbone("small_cnn", weights="none")
    other = Extraction(cache, first.listing, backbone, [Tap.parse("penultimate:max")], SETTINGS, weights_source="none")
    assert other.store.key.id != first.store.key.id
    assert len(other.missing) == 36


def test_unreadable_images_come_back_by_digest_with_their_reason(cache: EmbeddingCache, photos: Path) -> None:
    (photos / "cat" / "00.png").write_bytes(b"no image at all")
    extraction = opened(cache, photos)
    result = extraction.run_shard(0)
    digest = extraction.listing.rows.set_index("path").loc["cat/00.png", "digest"]
    assert result.embedded == 35
    assert list(result.unreadable) == [digest]
    assert "format" in result.unreadable[digest]


@pytest.mark.parametrize(
    ("change", "settings"),
    [
        ({"seed": 1}, SETTINGS),
        ({}, Settings(precision="bf16", device="cpu", batch_size=4)),
        ({}, Settings(precision="fp32", dtype="float16", device="cpu", batch_size=4)),
    ],
    ids=["other weights", "other precision", "other dtype"],
)
def test_rows_of_another_key_are_never_reused(
    cache: EmbeddingCache, photos: Path, change: dict[str, Any], settings: Settings
) -> None:
    first = opened(cache, photos)
    run(first)
    other = opened(cache, photos, settings, **change)
    assert other.store.key.id != first.store.key.id
    assert len(other.missing) == 36


def test_large_feature_maps_make_shorter_shards(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headstart.extractors.extraction.extraction, "_SHARD_BYTES", 5 * 256 * 4)
    assert [len(shard) for shard in opened(cache, photos).shards] == [5, 5, 5, 5, 5, 5, 5, 1]
