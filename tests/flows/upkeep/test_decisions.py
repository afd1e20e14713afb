"""Nothing is decided from what was read before the lock that guards it: what others do while one waits is seen."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import age, draw
from support.cache_contract import check_cache

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import CacheError, ImageSetError
from headstart.extractors.extraction import known_requests
from headstart.extractors.extraction.key_description import KeyDescription
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import read_listing
from headstart.extractors.listing.listing_file import listing_lock
from headstart.extractors.listing.update import update_listing
from headstart.flows.extraction.job import cache_at
from headstart.flows.upkeep import compaction, repair
from headstart.flows.upkeep.compaction import compact
from headstart.flows.upkeep.verification import verify

Embed = Callable[..., Any]


@pytest.fixture
def others(tmp_path: Path) -> Path:
    for number in range(8):
        draw(tmp_path / "others" / "ab"[number % 2] / f"{number}.png", number % 2, seed=900 + number)
    return tmp_path / "others"


def n_rows(cache: Path | str) -> list[int]:
    return [store.n_rows() for store in EmbeddingCache(cache).stores()]


def before_the_lock(monkeypatch: pytest.MonkeyPatch, module: Any, act: Callable[[], object]) -> None:
    """Let something happen once, while a module waits for the lock of the listing."""
    waited = []

    @contextmanager
    def late(*arguments: Any, **options: Any) -> Iterator[None]:
        if not waited:
            waited.append(True)
            act()
        with listing_lock(*arguments, **options):
            yield

    monkeypatch.setattr(module, "listing_lock", late)


def test_what_a_limit_left_out_of_a_set_that_is_replaced_is_of_another_set(
    embed: Embed, photos: Path, others: Path
) -> None:
    age(photos)
    cache = embed().cache
    listing = read_listing(EmbeddingCache(cache))
    replace(listing, written_ns=listing.written_ns + 10**10).write(EmbeddingCache(cache))  # its files had settled
    embed(limit=10)
    embed(images=others)
    summary = compact(cache)
    assert (summary.dropped, summary.others, n_rows(cache)) == (0, 36, [44])
    assert embed().embedded == 0


def test_a_set_that_was_listed_while_compact_waited_costs_nobody_a_row(
    embed: Embed, photos: Path, others: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = embed(images=others).cache
    embed()
    before_the_lock(monkeypatch, compaction, lambda: embed(images=others))
    with pytest.raises(CacheError, match="other images were listed meanwhile, nothing is dropped"):
        compact(cache, drop_others=True)
    assert (compact(cache).others, n_rows(cache)) == (36, [44])


def fail(place: Path, act: Callable[[EmbeddingCache], object] = lambda _: None) -> None:
    """Be a command that makes a cache, acts, and fails."""
    with cache_at(place) as cache:
        act(cache)
        raise ImageSetError("nothing is right")


def test_a_command_that_fails_takes_no_cache_from_one_beside_it(photos: Path, tmp_path: Path) -> None:
    place, beside = tmp_path / "cache", list[EmbeddingCache]()
    with pytest.raises(ImageSetError):
        fail(place)
    assert not place.exists()
    with pytest.raises(ImageSetError):
        fail(place, lambda _: beside.append(EmbeddingCache(place, create=True)))
    assert not place.exists()
    update_listing(beside[0], list_images(photos), workers=1)
    assert len(read_listing(EmbeddingCache(place)).rows) == 36


def test_a_cache_whose_lock_another_holds_is_left(tmp_path: Path) -> None:
    with ExitStack() as beside:
        with pytest.raises(ImageSetError):
            fail(tmp_path / "cache", lambda cache: beside.enter_context(listing_lock(cache)))
        assert (tmp_path / "cache").exists()


def test_a_repair_of_the_listing_beside_another_ends_as_well(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = EmbeddingCache(embed().cache)
    damage_listing(cache)
    within = []

    def listing(*arguments: Any, **options: Any) -> Any:
        if not within:
            within.append(None)
            within.append(verify(cache.path, repair=True))
        return update_listing(*arguments, **options)

    monkeypatch.setattr(repair, "update_listing", listing)
    assert verify(cache.path, repair=True).sound
    assert within[1].sound
    check_cache(cache)
    assert not list(cache.path.glob("*.damaged"))


def test_a_repair_that_fails_puts_no_damage_in_the_place_of_what_another_listed(
    embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = EmbeddingCache(embed().cache)
    damage_listing(cache)

    def listing(*_: Any, **__: Any) -> Any:
        before_the_lock(monkeypatch, repair, embed)  # which lists the images while this one waits to undo its step
        raise ImageSetError("the folder is gone")

    monkeypatch.setattr(repair, "update_listing", listing)
    verify(cache.path, repair=True)
    assert len(read_listing(cache).rows) == 36


def damage_listing(cache: EmbeddingCache) -> None:
    content = bytearray((cache.path / "listing.parquet").read_bytes())
    content[200] ^= 1
    (cache.path / "listing.parquet").write_bytes(content)


def test_two_that_remember_at_once_forget_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = EmbeddingCache(tmp_path / "cache", create=True)
    key = KeyDescription("b-1", "headstart/b", "none", ["penultimate"], "fp32", "full", "float32", None)
    one, other = ({"weights": "none", "weights_file": None, "n": number} for number in range(2))
    before_the_lock(monkeypatch, known_requests, lambda: known_requests.remember(cache, other, key))
    known_requests.remember(cache, one, key)
    assert known_requests.recall(cache.path, one) == known_requests.recall(cache.path, other) == key
