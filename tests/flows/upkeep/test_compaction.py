"""Compaction beside others: rows that were embedded meanwhile, and rows of other image sets, stay."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import age, draw
from support.cache_contract import check_cache

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.cache.turn import take_turn
from headstart.extractors.errors import CacheError
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import read_listing
from headstart.extractors.listing.update import update_listing
from headstart.extractors.upkeep import merging
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.upkeep import compaction
from headstart.flows.upkeep.compaction import compact

Embed = Callable[..., Any]


def n_rows(cache: Path | str) -> list[int]:
    return [store.n_rows() for store in EmbeddingCache(cache).stores()]


def others(folder: Path, n_images: int = 8) -> Path:
    for number in range(n_images):
        draw(folder / "ab"[number % 2] / f"{number}.png", number % 2, seed=900 + number)
    return folder


@pytest.fixture(autouse=True)
def short_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.extractors.extraction.extraction._SHARD_ROWS", 7)


def test_rows_that_another_process_embeds_while_compact_waits_for_the_key_are_not_dropped(
    embed: Embed, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = embed().cache
    waited = []

    @contextmanager
    def lock_after_another(folder: Path, **options: Any) -> Iterator[None]:
        if not waited:
            waited.append(folder)
            for number in range(10):
                draw(photos / "cat" / f"new{number}.png", 0, seed=700 + number)
            assert embed().embedded == 10
        with writer_lock(folder, **options):
            yield

    monkeypatch.setattr(compaction, "writer_lock", lock_after_another)
    summary = compact(cache)
    assert waited
    assert (summary.dropped, summary.changed) == (0, True)
    assert n_rows(cache) == [46]
    check_cache(EmbeddingCache(cache))


def test_nobody_replaces_the_listing_while_rows_are_dropped_for_what_it_lacks(
    embed: Embed, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = EmbeddingCache(embed().cache)
    original, seen = compaction.carry_out, []

    def looking(*arguments: Any) -> None:
        with pytest.raises(LookupError), writer_lock(cache.path, on_wait=_refuse, name="listing.lock"):
            pytest.fail("the listing was free")
        seen.append(True)
        original(*arguments)

    monkeypatch.setattr(compaction, "carry_out", looking)
    compact(cache.path)
    assert seen


def _refuse(_: Path) -> None:
    raise LookupError("somebody holds it")


def test_a_shard_that_a_worker_of_a_dead_run_replaced_after_the_plan_stays(
    embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = EmbeddingCache(embed().cache)
    (store,) = cache.stores()
    shard = store.shards()[0]

    def late(folder: Path) -> str:
        shard.write_bytes(shard.read_bytes())
        return take_turn(folder)

    monkeypatch.setattr(merging, "take_turn", late)
    with pytest.raises(CacheError, match="a worker of an earlier run has just written it"):
        compact(cache.path)
    assert n_rows(cache.path) == [36]


def test_rows_of_an_image_set_that_was_listed_before_are_kept_and_counted_until_they_are_given_up(
    embed: Embed, tmp_path: Path
) -> None:
    cache = embed().cache
    embed(images=others(tmp_path / "others"))
    summary = compact(cache)
    assert (summary.others, summary.dropped) == (36, 0)
    assert n_rows(cache) == [44]
    again = embed()
    assert (again.embedded, again.reused) == (0, 36)
    assert (compact(cache).others, n_rows(cache)) == (8, [44])
    summary = compact(cache, drop_others=True)
    assert (summary.others, summary.dropped) == (0, 8)
    assert n_rows(cache) == [36]
    check_cache(EmbeddingCache(cache))


def test_a_key_without_one_listed_image_is_kept_until_it_is_given_up(embed: Embed, tmp_path: Path) -> None:
    cache = embed().cache
    embed(images=others(tmp_path / "others"), backbone="pixels", weights="default")
    (Path(cache) / "other-sets.parquet").unlink()  # as in a cache of an earlier version
    summary = compact(cache)
    assert (summary.others, summary.dropped) == (36, 0)
    assert sorted(n_rows(cache)) == [8, 36]
    assert compact(cache, drop_others=True).dropped == 36


def test_a_second_manifest_of_the_same_folder_is_another_set(embed: Embed, photos: Path, tmp_path: Path) -> None:
    paths = sorted(str(path.relative_to(tmp_path)) for path in photos.rglob("*.png"))
    for name, some in (("first", paths[:20]), ("second", paths[15:])):
        pd.DataFrame({"path": some, "label": "x"}).to_csv(tmp_path / f"{name}.csv", index=False)
    cache = embed(images=tmp_path / "first.csv").cache
    embed(images=tmp_path / "second.csv")
    assert (compact(cache).others, n_rows(cache)) == (15, [36])
    (tmp_path / paths[0]).unlink()
    draw(tmp_path / paths[-1], 0, seed=999)
    embed(images=tmp_path / "second.csv")
    summary = compact(cache)
    assert (summary.others, summary.dropped) == (14, 2)


def test_a_folder_that_moved_is_no_second_set(embed: Embed, photos: Path) -> None:
    cache = embed().cache
    moved = photos.rename(photos.with_name("moved"))
    embed(images=moved)
    (moved / "cat" / "00.png").unlink()
    embed(images=moved)
    summary = compact(cache)
    assert (summary.others, summary.dropped) == (0, 1)


def test_what_was_listed_while_another_listing_was_under_way_is_another_set(
    embed: Embed, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slower one read the stored listing before the quicker one replaced it."""
    cache = embed().cache
    age(photos)
    import headstart.extractors.listing.update as module

    original, late = module.carry_over, []

    def slow(*arguments: Any) -> None:
        original(*arguments)
        if not late:
            late.append(True)
            embed(images=others(tmp_path / "others"))

    monkeypatch.setattr(module, "carry_over", slow)
    draw(photos / "cat" / "new.png", 0, seed=800)
    update_listing(EmbeddingCache(cache), list_images(photos), workers=1)
    assert read_listing(EmbeddingCache(cache)).root == photos
    assert (compact(cache).others, n_rows(cache)) == (8, [44])


def test_a_damaged_record_of_other_sets_drops_nothing(embed: Embed, tmp_path: Path) -> None:
    cache = embed().cache
    embed(images=others(tmp_path / "others"))
    (Path(cache) / "other-sets.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(CacheError, match=r"other-sets\.parquet: cannot be read .*--drop-others' does without it"):
        compact(cache)
    assert n_rows(cache) == [44]
    assert compact(cache, drop_others=True).dropped == 36
