"""A fault of a disk, of rights or of memory is no damage; and of two repairs each ends with what is true."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from support.stored import cache_of, content, features

from headstart.extractors.cache.cache import EmbeddingStore
from headstart.extractors.cache.claims import prove
from headstart.extractors.errors import UnavailableError
from headstart.flows.errors import JobError
from headstart.flows.upkeep import repair as repairing
from headstart.flows.upkeep.verification import verify

Embed = Callable[..., Any]


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE, errno.ENOMEM, errno.ESTALE])
@pytest.mark.parametrize("where", ["opened", "read"])
def test_a_fault_of_disk_rights_or_memory_is_no_damage_and_nothing_is_touched(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch, number: int, where: str
) -> None:
    before, shard = content(store), store.shards()[1]
    opened = h5py.File

    def failing_open(path: Any, *arguments: Any, **options: Any) -> Any:
        if Path(path) == shard:
            raise OSError(f"Unable to open file ({path}, errno = {number}, error message = '{os.strerror(number)}')")
        return opened(path, *arguments, **options)

    def failing_read(path: Path, *arguments: Any) -> None:
        if path == shard:
            raise OSError(number, os.strerror(number))
        prove(path, *arguments)

    with monkeypatch.context() as patched:
        if where == "opened":
            patched.setattr("headstart.extractors.cache.shards.h5py.File", failing_open)
        else:
            patched.setattr("headstart.extractors.cache.shards.prove", failing_read)
        summary = verify(cache_of(store).path, repair=True)
        with pytest.raises(UnavailableError, match=os.strerror(number)):
            store.damaged()
    assert not summary.sound
    (found,) = summary.damage
    assert (found.unread, found.repaired) == (True, False)
    assert os.strerror(number) in found.problem
    assert "a shard could not be read, which may pass" in summary.notes[0]
    assert content(store) == before
    assert verify(cache_of(store).path).sound


def test_keys_that_cannot_be_looked_at_are_not_taken_for_none(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.iterdir

    def failing(path: Path) -> Any:
        if path.name == "embeddings":
            raise PermissionError(errno.EACCES, "Permission denied")
        return original(path)

    monkeypatch.setattr(Path, "iterdir", failing)
    with pytest.raises(UnavailableError, match="permission denied"):
        verify(cache_of(store).path)


def test_a_repair_that_fails_beside_one_that_ends_well_asks_again(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, shard = features(store), store.shards()[1]
    shard.write_bytes(shard.read_bytes()[:5000])
    original, entered = repairing.repair_key, []

    def late(*arguments: Any, **options: Any) -> Any:
        if not entered:
            entered.append(True)
            assert verify(cache_of(store).path, repair=True).sound
            raise JobError("the images are no longer there")
        return original(*arguments, **options)

    monkeypatch.setattr("headstart.flows.upkeep.verification.repair_key", late)
    summary = verify(cache_of(store).path, repair=True)
    assert summary.sound
    assert [entry.embedded for entry in summary.incomplete] == [12]
    assert features(store) == before


def test_a_repair_that_waited_for_another_is_sound(store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = store.shards()[1]
    shard.write_bytes(shard.read_bytes()[:5000])
    original, entered = repairing._load_same, []

    def late(*arguments: Any) -> Any:
        if not entered:
            entered.append(True)
            assert verify(cache_of(store).path, repair=True).sound
        return original(*arguments)

    monkeypatch.setattr(repairing, "_load_same", late)
    summary = verify(cache_of(store).path, repair=True)
    assert summary.sound
    assert [(entry.images, entry.embedded) for entry in summary.incomplete] == [(12, 12)]
