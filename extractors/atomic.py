"""Files that are either wholly there or not at all, whatever happens while they are written."""

import errno
import fcntl
import os
import secrets
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from headstart.extractors.errors import CacheError, UnavailableError, errno_of, passing_fault

_ADVICE = {
    errno.ENOSPC: "the disk is full; what was sealed before is safe: free some space and run the same command again",
    errno.EDQUOT: (
        "the disk quota is used up; what was sealed before is safe: free some space and run the same command again"
    ),
    errno.EACCES: "permission denied; choose another folder, or make this one writable",
    errno.EPERM: "permission denied; choose another folder, or make this one writable",
    errno.ENOENT: "no such folder; it was removed meanwhile: run the same command again",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another folder",
    errno.EROFS: "the file system is read-only; choose another folder",
}


_RETRY = "see to disk, rights or memory and run the same command again"
_TOKEN_DIGITS = 16
ABANDONED_S = 7 * 24 * 3600
"""Seconds after which a file of another host counts as left behind: its lock may not be seen from here."""


def write_atomically(path: Path, data: bytes | memoryview, *, before_rename: Callable[[], None] = lambda: None) -> None:
    """Write `data` to `path` so that a kill or a full disk leaves the earlier file, or none, but never half a file.

    Parameters
    ----------
    path : Path
    data : bytes
    before_rename : callable
        Called when all is on the disk but for the name; what it raises leaves the earlier file.

    Raises
    ------
    CacheError
        The file system refuses; the message says why and what to do. No part file is left behind.
    """
    with atomic_file(path, before_rename=before_rename) as file:
        file.write(data)


@contextmanager
def atomic_file(path: Path, *, before_rename: Callable[[], None] = lambda: None) -> Iterator[BinaryIO]:
    """Yield a file to write piece by piece; it becomes `path` when the block ends well, and vanishes otherwise.

    Raises
    ------
    CacheError
        The file system refuses; the message says why and what to do.
    """
    with errors_explained(path):
        part, file = _new_part(path)
        try:
            with file:  # which holds the lock until the file has its name
                yield file
                _sync(file)
                before_rename()
                part.replace(path)
                _unlock(file.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def append_line(path: Path, line: str, *, synced: bool = True) -> None:
    """Add a line to a file, made where it is missing: in one piece, so that no other process's line comes between.

    Whoever wrote last may have been killed halfway: that line is lost, and the next must not be lost with it. A reader
    passes over what it cannot read.

    Parameters
    ----------
    path : Path
    line : str
        Without its end.
    synced : bool
        Wait until it is on the disk, where a power cut does not reach it.

    Raises
    ------
    CacheError
        The file system refuses; the message says why and what to do.
    """
    with errors_explained(path), path.open("ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        whole = not size or os.pread(file.fileno(), 1, size - 1) == b"\n"
        file.write(f"{line}\n".encode() if whole else f"\n{line}\n".encode())
        if synced:
            os.fsync(file.fileno())


def _new_part(path: Path) -> tuple[Path, BinaryIO]:
    """Make a part file whose name nobody could foresee, and lock it: the lock is its sign of life.

    A name that is taken, if only by a link, is left as it is.
    """
    while True:
        part = path.with_name(f"{path.name}.{socket.gethostname()}-{secrets.token_hex(_TOKEN_DIGITS // 2)}.part")
        try:
            file = open(part, "xb", opener=_open_no_link)  # noqa: SIM115 - Path.open takes no opener; closed by the caller
        except FileExistsError:
            continue
        _try_lock(file.fileno())
        if _is_same(part, file.fileno()):
            return part, file
        file.close()  # another process took it for a dead one's between the two lines above


def _open_no_link(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW, 0o666)


def _try_lock(descriptor: int) -> bool | None:
    """Lock a file if nobody else does; None where its file system knows no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _unlock(descriptor: int) -> None:
    """Let go of a lock, which closing does not while a process that was just forked still holds the descriptor too."""
    with suppress(OSError):  # the file system knows no locks
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _is_same(part: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(part.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it that are missing, each known to the disk before anything is written into it.

    Raises
    ------
    CacheError
        The file system refuses; the message says why and what to do.
    """
    with errors_explained(folder):
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for place in reversed(missing):
            _sync_folder(place.parent)


def remove_stale_parts(folder: Path) -> None:
    """Delete the part files that dead writers left in `folder`: those that nobody holds locked.

    Another machine's lock may not be seen from here, so what another host left is deleted only when nothing was written
    to it for a week, and so is everything where the file system knows no locks. A folder that may not be written is
    left as it is, and so is what has the name of a part and is no file.
    """
    if not os.access(folder, os.W_OK):
        return
    for part in folder.glob("*.part"):
        with (
            errors_explained(folder),
            suppress(FileNotFoundError),
        ):  # finished, or deleted by another process, meanwhile
            _remove_if_stale(part)


def _remove_if_stale(part: Path) -> None:
    if not stat.S_ISREG(part.lstat().st_mode):
        return
    try:
        descriptor = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:
        return  # another user's, who clears it away
    try:
        # The name is that of the file (one dot), the host (any number of dots), and 16 hex digits; an earlier version
        # had the number of a process in their place, and no lock.
        host, _, token = part.name.removesuffix(".part").split(".", 2)[-1].rpartition("-")
        free = _try_lock(descriptor)
        known = free and host == socket.gethostname() and len(token) == _TOKEN_DIGITS
        abandoned = time.time() - os.fstat(descriptor).st_mtime > ABANDONED_S
        if (known or (free is not False and abandoned)) and _is_same(part, descriptor):
            part.unlink()
    finally:
        os.close(descriptor)


@contextmanager
def errors_explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` about `path` into a `CacheError` that says what to do next."""
    try:
        yield
    except CacheError:
        raise
    except (OSError, RuntimeError) as error:  # the latter where HDF5 could not write
        number = errno_of(error)
        if number is None and isinstance(error, RuntimeError):
            raise
        advice = str(error) if number is None else _ADVICE.get(number) or f"{os.strerror(number)}; {_RETRY}"
        raise (UnavailableError if passing_fault(error) else CacheError)(f"{path}: {advice}") from error


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    # A rename is durable only when the folder that holds the name has reached the disk too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


sync_folder, try_lock = _sync_folder, _try_lock  # for folders that are written whole, as these files are
