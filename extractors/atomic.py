"""Files that are either wholly there or not at all, whatever happens while they are written."""

import errno
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import psutil

from headstart.extractors.errors import CacheError, UnavailableError, passing_fault

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


_CLOCK_SLACK_S = 2  # psutil knows when a process started to about a second
_ABANDONED_S = 7 * 24 * 3600


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
    part = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}.part")
    with errors_explained(path):
        try:
            with part.open("wb") as file:
                yield file
                _sync(file)
            before_rename()
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


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
    """Delete the part files that dead writers left in `folder`; those of living ones are in use.

    Whether a process of another host still lives cannot be asked from here, so what another host left is deleted only
    when nothing was written to it for a week. A folder that may not be written is left as it is.
    """
    stale = [part for part in folder.glob("*.part") if _is_stale(part)]
    if stale and os.access(folder, os.W_OK):
        with errors_explained(folder):
            for part in stale:
                part.unlink(missing_ok=True)


def _is_stale(part: Path) -> bool:
    # The name is that of the file (one dot), the host (any number of dots), the process.
    host, _, pid = part.name.removesuffix(".part").split(".", 2)[-1].rpartition("-")
    try:
        written = part.stat().st_mtime
        if host != socket.gethostname() or not pid.isdecimal():
            return time.time() - written > _ABANDONED_S
        process = psutil.Process(int(pid))
        # A process that started after the last write was only given the number of the dead one.
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > written + _CLOCK_SLACK_S
    except psutil.NoSuchProcess:
        return True
    except FileNotFoundError:  # finished, or deleted by another process, meanwhile
        return False


@contextmanager
def errors_explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` about `path` into a `CacheError` that says what to do next."""
    try:
        yield
    except CacheError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        raise (UnavailableError if passing_fault(error) else CacheError)(f"{path}: {advice}") from error


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # A rename is durable only when the folder that holds the name has reached the disk too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
