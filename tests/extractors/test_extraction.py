"""What is embedded, what is reused, and what survives an interruption."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cache_contract import check_cache
from conftest import draw

import extractors.extraction
from extractors.backbones import load_backbone
from extractors.cache import EmbeddingCache
from extractors.cache_listing import CacheListing, update_listing
from extractors.errors import CacheError, FeatureError
from extractors.extraction import Extraction, Settings
from extractors.images import list_images
from extractors.taps import Tap

SETTINGS = Settings(precision="fp32", device="cpu", batch_size=4, workers=2)


def listed(cache: EmbeddingCache, folder: Path) -> CacheListing:
    return update_listing(cache, list_images(folder), workers=2)


def opened(cache: EmbeddingCache, folder: Path, settings: Settings = SETTINGS, **backbone: Any) -> Extraction:
    loaded = load_backbone("small_cnn", **({"weights": "none"} | backbone))
    return Extraction(cache, listed(cache, folder), loaded, [Tap()], settings, weights_source="none")


def run(extraction: Extraction) -> int:
    return sum(result.embedded for result in extraction.run())


def features(extraction: Extraction) -> dict[str, bytes]:
    digests = extraction.listing.distinct["digest"].tolist()
    return {
        digest: row.tobytes()
        for digest, row in zip(digests, np.asarray(extraction.store.view("penultimate", digests)), strict=True)
    }


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache", create=True)


@pytest.fixture
def short_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of ten rows."""
    monkeypatch.setattr(extractors.extraction, "_SHARD_ROWS", 10)


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


def test_an_interrupted_shard_seals_what_it_had_and_the_rest_follows_bit_for_bit(
    cache: EmbeddingCache, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = opened(EmbeddingCache(tmp_path / "whole", create=True), photos)
    run(whole)
    original = extractors.extraction.embed

    def interrupted(*arguments: Any, **options: Any) -> Any:
        for number, batch in enumerate(original(*arguments, **options)):
            if number == 3:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(extractors.extraction, "embed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(opened(cache, photos))
    check_cache(cache, complete=False)
    monkeypatch.setattr(extractors.extraction, "embed", original)
    resumed = opened(cache, photos)
    assert len(resumed.missing) == 36 - 12
    assert run(resumed) == 24
    assert features(resumed) == features(whole)
    check_cache(cache)


def test_a_shard_is_sealed_while_the_next_is_embedded(
    cache: EmbeddingCache, photos: Path, short_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction = opened(cache, photos)
    embedded, original = threading.Event(), type(extraction.store).seal
    in_time: list[bool] = []

    def slow_seal(*arguments: Any) -> Path:
        if not in_time:  # the first shard is sealed only once images of the second have been embedded
            in_time.append(embedded.wait(timeout=30))
        return original(*arguments)

    monkeypatch.setattr(type(extraction.store), "seal", slow_seal)
    counts: list[int] = []

    def count(images: int) -> None:
        counts.append(images)
        if sum(counts) > 10:
            embedded.set()

    assert [result.embedded for result in extraction.run(count)] == [10, 10, 10, 6]
    assert in_time == [True]
    check_cache(cache)


def test_an_error_of_the_background_writer_ends_the_run(
    cache: EmbeddingCache, photos: Path, short_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction = opened(cache, photos)

    def full(*_: Any) -> Path:
        raise CacheError("the disk is full")

    monkeypatch.setattr(type(extraction.store), "seal", full)
    with pytest.raises(CacheError, match="the disk is full"):
        run(extraction)


def test_an_interruption_does_not_hide_that_the_last_rows_could_not_be_sealed(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction = opened(cache, photos)
    original = extractors.extraction.embed

    def interrupted(*arguments: Any, **options: Any) -> Any:
        yield next(iter(original(*arguments, **options)))
        raise KeyboardInterrupt

    def full(*_: Any) -> Path:
        raise CacheError("the disk is full")

    monkeypatch.setattr(extractors.extraction, "embed", interrupted)
    monkeypatch.setattr(type(extraction.store), "seal", full)
    with pytest.raises(CacheError, match="the disk is full"):
        run(extraction)


def test_a_retry_counts_what_the_first_try_embedded(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction = opened(cache, photos)
    original = extractors.extraction.embed

    def stumbling(*arguments: Any, **options: Any) -> Any:
        yield next(iter(original(*arguments, **options)))
        raise OSError("a passing fault")

    monkeypatch.setattr(extractors.extraction, "embed", stumbling)
    with pytest.raises(OSError, match="a passing fault"):
        extraction.run_shard(0)
    monkeypatch.setattr(extractors.extraction, "embed", original)
    assert extraction.run_shard(0).embedded == 36
    check_cache(cache)


def test_an_image_that_vanished_is_not_held_against_its_copy(cache: EmbeddingCache, photos: Path) -> None:
    shutil.copy(photos / "cat" / "00.png", photos / "cat" / "zz.png")
    extraction = opened(cache, photos)
    (photos / "cat" / "00.png").unlink()
    result = extraction.run_shard(0)
    assert result.unreadable == {}
    assert result.not_read == {"cat/00.png": "no such file"}
    assert run(opened(cache, photos)) == 1
    check_cache(cache)


def test_rows_that_another_process_sealed_meanwhile_are_not_embedded_again(
    cache: EmbeddingCache, photos: Path, short_shards: None
) -> None:
    mine, theirs = opened(cache, photos), opened(cache, photos)
    theirs.run_shard(1)
    assert [result.embedded for result in mine.run()] == [10, 0, 10, 6]
    check_cache(cache)


def test_another_tap_has_another_key(cache: EmbeddingCache, photos: Path) -> None:
    first = opened(cache, photos)
    run(first)
    backbone = load_backbone("small_cnn", weights="none")
    other = Extraction(cache, first.listing, backbone, [Tap.parse("penultimate:max")], SETTINGS, weights_source="none")
    assert other.store.key.id != first.store.key.id
    assert len(other.missing) == 36


def test_a_shard_that_is_run_again_embeds_nothing_twice(cache: EmbeddingCache, photos: Path) -> None:
    extraction = opened(cache, photos)
    assert [extraction.run_shard(0).embedded for _ in range(2)] == [36, 36]  # what this extraction embedded, in all
    assert extraction.store.n_rows() == 36
    check_cache(cache)


def test_a_resumed_run_keeps_the_batch_size_that_was_decided_for_its_rows(cache: EmbeddingCache, photos: Path) -> None:
    run(opened(cache, photos))
    for shard in opened(cache, photos).store.shards():
        shard.unlink()
    resumed = opened(cache, photos, Settings(precision="fp32", device="cpu"))
    assert run(resumed) == 36
    assert resumed.execution is not None
    assert resumed.execution.batch_size == 4


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


def test_features_that_are_not_finite_end_the_run_and_keep_what_was_good(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = extractors.extraction.embed

    def poisoned(*arguments: Any, **options: Any) -> Any:
        for number, batch in enumerate(original(*arguments, **options)):
            yield (
                batch
                if number < 2
                else replace(batch, features={"penultimate": batch.features["penultimate"] * np.nan})
            )

    monkeypatch.setattr(extractors.extraction, "embed", poisoned)
    with pytest.raises(
        FeatureError, match=r"headstart/small_cnn, tap penultimate: 4 of 4 images in a batch .* first cat/08\.png"
    ):
        run(opened(cache, photos))
    assert opened(cache, photos).store.n_rows() == 8


def test_a_cache_that_cannot_be_written_says_so(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction = opened(cache, photos)
    shutil.rmtree(extraction.store.path)
    with pytest.raises(
        CacheError, match=r"execution\.json: no such folder; it was removed meanwhile: run the same command again"
    ):
        run(extraction)


def test_large_feature_maps_make_shorter_shards(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractors.extraction, "_SHARD_BYTES", 5 * 256 * 4)
    assert [len(shard) for shard in opened(cache, photos).shards] == [5, 5, 5, 5, 5, 5, 5, 1]
