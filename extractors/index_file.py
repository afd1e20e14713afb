"""The file that repeats what sealed shards say of their digests: derived, memory-mapped, and rebuilt at will.

``index.bin`` is a line that names it, eight bytes with the length of a JSON object, that object (which shards it knows,
how many rows they have), four columns that each begin on a page, and the SHA-256 of all that. It is no HDF5: it is
written piece by piece, and 10 million rows would be three times in memory while HDF5 builds a file.
"""

import hashlib
import json
import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headstart.extractors.atomic import atomic_file
from headstart.extractors.digests import DIGEST_BYTES
from headstart.extractors.row_table import RowTable
from headstart.extractors.spec.key import EmbeddingKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headstart.extractors.shards import Array

FILE = "index.bin"
_MAGIC = b"headstart index\n"
_FORMAT = 1
_LENGTH_BYTES = 8
_CHECKSUM_BYTES = 32
_PAGE = 4096
_PIECE_ROWS = 2**20
# Little-endian on every machine, in this order.
_COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "prefix": ("<u8", ()),
    "digest": ("|u1", (DIGEST_BYTES,)),
    "shard": ("<i4", ()),
    "row": ("<i4", ()),
}


@dataclass(frozen=True, eq=False)
class IndexFile:
    """What an index file says.

    Attributes
    ----------
    shards : list of (str, int)
        Name and size in bytes of each shard it knows, in the order in which the table numbers them.
    table : RowTable
        Their rows, memory-mapped.
    """

    shards: list[tuple[str, int]]
    table: RowTable


def read_index(folder: Path, key: EmbeddingKey) -> IndexFile | None:
    """Map the index file of a key; None where there is none, or one that is damaged or another key's.

    Its columns are not read, and so not checked: see `is_whole`.
    """
    try:
        with (folder / FILE).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = len(_MAGIC) + _LENGTH_BYTES
        length = int.from_bytes(mapped[len(_MAGIC) : start], "little")
        header = json.loads(mapped[start : start + length])
        if mapped[: len(_MAGIC)] != _MAGIC or (header["format"], header["key"]) != (_FORMAT, key.id):
            return None
        shards = [(str(name), int(size)) for name, size in header["shards"]]
        offsets, end = _layout(start + length, n_rows := int(header["n_rows"]))
        if not shards or len(mapped) != end + _CHECKSUM_BYTES:
            return None
        columns = {
            name: np.ndarray((n_rows, *shape), dtype, mapped, offsets[name])
            for name, (dtype, shape) in _COLUMNS.items()
        }
    except (OSError, ValueError, KeyError, TypeError):  # it only repeats the shards, which are read instead
        return None
    return IndexFile(shards, RowTable(**columns))


def is_whole(folder: Path) -> bool:
    """Tell whether the bytes of the index file give the checksum at its end."""
    with (
        (folder / FILE).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as content,
    ):
        return hashlib.sha256(content[:-_CHECKSUM_BYTES]).digest() == content[-_CHECKSUM_BYTES:]


def write_index(folder: Path, key: EmbeddingKey, shards: list[tuple[str, int]], table: RowTable) -> None:
    """Write the index file of a key in place of the earlier one.

    Raises
    ------
    CacheError
        The folder cannot be written.
    """
    checksum = hashlib.sha256()
    with atomic_file(folder / FILE) as file:
        for piece in _pieces(key, shards, table):
            checksum.update(piece)
            file.write(piece)
        file.write(checksum.digest())


def _pieces(key: EmbeddingKey, shards: list[tuple[str, int]], table: RowTable) -> "Iterator[bytes | memoryview]":
    header = json.dumps({"format": _FORMAT, "key": key.id, "n_rows": len(table), "shards": shards}).encode()
    at = len(_MAGIC) + _LENGTH_BYTES + len(header)
    offsets, end = _layout(at, len(table))
    yield _MAGIC + len(header).to_bytes(_LENGTH_BYTES, "little") + header
    for name, (dtype, _) in _COLUMNS.items():
        yield bytes(offsets[name] - at)
        column: Array = getattr(table, name)
        for first in range(0, len(column), _PIECE_ROWS):
            yield np.ascontiguousarray(column[first : first + _PIECE_ROWS], dtype).data.cast("B")
        at = offsets[name] + column.nbytes
    yield bytes(end - at)


def _layout(header_end: int, n_rows: int) -> tuple[dict[str, int], int]:
    """Return where each column begins, and where the last one ends."""
    offsets, end = {}, header_end
    for name, (dtype, shape) in _COLUMNS.items():
        offsets[name] = -(-end // _PAGE) * _PAGE
        end = offsets[name] + n_rows * np.dtype(dtype).itemsize * math.prod(shape)
    return offsets, end
