"""A worker's shard: embedded again after a death, embedded by two at once, and never kept for a run that is over."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.cache_contract import check_cache
from support.small_extraction import SETTINGS, features, listed, opened, run

import headstart.extractors.atomic
import headstart.extractors.extraction.shard_work
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.cache.turn import has_turn, take_turn
from headstart.extractors.errors import CacheError, WeightsError
from headstart.extractors.extraction.shard_request import ExtractionRequest, ShardWork
from headstart.extractors.extraction.shard_work import embed_shard, prepare_pass, settle
from headstart.extractors.images.reading import image_sources
from headstart.extractors.network.device import DeviceError
from headstart.extractors.spec.tap import Tap
from headstart.extractors.upkeep.merging import carry_out, plan_compaction


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache", create=True)


@pytest.fixture
def shard(cache: EmbeddingCache, photos: Path) -> ShardWork:
    """All thirty-six images as one shard, with everything decided."""
    listing = listed(cache, photos)
    request = ExtractionRequest(cache.path, "small_cnn", "none", (Tap(),), SETTINGS)
    key = settle(request, listing).key
    execution = prepare_pass(request, key, listing, 36).execution
    assert execution
    rows = listing.distinct
    images = list(zip(image_sources(rows), rows["digest"], strict=True))
    return ShardWork(request, key, execution, take_turn(cache.store(key).path), listing.root, images)


def shards_of(work: ShardWork) -> list[Path]:
    return EmbeddingCache(work.request.cache).store(work.key).shards()


def test_the_rows_are_those_of_an_extraction_in_one_process(shard: ShardWork, photos: Path, tmp_path: Path) -> None:
    assert embed_shard(shard).embedded == 36
    there = opened(EmbeddingCache(shard.request.cache), photos)
    here = opened(EmbeddingCache(tmp_path / "here", create=True), photos)
    assert run(here) == 36
    assert len(there.missing) == 0
    assert features(there) == features(here)


def test_a_shard_that_is_done_is_not_computed_again(shard: ShardWork, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed_shard(shard)
    (path,) = shards_of(shard)
    written = path.stat().st_mtime_ns
    monkeypatch.setattr(
        headstart.extractors.extraction.shard_work, "embed_rows", lambda *_, **__: pytest.fail("computed again")
    )
    assert embed_shard(shard).embedded == first.embedded == 36
    assert path.stat().st_mtime_ns == written


def test_an_image_that_could_not_be_read_at_first_is_all_that_the_next_try_embeds(
    shard: ShardWork, photos: Path, cache: EmbeddingCache
) -> None:
    path = photos / "dog" / "03.png"
    path.rename(aside := photos.parent / "aside.png")
    first = embed_shard(shard)
    assert (first.embedded, first.not_read) == (35, {"dog/03.png": "no such file"})
    again = embed_shard(shard)
    assert (again.embedded, again.not_read) == (35, first.not_read)
    aside.rename(path)
    assert embed_shard(shard).embedded == 36
    assert len(shards_of(shard)) == 2
    check_cache(cache)


def test_two_workers_at_the_same_shard_leave_each_row_once(
    shard: ShardWork, cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed_rows, others = headstart.extractors.extraction.shard_work.embed_rows, []

    def overtaken(*arguments: Any, **options: Any) -> None:
        if (
            not others
        ):  # the first worker fails to read an image that the second, which starts later and ends first, can
            others.append(1)
            (photos / "cat" / "00.png").rename(photos.parent / "aside.png")
            embed_rows(*arguments, **options)
            (photos.parent / "aside.png").rename(photos / "cat" / "00.png")
            assert embed_shard(shard, slot="second").embedded == 36
        else:
            embed_rows(*arguments, **options)

    monkeypatch.setattr(headstart.extractors.extraction.shard_work, "embed_rows", overtaken)
    assert embed_shard(shard, slot="first").embedded == 35
    check_cache(cache, complete=False)
    assert embed_shard(shard).embedded == 36  # what the slower one replaced is noticed, and made good
    check_cache(cache)


def test_a_worker_that_outlives_its_run_keeps_nothing(
    shard: ShardWork, cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed_rows, after = headstart.extractors.extraction.shard_work.embed_rows, opened(cache, photos)

    def overtaken(*arguments: Any, **options: Any) -> None:
        embed_rows(*arguments, **options)
        monkeypatch.setattr(
            "headstart.extractors.extraction.extraction._SHARD_ROWS", 10
        )  # cut otherwise, so that no file has the same name
        with after.writing():
            assert run(after) == 36

    monkeypatch.setattr(headstart.extractors.extraction.shard_work, "embed_rows", overtaken)
    with pytest.raises(CacheError, match="another run writes these embeddings by now, so this shard is not kept"):
        embed_shard(shard)
    check_cache(cache)


def test_the_turn_is_asked_when_the_shard_is_on_the_disk_but_for_its_name(
    shard: ShardWork, cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = headstart.extractors.atomic._sync

    def overtaken(file: Any) -> None:
        sync(file)
        if "shard-" in file.name:
            take_turn(cache.stores()[0].path)

    monkeypatch.setattr(headstart.extractors.atomic, "_sync", overtaken)
    with pytest.raises(CacheError, match="another run writes these embeddings by now"):
        embed_shard(shard)
    assert list(cache.stores()[0].path.glob("shard-*")) == []


def test_a_compaction_ends_the_turn_of_workers_that_are_left(shard: ShardWork, cache: EmbeddingCache) -> None:
    half = replace(shard, images=shard.images[:18])
    embed_shard(half)
    embed_shard(replace(shard, images=shard.images[18:]))
    store = cache.store(shard.key)
    carry_out(store, plan_compaction(store, None))
    assert len(shards_of(shard)) == 1
    with pytest.raises(CacheError, match="another run writes"):
        embed_shard(half)
    check_cache(cache)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff"])
def test_nobody_has_the_turn_where_its_file_is_gone_or_damaged(tmp_path: Path, content: bytes | None) -> None:
    turn = take_turn(tmp_path)
    assert has_turn(tmp_path, turn)
    (tmp_path / "turn.json").unlink()
    if content is not None:
        (tmp_path / "turn.json").write_bytes(content)
    assert not has_turn(tmp_path, turn)


def test_a_later_turn_ends_the_earlier_one(tmp_path: Path) -> None:
    first, second = take_turn(tmp_path), take_turn(tmp_path)
    assert (has_turn(tmp_path, first), has_turn(tmp_path, second)) == (False, True)


def test_a_worker_with_other_weights_is_refused(shard: ShardWork) -> None:
    other = replace(shard, key=replace(shard.key, weights="random:0000"))
    with pytest.raises(
        WeightsError, match=r"weights: random:0000 here, random:.* there.*give all workers the same weights"
    ):
        embed_shard(other)
    assert shards_of(shard) == []


def test_a_worker_on_another_kind_of_device_is_refused(shard: ShardWork) -> None:
    other = replace(shard, execution=replace(shard.execution, device="cuda"))
    with pytest.raises(DeviceError, match="computes on cpu, the run on cuda; start workers on one kind of machine"):
        embed_shard(other)


def test_a_shard_is_named_after_what_was_asked_for(shard: ShardWork, photos: Path) -> None:
    (photos / "owl" / "05.png").unlink()
    embed_shard(shard)
    (path,) = shards_of(shard)
    asked = b"".join(bytes.fromhex(digest) for _, digest in shard.images)
    assert path.name == f"shard-{hashlib.sha256(asked).hexdigest()[:16]}.h5"


def test_what_was_decided_is_kept_beside_the_rows(shard: ShardWork, cache: EmbeddingCache) -> None:
    kept = json.loads((cache.store(shard.key).path / "execution.json").read_text())
    assert (kept["batch_size"], kept["images"], kept["device"]) == (4, 36, "cpu")
