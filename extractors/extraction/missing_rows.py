"""The rows of a listing that a key still lacks, cut into shards, and the right to write them."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from headstart.extractors.arrays import Array
from headstart.extractors.cache import EmbeddingCache, KeyAbout, take_turn
from headstart.extractors.listing import CacheListing
from headstart.extractors.spec import EmbeddingKey, StoredDtype
from headstart.extractors.writer_lock import writer_lock

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from headstart.extractors.stages import StageTimes
    from headstart.extractors.tuning import Execution, FidelityRecord

_MANY_UNINDEXED = 64  # reading so many shards takes about as long as opening all others by the index


class MissingRows(ABC):
    """Rows that one key lacks of a listing; whoever computes them, here or elsewhere, derives from this.

    Parameters
    ----------
    cache : EmbeddingCache
        Where the rows go.
    listing : CacheListing
        Whose usable images are embedded, each digest once.
    key : EmbeddingKey
        What makes the rows.

    Attributes
    ----------
    store : EmbeddingStore
        The rows of this key in the cache.
    shards : list of int array
        For each shard to compute, the positions of its images in `missing`.
    missing : DataFrame
        One row for each distinct image to embed.
    turn : str
        Names the last `writing`; empty before.
    weights_name, fidelity, execution, reasons, times
        What the summary of a run tells of it.
    """

    weights_name: str
    fidelity: "FidelityRecord"
    execution: "Execution | None"
    reasons: list[str]
    times: "StageTimes"

    def __init__(self, cache: EmbeddingCache, listing: CacheListing, key: EmbeddingKey) -> None:
        self.listing, self._cache, self.turn = listing, cache, ""
        self.store = cache.store(key)
        self._take_stock()

    @abstractmethod
    def _cut(self, n_images: int) -> list[Array]:
        """Divide so many images into shards."""

    @abstractmethod
    def about(self) -> KeyAbout:
        """Say what ``key.json`` keeps for people."""

    @contextmanager
    def writing(self, on_wait: "Callable[[Path], None] | None" = None) -> Iterator[None]:
        """Be the only writer of this key: hold its lock around every shard, and index what is sealed.

        What another process sealed while this one waited for it is no longer in `missing`. Where nothing is missing no
        lock is taken, and a cache that is read-only will do.

        Parameters
        ----------
        on_wait : callable
            Called once with the path of the lock, where another process holds it.

        Raises
        ------
        CacheError
            The cache cannot be written, or its file system knows no locks.
        """
        if not self.shards:
            if os.access(self.store.path, os.W_OK):  # a run that was killed at its very end leaves its shards unindexed
                self.store.refresh_index(at_least=_MANY_UNINDEXED)
            yield
            return
        with writer_lock(self.store.path, on_wait=on_wait):
            # Before looking at what is there, or a worker of a dead run could still seal what is then cut anew.
            self.turn = take_turn(self.store.path)
            # A flipped bit in the index would have a sealed row computed again.
            self.store.refresh_index(at_least=_MANY_UNINDEXED)
            self._take_stock()
            self.store.create(self.about())
            yield
            self.store.refresh_index()

    def _take_stock(self) -> None:
        """Find out which rows are sealed, and cut the others into shards."""
        self.store = self._cache.store(self.store.key)
        distinct = self.listing.distinct
        self.missing: pd.DataFrame = distinct[self.store.missing(distinct["digest"].tolist())]
        self.shards: list[Array] = self._cut(len(self.missing)) if len(self.missing) else []


def cut_shards(
    n_images: int, sizes: Mapping[str, tuple[int, ...]], dtype: StoredDtype, *, n_rows: int, n_bytes: int
) -> list[Array]:
    """Divide images in their order into shards of at most so many rows and so many bytes of features.

    Parameters
    ----------
    n_images : int
    sizes : mapping of tap to tuple of int
        Shape of an image's features.
    dtype : {"float16", "float32"}
        As stored.
    n_rows, n_bytes : int
        At least one image is in a shard, however large its features are.
    """
    row_bytes = np.dtype(dtype).itemsize * sum(int(np.prod(size)) for size in sizes.values())
    n_rows = max(1, min(n_rows, n_bytes // row_bytes))
    return np.array_split(np.arange(n_images), range(n_rows, n_images, n_rows))
