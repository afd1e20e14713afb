"""What survives an interruption, an error or another process, and how it goes on."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cache_contract import check_cache
from support.small_extraction import features, opened, run

import headstart.extractors.extraction.embedding
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError, FeatureError
from headstart.extractors.extraction.extraction import Settings


def test_an_interrupted_shard_seals_what_it_had_and_the_rest_follows_bit_for_bit(
    cache: EmbeddingCache, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = opened(EmbeddingCache(tmp_path / "whole", create=True), photos)
    run(whole)
    original = headstart.extractors.extraction.embedding.embed

    def interrupted(*arguments: Any, **options: Any) -> Any:
        for number, batch in enumerate(original(*arguments, **options)):
            if number == 3:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(headstart.extractors.extraction.embedding, "embed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(opened(cache, photos))
    check_cache(cache, complete=False)
    monkeypatch.setattr(headstart.extractors.extraction.embedding, "embed", original)
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
    original = headstart.extractors.extraction.embedding.embed

    def interrupted(*arguments: Any, **options: Any) -> Any:
        yield next(iter(original(*arguments, **options)))
        raise KeyboardInterrupt

    def full(*_: Any) -> Path:
        raise CacheError("the disk is full")

    monkeypatch.setattr(headstart.extractors.extraction.embedding, "embed", interrupted)
    monkeypatch.setattr(type(extraction.store), "seal", full)
    with pytest.raises(CacheError, match="the disk is full"):
        run(extraction)


def test_a_retry_counts_what_the_first_try_embedded(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extraction = opened(cache, photos)
    original = headstart.extractors.extraction.embedding.embed

    def stumbling(*arguments: Any, **options: Any) -> Any:
        yield next(iter(original(*arguments, **options)))
        raise OSError("a passing fault")

    monkeypatch.setattr(headstart.extractors.extraction.embedding, "embed", stumbling)
    with pytest.raises(OSError, match="a passing fault"):
        extraction.run_shard(0)
    monkeypatch.setattr(headstart.extractors.extraction.embedding, "embed", original)
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


def test_features_that_are_not_finite_end_the_run_and_keep_what_was_good(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = headstart.extractors.extraction.embedding.embed

    def poisoned(*arguments: Any, **options: Any) -> Any:
        for number, batch in enumerate(original(*arguments, **options)):
            yield (
                batch
                if number < 2
                else replace(batch, features={"penultimate": batch.features["penultimate"] * np.nan})
            )

    monkeypatch.setattr(headstart.extractors.extraction.embedding, "embed", poisoned)
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
