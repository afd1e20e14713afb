"""The bytes of one image, wherever it lies: read, bounded in size, and digested."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from headstart.extractors.errors import NotReadError
from headstart.extractors.images.image_set import (
    os_reason,
)
from headstart.extractors.images.roots import NOT_ALLOWED, ImageRoot, RemoteRoot, is_allowed, is_url, place_of

MAX_BYTES = 2 * 2**30  # far above any encoded image within the limit of pixels; what is larger is no image


_CHUNK_BYTES = 1 << 20


class ImageSource(NamedTuple):
    """Where the bytes of one image lie: a file or object under the root, or `bytes` bytes from `offset` in a tar."""

    path: str
    archive: str | None
    offset: int | None
    bytes: int


def image_sources(rows: pd.DataFrame) -> list[ImageSource]:
    """Return what `read_bytes` needs of each row of a listing, also of one that has been through Parquet."""
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
        if is_remote(root, source):
            return _read_remote(root, source)
        with _opened(root, source) as (file, n_bytes):
            data = file.read(n_bytes)
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
    if is_remote(root, source):
        return hashlib.sha256(_read_remote(root, source)).hexdigest()
    with _opened(root, source) as (file, n_bytes):
        if source.archive is None:
            digest = hashlib.file_digest(file, "sha256")
            _check_length(file.tell(), source)
            return digest.hexdigest()
        digest, left = hashlib.sha256(), n_bytes
        while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
            digest.update(chunk)
            left -= len(chunk)
        _check_length(n_bytes - left, source)
        return digest.hexdigest()


def is_remote(root: ImageRoot, source: ImageSource) -> bool:
    """Tell an image at an address from a file."""
    return isinstance(root, RemoteRoot) or is_url(source.path)


def _read_remote(root: ImageRoot, source: ImageSource) -> bytes:
    from headstart.extractors.images.remote import read_object, read_range  # noqa: PLC0415 - local images do without

    if source.bytes > MAX_BYTES:
        raise NotReadError(f"{source.bytes} bytes is over the limit of {MAX_BYTES}")
    url = place_of(root, source.archive or source.path)
    if source.archive is None:
        return read_object(url, source.bytes)
    return read_range(url, source.offset or 0, source.bytes)


@contextmanager
def _opened(root: ImageRoot, source: ImageSource) -> Iterator[tuple[BufferedReader, int]]:
    """Open a file at the first byte of its image, and say how many bytes belong to it; an OSError says it plainly."""
    try:
        place = Path(str(root), source.archive or source.path)
        if not is_allowed(place):  # whatever the listing says: links change, and a listing may be planted
            raise NotReadError(NOT_ALLOWED)  # noqa: TRY301 - it is passed on below
        with place.open("rb") as file:
            n_bytes = os.fstat(file.fileno()).st_size if source.archive is None else source.bytes
            if n_bytes > MAX_BYTES:
                raise NotReadError(f"{n_bytes} bytes is over the limit of {MAX_BYTES}")  # noqa: TRY301 - it is passed on below
            file.seek(source.offset or 0)
            yield file, n_bytes
    except NotReadError:
        raise  # it is an OSError, too
    except OSError as error:
        raise NotReadError(os_reason(error)) from error


def _check_length(found: int, source: ImageSource) -> None:
    if found < source.bytes:
        raise NotReadError(f"shorter than listed ({found} of {source.bytes} bytes); it has changed since")
