"""The bytes of one image, wherever it lies: read, bounded in size, and digested."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from headstart.extractors.errors import ImageSetError, NotAllowedError, NotReadError
from headstart.extractors.images.image_set import ImageSource, ListedImage, listed_file, os_reason
from headstart.extractors.images.roots import NOT_ALLOWED, ImageRoot, RemoteRoot, is_allowed, is_url, place_of
from headstart.extractors.images.sources import reader_of

if TYPE_CHECKING:
    import pandas as pd  # an image is read without

MAX_BYTES = 2 * 2**30  # far above any encoded image within the limit of pixels; what is larger is no image

_CHUNK_BYTES = 1 << 20


def image_sources(rows: "pd.DataFrame") -> list[ImageSource]:
    """Return the source of each row, as `read_bytes` needs it, also of a listing that has been through Parquet."""
    in_archive = rows["archive"].notna()
    return [
        ImageSource(path, archive if archived else None, int(offset) if archived else None, int(size))
        for path, archive, archived, offset, size in zip(
            rows["path"], rows["archive"], in_archive, rows["offset"].fillna(0), rows["bytes"], strict=True
        )
    ]


def read_bytes(root: ImageRoot, source: ImageSource) -> bytes:
    """Return the encoded bytes of one image; safe to call from many threads.

    Raises
    ------
    NotReadError
        The file has vanished, may not be read, is a folder, is shorter than it was when it was listed, is over
        `MAX_BYTES`, or does not fit into the memory; or the store that holds it does not give it.
    """
    try:
        data = b"".join(_pieces(root, source, MAX_BYTES))
    except MemoryError as error:
        raise NotReadError(f"not enough memory to read its {source.bytes} bytes") from error
    _check_length(len(data), source)
    return data


def digest_bytes(root: ImageRoot, source: ImageSource) -> str:
    """Return the SHA-256 (hex) of what `read_bytes` returns, without holding it in memory.

    Raises
    ------
    NotReadError
        As `read_bytes`.
    """
    digest, found = hashlib.sha256(), 0
    for piece in _pieces(root, source, _CHUNK_BYTES):
        digest.update(piece)
        found += len(piece)
    _check_length(found, source)
    return digest.hexdigest()


def read_in_place(root: ImageRoot, source: ImageSource, at_once: int) -> Iterator[bytes]:
    """Yield the bytes of an image that is a file or object of its own, or lies unchanged inside an archive."""
    if is_remote(root, source):
        from headstart.extractors.images.remote import read_object, read_range  # noqa: PLC0415 - local images do without

        url = place_of(root, source.archive or source.path)
        if source.archive is None:
            yield read_object(url, source.bytes)
        else:
            yield read_range(url, source.offset or 0, source.bytes)
        return
    with Path(place_of(root, source.archive or source.path)).open("rb") as file:
        left = os.fstat(file.fileno()).st_size if source.archive is None else source.bytes
        _check_size(left)
        file.seek(source.offset or 0)
        while left and (piece := file.read(min(left, at_once))):
            yield piece
            left -= len(piece)


@contextmanager
def opened_archive(root: ImageRoot, name: str) -> Iterator[tuple[BinaryIO, ListedImage]]:
    """Open a file or object to list what is in it, and give its own row; of an object only what is asked for is read.

    Raises
    ------
    ImageSetError
        It cannot be read.
    NotAllowedError
        This process may not read there.
    """
    place = place_of(root, name)
    if not is_allowed(place):
        raise NotAllowedError(f"{place}: {NOT_ALLOWED}")
    try:
        if isinstance(root, RemoteRoot):
            from headstart.extractors.images.remote import open_object  # noqa: PLC0415 - local images do without

            with open_object(name, place) as (remote, row):
                yield remote, row
        else:
            with Path(place).open("rb") as file:
                yield file, listed_file(name, os.fstat(file.fileno()))
    except NotReadError as error:
        raise ImageSetError(f"{place}: cannot be read: {error}") from error
    except OSError as error:
        raise ImageSetError(f"{place}: cannot be read ({os_reason(error)}); check its owner") from error


@contextmanager
def opened_at(root: ImageRoot, archive: str, start: int, expected: int) -> Iterator["io.BufferedReader[Any]"]:
    """Open an archive at a byte to read on from there; of an object, the `expected` bytes are asked for at once."""
    if isinstance(root, RemoteRoot):
        from headstart.extractors.images.remote import RangeFile  # noqa: PLC0415 - local images do without

        with io.BufferedReader(RangeFile(place_of(root, archive)), expected) as remote:
            remote.seek(start)
            yield remote
        return
    with Path(place_of(root, archive)).open("rb") as file:
        file.seek(start)
        yield file


def is_remote(root: ImageRoot, source: ImageSource) -> bool:
    """Tell an image at an address from a file."""
    return isinstance(root, RemoteRoot) or is_url(source.path)


def _pieces(root: ImageRoot, source: ImageSource, at_once: int) -> Iterator[bytes]:
    """Yield the bytes of an image as its source gives them; whatever the source, within limits and where it may."""
    try:
        _check_size(source.bytes)
        # Whatever the listing says: links change, and a listing may be planted.
        if not is_allowed(place_of(root, source.archive or source.path)):
            raise NotReadError(NOT_ALLOWED)  # noqa: TRY301 - it is passed on below
        found = 0
        for piece in reader_of(root, source)(root, source, at_once):
            found += len(piece)
            _check_size(found)
            yield piece
    except NotReadError:
        raise  # it is an OSError, too
    except NotAllowedError as error:
        raise NotReadError(str(error)) from error
    except OSError as error:
        raise NotReadError(os_reason(error)) from error


def _check_size(n_bytes: int) -> None:
    if n_bytes > MAX_BYTES:
        raise NotReadError(f"{n_bytes} bytes is over the limit of {MAX_BYTES}")


def _check_length(found: int, source: ImageSource) -> None:
    if found < source.bytes:
        raise NotReadError(f"shorter than listed ({found} of {source.bytes} bytes); it has changed since")
