"""The rows of a listing that a key still lacks, cut into shards, and the right to write them."""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from headstart.extractors.arrays import Array
from headstart.extractors.cache import EmbeddingCache, KeyAbout, row_bytes, take_turn
from headstart.extractors.errors import CacheError
from headstart.extractors.listing import CacheListing
from headstart.extractors.spec import EmbeddingKey, StoredDtype, View
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
    following : sequence of View
        Views of the images that will be embedded next, into the same cache.
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
        self.following: Sequence[View] = ()
        self.store = cache.store(key)
        self._take_stock()

    @abstractmethod
    def _cut(self, n_images: int) -> list[Array]:
        """Divide so many images into shards."""

    @abstractmethod
    def about(self) -> KeyAbout:
        """Say what ``key.json`` keeps for people."""

    @property
    def bytes_an_image(self) -> int:
        """Size of an image's rows as stored, over all taps."""
        return row_bytes(self.about()["shape"], self.store.key.dtype)

    @property
    def n_views_to_follow(self) -> int:
        """Rows that the views which follow lack of the listing."""
        digests = self.listing.distinct["digest"].tolist()
        keys = (replace(self.store.key, view=view, decode="full") for view in self.following)
        return sum(int(self._cache.store(key).missing(digests).sum()) for key in keys)

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
            The cache cannot be written, its disk is too small for the rows, or its file system knows no locks.
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
            _refuse_small_disk(self._cache.path, self.bytes_an_image, len(self.missing), self.n_views_to_follow)
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
    n_rows = max(1, min(n_rows, n_bytes // row_bytes(sizes, dtype)))
    return np.array_split(np.arange(n_images), range(n_rows, n_images, n_rows))


def _refuse_small_disk(place: "Path", bytes_an_image: int, n_images: int, n_views: int) -> None:
    """Tell before an hour's work that its rows will not fit."""
    needed, free = bytes_an_image * (n_images + n_views), shutil.disk_usage(place).free
    if needed > free:
        views = f" and {n_views} views" if n_views else ""
        raise CacheError(
            f"{place}: {n_images} images{views} of {bytes_an_image / 1e3:.1f} kB each need {needed / 1e6:.1f} MB, and "
            f"{free / 1e6:.1f} MB are free; free some, name another disk (--cache DIR), tap a later layer, or pool it "
            "(LAYER:avg)"
        )
