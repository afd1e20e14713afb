"""Files that are either wholly there or not at all, whatever happens while they are written."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from extractors.errors import CacheError

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


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` so that a kill or a full disk leaves the earlier file, or none, but never half a file.

    Raises
    ------
    CacheError
        The file system refuses; the message says why and what to do. No part file is left behind.
    """
    part = path.with_name(f"{path.name}.{socket.gethostname()}-{os.getpid()}.part")
    with errors_explained(path):
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        _fsync_folder(path.parent)


def remove_stale_parts(folder: Path) -> None:
    """Delete the part files that dead processes of this host left in `folder`; those of living ones are in use."""
    for part in folder.glob(f"*.{socket.gethostname()}-*.part"):
        pid = int(part.name.removesuffix(".part").rpartition("-")[2])
        if not psutil.pid_exists(pid):
            with errors_explained(part):
                part.unlink(missing_ok=True)


@contextmanager
def errors_explained(path: Path) -> Iterator[None]:
    """Turn an `OSError` about `path` into a `CacheError` that says what to do next."""
    try:
        yield
    except CacheError:
        raise
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
        raise CacheError(f"{path}: {advice}") from error


def _fsync_folder(folder: Path) -> None:
    # A rename is durable only when the folder that holds the name has reached the disk too.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
