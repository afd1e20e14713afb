"""A file is wholly there or not at all, and an error of the file system says what to do."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart.extractors import atomic
from headstart.extractors.atomic import (
    append_line,
    atomic_file,
    errors_explained,
    make_folder,
    remove_stale_parts,
    write_atomically,
)
from headstart.extractors.errors import CacheError

HOST = socket.gethostname()
ROOT = Path(__file__).parent.parent.parent


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


def part_of(folder: Path, name: str, host: str = HOST, digits: str = "0123456789abcdef", age_s: float = 0) -> Path:
    part = folder / f"{name}.{host}-{digits}.part"
    part.write_bytes(b"half")
    os.utime(part, (time.time() - age_s,) * 2)
    return part


WRITE = """
import sys
from pathlib import Path
from headstart.extractors.atomic import atomic_file
with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    input()
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that writes a shard into `tmp_path`, until it reads a line."""
    command = [sys.executable, "-c", WRITE, tmp_path / "shard-2.h5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield process
        process.kill()


def test_parts_of_dead_writers_are_removed_and_those_of_living_ones_kept(
    tmp_path: Path, writer: "subprocess.Popen[str]"
) -> None:
    part_of(tmp_path, "shard-1.h5")
    (living,) = tmp_path.glob("shard-2.h5.*.part")
    remove_stale_parts(tmp_path)
    assert list(tmp_path.iterdir()) == [living]
    writer.communicate("go\n", timeout=30)
    assert [path.name for path in tmp_path.iterdir()] == ["shard-2.h5"]


def test_the_part_of_a_living_writer_of_another_process_space_is_kept_however_old_it_is(
    tmp_path: Path, writer: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers may share the name of the host and the folder, and have numbers of processes of their own."""
    (living,) = tmp_path.glob("*.part")
    os.utime(living, (0, 0))
    for host in (HOST, "container"):
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        remove_stale_parts(tmp_path)
        assert list(tmp_path.iterdir()) == [living]


def test_a_killed_writer_that_nobody_reaped_is_dead(tmp_path: Path, writer: "subprocess.Popen[str]") -> None:
    writer.kill()
    assert writer.stdout is not None
    writer.stdout.read()  # ends when the process is gone, reaped or not
    remove_stale_parts(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["otherhost", f"other.{HOST}", f"{HOST}-2"])
def test_parts_of_other_hosts_are_kept_for_a_week(tmp_path: Path, host: str) -> None:
    recent = part_of(tmp_path, "shard-1.h5", host, age_s=6 * 86400)
    part_of(tmp_path, "shard-2.h5", host, age_s=8 * 86400)
    remove_stale_parts(tmp_path)
    assert list(tmp_path.iterdir()) == [recent]


def test_parts_of_an_earlier_version_which_have_no_lock_are_kept_for_a_week(tmp_path: Path) -> None:
    recent = part_of(tmp_path, "shard-1.h5", digits="4711", age_s=6 * 86400)
    part_of(tmp_path, "shard-2.h5", digits="4711", age_s=8 * 86400)
    remove_stale_parts(tmp_path)
    assert list(tmp_path.iterdir()) == [recent]


def test_a_link_that_was_planted_under_the_name_of_a_part_is_not_written_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "another's"
    other.write_bytes(b"precious")
    tokens = ["planted", "free"]
    for foreseen in (f"{HOST}-planted", f"{HOST}-{os.getpid()}"):
        (tmp_path / f"file.{foreseen}.part").symlink_to(other)
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda _: tokens.pop(0))
    write_atomically(tmp_path / "file", b"mine")
    assert tokens == []
    assert other.read_bytes() == b"precious"
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert not (tmp_path / "file").is_symlink()
    remove_stale_parts(tmp_path)
    assert other.read_bytes() == b"precious"


def test_the_name_of_a_part_cannot_be_foreseen_and_its_rights_are_those_of_any_file(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        with atomic_file(tmp_path / "file") as file:
            names.add(file.name)
    assert len(names) == 2
    (tmp_path / "x").touch()
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "x").stat().st_mode


def test_a_part_that_is_cleared_away_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, cleared = atomic._try_lock, []

    def late(descriptor: int) -> bool | None:
        if not cleared:
            cleared.append(True)
            for part in tmp_path.glob("*.part"):
                part.unlink()
        return original(descriptor)

    monkeypatch.setattr(atomic, "_try_lock", late)
    write_atomically(tmp_path / "file", b"whole")
    assert cleared
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


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


def test_a_finished_file_is_locked_by_nobody_though_a_forked_process_still_has_it_open(tmp_path: Path) -> None:
    with atomic_file(tmp_path / "file") as file:
        inherited = os.dup(file.fileno())
    try:
        with (tmp_path / "file").open("rb") as read:
            fcntl.flock(read, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(inherited)


@pytest.mark.parametrize("torn", [b"", b"whole\n", b"whole\nto"], ids=["empty", "whole", "torn"])
def test_a_line_is_added_whole_also_behind_one_that_was_cut_short(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "lines"
    path.write_bytes(torn)
    append_line(path, "added ü")
    append_line(path, "last", synced=False)
    lines = path.read_text().split("\n")
    assert lines[-3:] == ["added ü", "last", ""]
    assert lines[:-3] == [line for line in torn.decode().split("\n") if line]
