"""Compaction: fewer shards, the same bytes, no row lost at any moment."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from support.cache_contract import check_cache
from support.synthetic_cache import digest_of, features_of, fill, flip_bit, make_images, relist, seal

import headstart.extractors.upkeep.merging
from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.errors import CacheError
from headstart.extractors.upkeep.merging import carry_out, plan_compaction

SHAPES = {"penultimate": (4,)}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    make_images(tmp_path / "images", 20)
    return tmp_path / "images"


@pytest.fixture(autouse=True)
def shards_of_eight_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headstart.extractors.upkeep.merging, "FULL_ROWS", 8)


def listed(cache: EmbeddingCache, images: Path) -> list[str]:
    return relist(cache, images).distinct["digest"].tolist()


def sizes(store: EmbeddingStore) -> list[int]:
    found = []
    for path in store.shards():
        with h5py.File(path) as file:
            found.append(len(file["digest"]))
    return sorted(found)


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_small_shards_become_full_ones_with_the_same_rows(tmp_path: Path, images: Path) -> None:
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=3)
    digests = listed(cache, images)
    before = np.asarray(store.view("penultimate", digests)).tobytes()
    carry_out(store, plan_compaction(store, digests))
    assert sizes(store) == [4, 8, 8]
    assert np.asarray(store.view("penultimate", digests)).tobytes() == before
    np.testing.assert_array_equal(store.view("penultimate", digests), features_of(digests, (4,)))
    check_cache(cache)


def test_all_taps_of_an_image_stay_together(tmp_path: Path, images: Path) -> None:
    shapes = {"penultimate": (4,), "layer3:flatten": (2, 3, 3)}
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=3, shapes=shapes)
    digests = listed(cache, images)
    carry_out(store, plan_compaction(store, digests))
    for tap, shape in shapes.items():
        np.testing.assert_array_equal(store.view(tap, digests), features_of(digests, shape))


def test_rows_of_images_that_are_no_longer_listed_are_dropped(tmp_path: Path, images: Path) -> None:
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=3)
    for number in range(0, 20, 4):
        (images / "a" / f"{number:03d}.png").unlink()
    plan = plan_compaction(store, listed(cache, images))
    assert plan.dropped == 5
    carry_out(store, plan)
    assert store.n_rows() == 15
    assert store.missing([digest_of(number) for number in range(20)]).tolist() == [n % 4 == 0 for n in range(20)]
    check_cache(cache)


def test_a_key_of_which_no_image_is_listed_is_left_without_rows(tmp_path: Path, images: Path) -> None:
    _, store = fill(tmp_path / "cache", images, n_rows_a_shard=3)
    carry_out(store, plan_compaction(store, [digest_of(99)]))
    assert store.shards() == []
    assert store.n_rows() == 0


def test_full_shards_are_left_alone(tmp_path: Path, images: Path) -> None:
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=8)
    extra = store.shards()
    make_images(images, 26)
    digests = listed(cache, images)
    seal(store, SHAPES, [digest_of(number) for number in range(20, 26)])
    largest = max(path.stat().st_size for path in extra)
    full = {path: path.stat().st_mtime_ns for path in extra if path.stat().st_size == largest}
    carry_out(store, plan_compaction(store, digests))
    assert {path: path.stat().st_mtime_ns for path in full} == full
    assert sizes(store) in ([2, 8, 8, 8], [4, 6, 8, 8])
    np.testing.assert_array_equal(store.view("penultimate", digests), features_of(digests, (4,)))


@pytest.mark.parametrize("n_rows_a_shard", [8, 20])
def test_where_nothing_is_to_do_nothing_is_written(tmp_path: Path, images: Path, n_rows_a_shard: int) -> None:
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=n_rows_a_shard)
    before = content(store.path)
    assert not plan_compaction(store, listed(cache, images)).is_needed
    assert content(store.path) == before


def test_a_second_compaction_finds_nothing_to_do(tmp_path: Path, images: Path) -> None:
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=3)
    digests = listed(cache, images)
    carry_out(store, plan_compaction(store, digests))
    assert not plan_compaction(store, digests).is_needed


def test_a_key_without_rows_needs_nothing(tmp_path: Path, images: Path) -> None:
    _, store = fill(tmp_path / "cache", images, n_rows_a_shard=20)
    store.shards()[0].unlink()
    assert not plan_compaction(store, [digest_of(0)]).is_needed


@pytest.mark.parametrize("step", range(1, 12))
def test_whenever_it_is_cut_short_no_row_is_lost_and_the_next_one_ends_it(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Every change to the folder is a rename or a removal; the process ends before the n-th of them."""
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=3)
    digests = listed(cache, images)
    steps = 0

    def counted(original):  # type: ignore[no-untyped-def]  # a method of Path, whichever
        def call(path: Path, *arguments: object, **options: object) -> object:
            nonlocal steps
            if path.name.startswith("shard-"):
                steps += 1
                if steps >= step:
                    raise KeyboardInterrupt
            return original(path, *arguments, **options)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", counted(Path.replace))
        patched.setattr(Path, "unlink", counted(Path.unlink))
        cut_short = False
        try:
            carry_out(store, plan_compaction(store, digests))
        except KeyboardInterrupt:
            cut_short = True
    assert cut_short == (step <= 10)  # three shards sealed, seven removed
    np.testing.assert_array_equal(store.view("penultimate", digests), features_of(digests, (4,)))
    for part in store.path.glob("*.part"):
        part.unlink()
    carry_out(store, plan_compaction(store, digests))
    assert sizes(store) == [4, 8, 8]
    check_cache(cache)


def test_a_damaged_shard_is_refused_and_nothing_is_touched(tmp_path: Path, images: Path) -> None:
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=3)
    with h5py.File(store.shards()[2]) as file:
        offset = file["features/penultimate"].id.get_offset()
    flip_bit(store.shards()[2], offset)
    before = content(store.path)
    with pytest.raises(CacheError, match=r"checksum .*; run 'headstart verify .*cache --repair' first"):
        plan_compaction(store, listed(cache, images))
    assert content(store.path) == before


def test_a_new_shard_holds_what_fits_and_no_more(tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headstart.extractors.upkeep.merging, "FULL_BYTES", 5 * 16)  # five rows of four float32
    cache, store = fill(tmp_path / "cache", images, n_rows_a_shard=2)
    carry_out(store, plan_compaction(store, listed(cache, images)))
    assert sizes(store) == [5, 5, 5, 5]


@pytest.mark.parametrize("at", range(6))
def test_a_new_shard_that_is_the_same_as_an_old_one_stays(tmp_path: Path, at: int) -> None:
    """Eight rows of nine fill a shard; the three of the other one come out as they went in, under the same name."""
    make_images(tmp_path / "images", 13)
    cache, store = fill(tmp_path / "cache", tmp_path / "images", n_rows_a_shard=13)
    store.shards()[0].unlink()
    numbers = [*range(at, at + 3)]
    seal(store, SHAPES, [digest_of(number) for number in numbers])
    seal(store, SHAPES, [digest_of(number) for number in range(12) if number not in numbers])
    digests = [digest_of(number) for number in range(11)]
    carry_out(store, plan_compaction(store, digests))
    np.testing.assert_array_equal(store.view("penultimate", digests), features_of(digests, (4,)))
    check_cache(cache, complete=False)
