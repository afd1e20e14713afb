"""Rows of shards sorted by digest, in memory or mapped, and the search in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from headstart.extractors.digests import DIGEST_BYTES, PIECE_ROWS, prefixes
from headstart.extractors.shards import Array, read_digests
from headstart.extractors.spec.key import EmbeddingKey

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
