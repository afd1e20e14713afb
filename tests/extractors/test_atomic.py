"""A file is wholly there or not at all, and an error of the file system says what to do."""

import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from headstart.extractors.atomic import atomic_file, errors_explained, make_folder, remove_stale_parts, write_atomically
from headstart.extractors.errors import CacheError

HOST = socket.gethostname()


def test_a_failed_write_keeps_the_earlier_file_and_leaves_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "listing"
    write_atomically(path, b"earlier")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CacheError, match="the disk is full; what was sealed before is safe: free some space"):
        write_atomically(path, b"later")
    assert path.read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.iterdir()] == ["listing"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "permission denied; choose another folder"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EDQUOT, "quota is used up"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_an_error_of_the_file_system_says_what_to_do(number: int, advice: str, tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=f"{tmp_path}: .*{advice}"), errors_explained(tmp_path):
        raise OSError(number, os.strerror(number))


def part_of(folder: Path, name: str, host: str, pid: int, age_s: float = 0) -> Path:
    part = folder / f"{name}.{host}-{pid}.part"
    part.write_bytes(b"half")
    os.utime(part, (time.time() - age_s,) * 2)
    return part


@pytest.fixture
def dead() -> int:
    """The number of a process that is gone."""
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    return int(ended.stdout)


def test_parts_of_dead_writers_are_removed_and_those_of_living_ones_kept(tmp_path: Path, dead: int) -> None:
    part_of(tmp_path, "shard-1.h5", HOST, dead)
    living = part_of(tmp_path, "shard-2.h5", HOST, os.getpid())
    remove_stale_parts(tmp_path)
    assert list(tmp_path.iterdir()) == [living]


def test_a_part_that_is_older_than_the_process_of_its_number_is_of_a_dead_one(tmp_path: Path) -> None:
    started = psutil.Process().create_time()
    part_of(tmp_path, "shard-1.h5", HOST, os.getpid(), age_s=time.time() - started + 60)
    remove_stale_parts(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_that_nobody_reaped_is_dead(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "print(1)"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        process.stdout.read()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    part_of(tmp_path, "shard-1.h5", HOST, process.pid)
    remove_stale_parts(tmp_path)
    assert list(tmp_path.iterdir()) == []
    process.wait()


@pytest.mark.parametrize("host", ["otherhost", f"other.{HOST}", f"{HOST}-2"])
def test_parts_of_other_hosts_are_kept_for_a_week(tmp_path: Path, dead: int, host: str) -> None:
    recent = part_of(tmp_path, "shard-1.h5", host, dead, age_s=6 * 86400)
    part_of(tmp_path, "shard-2.h5", host, dead, age_s=8 * 86400)
    remove_stale_parts(tmp_path)
    assert list(tmp_path.iterdir()) == [recent]


def test_a_folder_is_known_to_the_disk_before_anything_is_written_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("headstart.extractors.atomic._sync_folder", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert synced == [tmp_path, tmp_path / "a"]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_a_file_that_is_written_piece_by_piece_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with atomic_file(path) as file:
        file.write(b"one ")
        assert not path.exists()
        file.write(b"two")
    assert path.read_bytes() == b"one two"
    with pytest.raises(TypeError), atomic_file(path) as file:
        file.write(b"three" + None)  # type: ignore[operator]  # the error that ends the block
    assert path.read_bytes() == b"one two"
    assert list(tmp_path.iterdir()) == [path]
