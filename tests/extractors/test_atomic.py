"""A file is wholly there or not at all, and an error of the file system says what to do."""

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from extractors.atomic import errors_explained, remove_stale_parts, write_atomically
from extractors.errors import CacheError


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


def test_parts_of_dead_writers_are_removed_and_those_of_living_ones_kept(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    gone = tmp_path / f"shard-1.h5.{socket.gethostname()}-{int(dead.stdout)}.part"
    living = tmp_path / f"shard-2.h5.{socket.gethostname()}-{os.getpid()}.part"
    elsewhere = tmp_path / "shard-3.h5.otherhost-1.part"
    for part in (gone, living, elsewhere):
        part.write_bytes(b"half")
    remove_stale_parts(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living, elsewhere])
