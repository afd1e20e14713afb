"""Rows of shards sorted by digest, in memory or mapped, and the search in them."""

import hashlib
import json
import math
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headstart.extractors.arrays import Array
from headstart.extractors.atomic import atomic_file
from headstart.extractors.cache.claims import UNREADABLE
from headstart.extractors.cache.digests import DIGEST_BYTES, PIECE_ROWS, prefixes
from headstart.extractors.cache.shards import read_digests
from headstart.extractors.errors import refuse_passing_fault
from headstart.extractors.spec import EmbeddingKey

if TYPE_CHECKING:
    from collections.abc import Iterator


Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RowTable:
    """Rows sorted by the first eight bytes of their digests; an image that lies in two shards is there twice.

    Attributes
    ----------
    prefix : uint64 array (n_rows,)
        First eight bytes of each digest as a big-endian number: what is searched is then 80 MB of 10 million rows.
    digest : uint8 array (n_rows, 32)
        SHA-256 of the image.
    shard, row : int32 array (n_rows,)
        Number of the shard, and position in it.
    """

    prefix: Array
    digest: Array
    shard: Array
    row: Array

    def __len__(self) -> int:
        return len(self.prefix)

    def find(self, wanted: Array, served: Mask | None = None) -> Positions:
        """Return a position in the table for each digest, uint8 (n, 32); -1 for none.

        Only rows of shards that are `served`, bool (n_shards,), are found; by default all are.
        """
        prefix = prefixes(wanted)
        order = np.argsort(prefix)  # a sorted search walks through mapped pages once
        positions = np.empty(len(wanted), np.int64)
        for start in range(0, len(order), PIECE_ROWS):  # of millions, all digests at once would be twice in memory
            some = order[start : start + PIECE_ROWS]
            positions[some] = self._find_sorted(wanted[some], prefix[some], served)
        return positions

    def _find_sorted(self, wanted: Array, prefix: Array, served: Mask | None) -> Positions:
        at = np.searchsorted(self.prefix, prefix)
        found = np.full(len(wanted), -1)
        left = np.arange(len(wanted))
        # Two digests that share 64 bits would be a wonder; comparing all 256 makes a wrong row impossible.
        while len(left := left[at[left] < len(self)]) and len(left := left[self.prefix[at[left]] == prefix[left]]):
            here = at[left]
            hit = (self.digest[here] == wanted[left]).all(axis=1) & self.lies_in(served, here)
            found[left[hit]] = here[hit]
            left = left[~hit]
            at[left] += 1
        return found

    def n_distinct(self, served: Mask | None = None) -> int:
        """Count the distinct digests, of the shards that are `served`."""
        prefix = self.prefix[self.lies_in(served, slice(None))]
        return int(np.count_nonzero(prefix[1:] != prefix[:-1])) + bool(len(prefix))

    def lies_in(self, served: Mask | None, positions: Positions | slice) -> Mask:
        """Tell which rows at these positions are of shards that are `served`."""
        shard = self.shard[positions]
        # Only a damaged table has a number that no shard has: 'clip' leaves it to the comparison with the shard.
        return np.ones(len(shard), bool) if served is None else served.take(shard, mode="clip")


def tabulate(shards: Sequence[Path], key: EmbeddingKey) -> RowTable:
    """Read the digests of shards, which are numbered in the order given.

    Raises
    ------
    CacheError
        A shard is damaged, or was made under another key.
    """
    digests = [read_digests(path, key) for path in shards]
    lengths = np.array([len(rows) for rows in digests], np.int64)
    starts = np.cumsum(lengths) - lengths
    digest = np.concatenate([np.empty((0, DIGEST_BYTES), np.uint8), *digests])
    del digests  # or 10 million rows are 320 MB three times while they are sorted
    shard = np.repeat(np.arange(len(shards), dtype=np.int32), lengths)
    row = (np.arange(len(digest)) - np.repeat(starts, lengths)).astype(np.int32)
    return sort_rows(digest, shard, row)


def sort_rows(digest: Array, shard: Array, row: Array) -> RowTable:
    """Make a table of rows in any order."""
    prefix = prefixes(digest)
    order = np.argsort(prefix, kind="stable")  # quick where most rows are sorted already
    return RowTable(prefix[order], digest[order], shard[order], row[order])


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
    """Content of an index file.

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
    except UNREADABLE:  # it only repeats the shards, which are read instead
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


def find_flaw(folder: Path, key: EmbeddingKey) -> str:
    """Say what is wrong with the index file of a key; empty if nothing is, or if there is none.

    Raises
    ------
    UnavailableError
        It cannot be read this time.
    """
    try:
        if read_index(folder, key) and is_whole(folder):
            return ""
        (folder / FILE).open("rb").close()
    except FileNotFoundError:
        return ""
    except UNREADABLE as error:
        refuse_passing_fault(folder / FILE, error)
        return f"cannot be read ({error})"
    return "its bytes do not give the checksum at its end"


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
