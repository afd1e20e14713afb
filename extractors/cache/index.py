"""Where each digest's row lies: by the index file for the shards that it knows, by the shards themselves for others.

The shards are the truth. What the index file says of a shard that is gone, or has another size now, is passed over; and
whoever takes a row from a shard compares the shard's own digest first.
"""

import os
import stat
from functools import cached_property
from pathlib import Path

import numpy as np

from headstart.extractors.arrays import Array
from headstart.extractors.cache.row_table import (
    Mask,
    Positions,
    RowTable,
    is_whole,
    read_index,
    sort_rows,
    tabulate,
    write_index,
)
from headstart.extractors.spec import EmbeddingKey


class ShardIndex:
    """All sealed rows of a key.

    Parameters
    ----------
    folder : Path
        ``CACHE/embeddings/<id>``; a folder that is missing has no rows.
    key : EmbeddingKey
        What made the rows.
    trusting : bool
        False leaves the index file aside and reads every shard.

    Attributes
    ----------
    shards : list of Path
        What `find` numbers: every sealed shard, sorted by name.
    unindexed : list of Path
        Those that the index file does not know.
    """

    def __init__(self, folder: Path, key: EmbeddingKey, *, trusting: bool = True) -> None:
        self._folder, self._key = folder, key
        self._sizes = shard_sizes(folder)
        self.shards = [folder / name for name in sorted(self._sizes)]
        self._file = read_index(folder, key) if trusting else None
        known = self._file.shards if self._file else []
        self._served: Mask = np.array([self._sizes.get(name) == size for name, size in known], bool)
        served = {name for (name, _), here in zip(known, self._served, strict=True) if here}
        self.unindexed = [path for path in self.shards if path.name not in served]

    @property
    def is_whole(self) -> bool:
        """Whether the index file has the checksum that it was written with, or is not used."""
        return self._file is None or is_whole(self._folder)

    def find(self, digests: Array) -> tuple[Positions, Positions]:
        """Return number of the shard and row in it for each digest, uint8 (n, 32); both -1 where it is not there.

        Raises
        ------
        CacheError
            A shard that the index file does not know is damaged, or was made under another key.
        """
        shard, row = np.full(len(digests), -1), np.full(len(digests), -1)
        for table, served, numbers in self._tables():
            left = np.flatnonzero(shard < 0)
            at = table.find(digests if len(left) == len(digests) else digests[left], served)
            hit = left[at >= 0]
            at = at[at >= 0]
            shard[hit] = numbers.take(table.shard[at], mode="clip")
            row[hit] = table.row[at]
        return shard, row

    def n_distinct(self) -> int:
        """Count the distinct digests.

        Raises
        ------
        CacheError
            As `find`.
        """
        if not self._file:
            return self._delta.n_distinct()
        indexed = self._file.table
        new = indexed.find(self._delta.digest, self._served) < 0
        return indexed.n_distinct(self._served) + len(np.unique(self._delta.prefix[new]))

    def write(self) -> None:
        """Bring the index file up to the shards there were when this was opened; it is left alone where it is already.

        Several processes may do so at once: each writes the whole file, and the last one stays. At the peak the digests
        are twice in memory, and may be a third time as a mapped file: about 1 GB for 10 million rows.

        Raises
        ------
        CacheError
            The folder cannot be written, or, as `find`, a shard cannot be read.
        """
        if not self.is_whole:
            ShardIndex(self._folder, self._key, trusting=False).write()
            return
        if not self.unindexed and self._served.all():
            return
        shards = [(path.name, self._sizes[path.name]) for path in self.shards]
        write_index(self._folder, self._key, shards, self._merged() if self._file else self._delta)

    @cached_property
    def _delta(self) -> RowTable:
        return tabulate(self.unindexed, self._key)

    def _tables(self) -> list[tuple[RowTable, Mask | None, Positions]]:
        """Each table, which of its shards count, and what `shards` numbers them."""
        numbers = {path.name: number for number, path in enumerate(self.shards)}
        tables: list[tuple[RowTable, Mask | None, Positions]] = []
        if self._file:
            known = [numbers.get(name, -1) for name, _ in self._file.shards]
            tables.append((self._file.table, self._served, np.array(known)))
        if self.unindexed:
            tables.append((self._delta, None, np.array([numbers[path.name] for path in self.unindexed])))
        return tables

    def _merged(self) -> RowTable:
        parts = []
        for table, served, numbers in self._tables():
            # A mask copies what it picks: where every shard is still there, the mapped columns are taken as they are.
            kept = slice(None) if served is None or served.all() else table.lies_in(served, slice(None))
            parts.append((table.digest[kept], numbers[table.shard[kept]].astype(np.int32), table.row[kept]))
        return sort_rows(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def shard_sizes(folder: Path) -> dict[str, int]:
    """Look up the sealed shards of a key: their names and their sizes in bytes."""
    found: dict[str, int] = {}
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return found
    with entries:
        for entry in entries:
            if entry.name.startswith("shard-") and entry.name.endswith(".h5"):
                try:
                    seen = entry.stat()
                except FileNotFoundError:  # merged into another shard meanwhile
                    continue
                if stat.S_ISREG(seen.st_mode):  # what is none is told by a verification
                    found[entry.name] = seen.st_size
    return found
