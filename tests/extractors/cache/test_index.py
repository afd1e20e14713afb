"""The index repeats the shards: it makes opening quick, and is believed only as far as the shards agree."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import headstart.extractors.cache.index
from headstart.extractors.cache.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.cache.index import ShardIndex
from headstart.extractors.cache.row_table import FILE, RowTable, is_whole, read_index, sort_rows
from headstart.extractors.errors import CacheError
from headstart.extractors.spec.key import EmbeddingKey
from headstart.extractors.spec.preprocessing import Preprocessing

ROOT = Path(__file__).parent.parent.parent.parent
KEY = EmbeddingKey(
    backbone="headstart/pixels", weights="none", taps=("penultimate",), preprocessing=Preprocessing(), dtype="float32"
)
DIGESTS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(40)]


def seal(store: EmbeddingStore, numbers: range) -> Path:
    """Image i has the feature i."""
    digests = np.frombuffer(bytes.fromhex("".join(DIGESTS[n] for n in numbers)), np.uint8).reshape(-1, 32)
    return store.seal(digests, {"penultimate": np.array(numbers, np.float32)[:, None]})


def values(store: EmbeddingStore, numbers: range) -> list[int]:
    return np.asarray(store.view("penultimate", [DIGESTS[n] for n in numbers]))[:, 0].astype(int).tolist()


def present(store: EmbeddingStore) -> list[int]:
    return np.flatnonzero(~store.missing(DIGESTS)).tolist()


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    """Thirty of forty images in three shards that the index knows."""
    store = EmbeddingCache(tmp_path / "cache", create=True).store(KEY)
    store.create({})
    for first in (0, 10, 20):
        seal(store, range(first, first + 10))
    store.refresh_index()
    return store


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The shards whose digests were read to search them."""
    read: list[Path] = []
    original = headstart.extractors.cache.index.tabulate

    def counted(shards: list[Path], key: EmbeddingKey) -> RowTable:
        read.extend(shards)
        return original(shards, key)

    monkeypatch.setattr(headstart.extractors.cache.index, "tabulate", counted)
    return read


def test_what_the_index_knows_is_found_without_reading_a_shard(store: EmbeddingStore, reads: list[Path]) -> None:
    assert present(store) == list(range(30))
    assert store.n_rows() == 30
    assert reads == []
    assert values(store, range(29, -1, -3)) == list(range(29, -1, -3))


def test_shards_that_came_since_are_read_and_no_others(store: EmbeddingStore, reads: list[Path]) -> None:
    new = seal(store, range(30, 35))
    assert present(store) == list(range(35))
    assert set(reads) == {new}
    assert values(store, range(25, 35)) == list(range(25, 35))
    assert store.n_rows() == 35


def test_a_refreshed_index_knows_what_came_since(store: EmbeddingStore, reads: list[Path]) -> None:
    new = seal(store, range(30, 40))
    store.refresh_index()
    assert reads == [new]
    reads.clear()
    assert values(store, range(40)) == list(range(40))
    assert reads == []
    assert is_whole(store.path)


def test_an_index_that_is_up_to_date_is_not_written_again(store: EmbeddingStore) -> None:
    before = (store.path / FILE).stat()
    store.refresh_index()
    after = (store.path / FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_refresh_that_waits_for_more_shards_leaves_the_index_alone(store: EmbeddingStore) -> None:
    seal(store, range(30, 35))
    store.refresh_index(at_least=2)
    assert len(ShardIndex(store.path, KEY).unindexed) == 1
    seal(store, range(35, 40))
    store.refresh_index(at_least=2)
    assert ShardIndex(store.path, KEY).unindexed == []


def test_the_index_is_the_same_however_it_came_about(store: EmbeddingStore) -> None:
    seal(store, range(30, 40))
    store.refresh_index()
    merged = (store.path / FILE).read_bytes()
    (store.path / FILE).unlink()
    store.refresh_index()
    assert (store.path / FILE).read_bytes() == merged


def test_rows_of_a_shard_that_is_gone_are_missing(store: EmbeddingStore) -> None:
    held = store.shards()[1]
    index = ShardIndex(store.path, KEY)
    gone = [n for n in range(30) if index.find(as_bytes(DIGESTS[n]))[0][0] == 1]
    held.unlink()
    assert present(store) == sorted(set(range(30)) - set(gone))
    assert store.n_rows() == 20
    store.refresh_index()
    assert present(store) == sorted(set(range(30)) - set(gone))


def as_bytes(digest: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(digest), np.uint8).reshape(1, 32)


def test_a_shard_of_another_size_than_the_index_says_is_read_itself(store: EmbeddingStore) -> None:
    shard = store.shards()[0]
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(CacheError, match=f"{shard}: cannot be read as a shard"):
        store.missing(DIGESTS)


def test_an_image_in_two_shards_is_found_in_either_when_the_other_goes(store: EmbeddingStore) -> None:
    whole = seal(store, range(30))
    store.refresh_index()
    assert store.n_rows() == 30
    parts = [path for path in store.shards() if path != whole]
    whole.rename(aside := store.path / "aside")
    assert present(store) == list(range(30))
    assert values(store, range(30)) == list(range(30))
    aside.rename(whole)
    for path in parts:
        path.unlink()
    assert present(store) == list(range(30))
    assert values(store, range(30)) == list(range(30))
    assert store.n_rows() == 30


def test_digests_that_share_their_first_half_are_told_apart() -> None:
    digests = np.zeros((5, 32), np.uint8)
    digests[:, 31] = [3, 1, 4, 1, 5]
    table = sort_rows(digests, np.array([0, 0, 0, 1, 1], np.int32), np.array([0, 1, 2, 0, 1], np.int32))
    wanted = np.zeros((3, 32), np.uint8)
    wanted[:, 31] = [5, 1, 9]
    at = table.find(wanted, np.array([False, True]))
    assert [(table.shard[n], table.row[n]) for n in at[:2]] == [(1, 1), (1, 0)]
    assert at[2] == -1


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scribble(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


def flip(offset: int) -> Callable[[Path], None]:
    def flip_bit(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[offset] ^= 1
        path.write_bytes(content)

    return flip_bit


HEADER_DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "half": half,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "scribble": scribble,
    "its name": flip(0),
    "its length": flip(16),
    "its header": flip(24),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", HEADER_DAMAGE.values(), ids=HEADER_DAMAGE)
def test_an_index_that_cannot_be_read_is_none(store: EmbeddingStore, damage: Callable[[Path], None]) -> None:
    damage(store.path / FILE)
    assert read_index(store.path, KEY) is None
    assert values(store, range(30)) == list(range(30))
    assert present(store) == list(range(30))


def test_an_index_of_another_key_is_none(store: EmbeddingStore, tmp_path: Path) -> None:
    other = EmbeddingCache(tmp_path / "cache").store(replace(KEY, weights="sha256:aa"))
    other.create({})
    shutil.copy(store.path / FILE, other.path)
    assert read_index(other.path, other.key) is None
    assert other.missing(DIGESTS).all()


# A bit in the column of prefixes, digests, shards and rows; each begins on a page.
@pytest.mark.parametrize("column", [1, 2, 3, 4])
@pytest.mark.parametrize("byte", [0, 3, 7])
def test_a_flipped_bit_in_the_index_never_leads_to_a_wrong_row(store: EmbeddingStore, column: int, byte: int) -> None:
    flip(4096 * column + byte)(store.path / FILE)
    assert not is_whole(store.path)
    assert [values(store, range(number, number + 1)) for number in range(30)] == [[number] for number in range(30)]
    seal(store, range(30, 35))
    store.refresh_index()
    assert is_whole(store.path)
    assert values(store, range(35)) == list(range(35))


def test_a_shard_that_holds_other_images_than_the_index_says_is_named(store: EmbeddingStore) -> None:
    index = ShardIndex(store.path, KEY)
    (number,), _ = index.find(as_bytes(DIGESTS[4]))
    shard = index.shards[number]
    content = shard.read_bytes()
    shard.write_bytes(content.replace(bytes.fromhex(DIGESTS[4]), bytes.fromhex(DIGESTS[39])))
    with pytest.raises(
        CacheError,
        match=f"{shard}: holds other images than when it was sealed; run 'headstart verify .*/cache --repair'",
    ):
        store.view("penultimate", DIGESTS[:10])
    assert values(store, range(10, 30)) == list(range(10, 30))


def test_a_shard_of_another_key_with_the_same_name_and_size_is_refused(store: EmbeddingStore, tmp_path: Path) -> None:
    other = EmbeddingCache(tmp_path / "other", create=True).store(replace(KEY, weights="nine"))
    other.create({})
    shard = seal(other, range(10))
    shutil.copy(shard, store.path)
    with pytest.raises(CacheError, match="made under another key"):
        store.view("penultimate", DIGESTS[:10])


def test_processes_that_rebuild_at_once_leave_a_whole_index_and_no_part(store: EmbeddingStore) -> None:
    (store.path / FILE).unlink()
    code = f"""
from headstart.extractors.cache.cache import EmbeddingCache
(store,) = EmbeddingCache({str(store.path.parent.parent)!r}).stores()
print("ready", flush=True)
input()
store.refresh_index()
"""
    command = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    several = [subprocess.Popen(command, **pipes) for _ in range(3)]
    assert [process.stdout.readline() for process in several] == ["ready\n"] * 3
    for process in several:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in several:
        process.communicate(timeout=60)
    assert [process.returncode for process in several] == [0] * 3
    assert is_whole(store.path)
    assert present(store) == list(range(30))
    assert not list(store.path.glob("*.part"))


def test_a_key_without_rows_has_no_index(tmp_path: Path) -> None:
    store = EmbeddingCache(tmp_path, create=True).store(KEY)
    assert store.missing(DIGESTS).all()
    assert store.n_rows() == 0
    store.create({})
    store.refresh_index()
    assert not (store.path / FILE).exists()
