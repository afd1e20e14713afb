"""One writer a key: a file lock that goes with its process, however that ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, SoftFileLock, Timeout

from headstart.extractors.atomic import errors_explained, make_folder
from headstart.extractors.errors import CacheError

WRITER_LOCK = "writer.lock"
_POLL_S = 0.2


@contextmanager
def writer_lock(
    folder: Path, *, on_wait: Callable[[Path], None] | None = None, name: str = WRITER_LOCK
) -> Iterator[None]:
    """Be the only process of this host that writes into the folder of a key; wait for another one to end.

    The lock is the kernel's, on the file ``writer.lock``: the file stays, and means nothing without a process that
    holds it. It cannot be taken twice, not even by one process. Whoever held it before may have sealed or removed
    shards: look at the folder again once it is held.

    Parameters
    ----------
    folder : Path
        ``CACHE/embeddings/<id>``; it is made where it is missing.
    on_wait : callable
        Called once with the path of the lock, where another process holds it.
    name : str
        Of the file; what other files in a folder guard is written beside what this one does.

    Raises
    ------
    CacheError
        The folder cannot be written, or its file system knows no locks.
    """
    make_folder(folder)
    lock = FileLock(folder / name, poll_interval=_POLL_S)
    with errors_explained(folder / name):
        try:
            _acquire(lock, folder / name, on_wait)
        except NotImplementedError as error:  # filelock before 3.25
            raise _no_locks(folder) from error
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, file: Path, on_wait: Callable[[Path], None] | None) -> None:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_wait:
            on_wait(file)
        lock.acquire()
    if isinstance(lock, SoftFileLock):  # filelock's way out where the kernel has no lock; it would outlive a kill
        lock.release()
        raise _no_locks(file.parent)


def _no_locks(folder: Path) -> CacheError:
    return CacheError(f"{folder}: its file system knows no file locks; put the cache on another one (--cache DIR)")
