"""One backbone over one listing: which rows the cache lacks, in which shards, and the work of one shard."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from extractors.backbone import Backbone
from extractors.cache import EmbeddingCache
from extractors.cache_listing import CacheListing
from extractors.engine import Batch, embed
from extractors.execution import Execution
from extractors.fidelity import LOWEST_COSINE
from extractors.first_images import FirstImages
from extractors.forward import ForwardPass, store_as
from extractors.images import image_sources
from extractors.key import EmbeddingKey, StoredDtype
from extractors.precision import resolve_device
from extractors.prefetch import Decoding, Listed
from extractors.preparation import prepare
from extractors.settings import Settings
from extractors.shards import Array
from extractors.shortcuts import settle_key
from extractors.stages import StageTimes
from extractors.taps import Tap, feature_sizes
from extractors.writer_lock import writer_lock

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_SHARD_ROWS = 512  # a kill costs the shard being filled and at most one being sealed: 10 s of resnet18 on two cores
_SHARD_BYTES = 64 * 2**20  # feature maps are large: a shard is held in memory while it is filled

_MANY_UNINDEXED = 64  # reading so many shards takes about as long as opening all others by the index

EmbeddedBatch = tuple[Array, dict[str, Array]]  # the digests (hex) of a batch, and its features by tap


@dataclass(frozen=True)
class ShardResult:
    """What came of one shard.

    Attributes
    ----------
    embedded : int
        Rows that this extraction embedded, earlier tries of the shard included.
    unreadable : dict of str to str
        The reason for each digest that cannot be decoded: a property of the image.
    not_read : dict of str to str
        The reason for each path that could not be read this time.
    """

    embedded: int
    unreadable: dict[str, str]
    not_read: dict[str, str]


class Extraction:
    """The rows of a listing that one key still lacks, cut into shards.

    Parameters
    ----------
    cache : EmbeddingCache
        Where the rows go.
    listing : CacheListing
        Whose usable images are embedded, each digest once.
    backbone : Backbone
        Frozen, with its preprocessing.
    taps : sequence of Tap
        Layers to read.
    settings : Settings
        Device, precision, stored dtype, batch size, decoding threads.
    weights_source : str
        What `load_backbone` was given for its weights; kept, so that a model can find them again.

    Attributes
    ----------
    store : EmbeddingStore
        The rows of this key in the cache.
    shards : list of int array
        For each shard to compute, the positions of its images in `missing`.
    missing : DataFrame
        One row for each distinct image to embed.
    """

    def __init__(
        self,
        cache: EmbeddingCache,
        listing: CacheListing,
        backbone: Backbone,
        taps: Sequence[Tap],
        settings: Settings,
        *,
        weights_source: str,
    ) -> None:
        self.listing, self.backbone, self.taps, self.settings = listing, backbone, taps, settings
        self._weights_source = weights_source
        self.device = resolve_device(settings.device)
        self._first = FirstImages(backbone, taps, listing, self.device, settings.n_workers)
        self.times = StageTimes()
        self._cache = cache
        plain = EmbeddingKey(
            backbone=backbone.name,
            weights=backbone.weights,
            taps=tuple(map(str, taps)),
            preprocessing=backbone.preprocessing,
            dtype=settings.dtype,
        )
        key, self.fidelity, self.reasons = settle_key(plain, settings, self._first, lambda key: cache.store(key).path)
        self.store = cache.store(key)
        self.execution: Execution | None = None
        self._take_stock()
        # Rows without a key.json would be rows of nobody: it is written too where nothing but this file is missing.
        if len(self.listing.distinct) and not self.store.is_created:
            with writer_lock(self.store.path):
                self.store.create(self._about(self._sizes))

    @contextmanager
    def writing(self, on_wait: "Callable[[Path], None] | None" = None) -> Iterator[None]:
        """Be the only writer of this key: hold its lock around `run`, or every `run_shard`, and index what is sealed.

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
            # A flipped bit in the index would have a sealed row computed again.
            self.store.refresh_index(at_least=_MANY_UNINDEXED)
            self._take_stock()
            self.store.create(self._about(self._sizes))
            yield
            self.store.refresh_index()

    def run(self, on_images: Callable[[int], None] | None = None) -> Iterator[ShardResult]:
        """Embed every shard; one is sealed in the background while the next is embedded.

        However the loop ends — done, interrupted, or with an error — the rows embedded by then are sealed, or the error
        says why they could not be.

        Raises
        ------
        FeatureError
            Features cannot be stored.
        CacheError
            A shard cannot be written.
        """
        sealing: list[Future[None]] = []

        def seal_behind(number: int, done: list[EmbeddedBatch]) -> None:
            sealing.append(writer.submit(self._seal, number, done))
            if len(sealing) > 1:  # at most one shard waits to be written
                sealing.pop(0).result()

        with ThreadPoolExecutor(1, thread_name_prefix="seal") as writer:
            try:
                for number in range(len(self.shards)):
                    yield self._embed(number, on_images, seal_behind)
            finally:
                for last in sealing:
                    last.result()

    def run_shard(self, number: int, on_images: Callable[[int], None] | None = None) -> ShardResult:
        """Embed and seal one shard, as `run` does; a shard that is run again embeds only what is not sealed yet."""
        return self._embed(number, on_images, self._seal)

    def _embed(
        self, number: int, on_images: Callable[[int], None] | None, seal: Callable[[int, list[EmbeddedBatch]], None]
    ) -> ShardResult:
        rows = self._unsealed(number)
        digests, paths = rows["digest"].to_numpy(), rows["path"].to_numpy()
        images = zip(image_sources(rows), digests, strict=True)
        done: list[EmbeddedBatch] = []
        unreadable: dict[str, str] = {}
        not_read: dict[str, str] = {}
        try:
            for batch in self._batches(images):
                unreadable |= {digests[row]: reason for row, reason in batch.unreadable.items()}
                not_read |= {paths[row]: reason for row, reason in batch.not_read.items()}
                if len(batch.rows):
                    stored = store_as(
                        batch.features,
                        self.settings.dtype,
                        backbone=self.backbone.name,
                        paths=paths[batch.rows].tolist(),
                    )
                    done.append((digests[batch.rows], stored))
                if on_images:
                    on_images(len(batch.rows) + len(batch.unreadable) + len(batch.not_read))
        finally:
            if done:
                self._n_embedded[number] = self._n_embedded.get(number, 0) + sum(len(part) for part, _ in done)
                seal(number, done)
        return ShardResult(self._n_embedded.get(number, 0), unreadable, not_read)

    def _batches(self, images: Iterable[Listed]) -> Iterator[Batch]:
        decoding = Decoding(
            preprocessing=self.backbone.preprocessing,
            decode=self.store.key.decode,
            workers=self.settings.n_workers,
            in_turn=self.device.type == "cpu",
        )
        forward = self._forward
        threads = self.execution.threads_set() if self.execution else nullcontext()
        with threads:
            yield from embed(forward, self.listing.root, images, decoding, self.times)

    def _take_stock(self) -> None:
        """Find out which rows are sealed, and cut the others into shards."""
        self.store = self._cache.store(self.store.key)
        self._known = set(self.store.shards())
        self._sealed_as: dict[Path, int] = {}
        self._n_embedded: dict[int, int] = {}
        distinct = self.listing.distinct
        self.missing: pd.DataFrame = distinct[self.store.missing(distinct["digest"].tolist())]
        self.shards: list[Array] = []
        if len(self.missing):
            self.shards = _cut(len(self.missing), self._sizes, self.settings.dtype)

    @cached_property
    def _sizes(self) -> dict[str, tuple[int, ...]]:
        return feature_sizes(self.backbone, self.taps)

    def _unsealed(self, number: int) -> "pd.DataFrame":
        """Return the rows of a shard that neither an earlier try nor another process has sealed meanwhile."""
        rows = self.missing.iloc[self.shards[number]]
        # This extraction's other shards hold none of these rows: reading them all for each shard would be quadratic.
        since = [
            path
            for path in self.store.shards()
            if path not in self._known and self._sealed_as.get(path, number) == number
        ]
        return rows[self.store.missing(rows["digest"].tolist(), among=since)]

    def _seal(self, number: int, done: list[EmbeddedBatch]) -> None:
        with self.times.measure("write"):
            self._write(number, done)

    def _write(self, number: int, done: list[EmbeddedBatch]) -> None:
        digests = np.frombuffer(bytes.fromhex("".join(np.concatenate([part for part, _ in done]))), np.uint8)
        features = {tap: np.concatenate([values[tap] for _, values in done]) for tap in done[0][1]}
        self._sealed_as[self.store.seal(digests.reshape(-1, 32), features)] = number

    @cached_property
    def _forward(self) -> ForwardPass:
        """Made for the first shard: with the lock held, so that what another process decided meanwhile is taken up."""
        folder, recorded = self.store.path, Execution.read(self.store.path)
        prepared = prepare(self._first, self.store.key, self.settings, recorded, len(self.missing), self.times)
        self.execution = prepared.execution
        if prepared.execution != recorded:
            prepared.execution.write(folder)
        if prepared.fidelity and not prepared.fidelity.accepted:
            self.reasons.append(
                f"on the first images of this run, the cosine to plain float32 is {prepared.fidelity.cosine:.4f}, "
                f"under {LOWEST_COSINE}; --precision fp32 --decode full embeds all anew"
            )
        if prepared.fidelity:
            self.fidelity = replace(self.fidelity, features=prepared.fidelity)
            self.fidelity.write(folder)
        return prepared.forward

    def _about(self, sizes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
        return {
            "weights_name": self.backbone.weights_name,
            "weights_source": self._weights_source,
            "shape": {tap: list(size) for tap, size in sizes.items()},
            "device": self.device.type,
            "versions": {name: version(name) for name in ("torch", "torchvision", "pillow")},
        }


def _cut(n_images: int, sizes: dict[str, tuple[int, ...]], dtype: StoredDtype) -> list[Array]:
    row_bytes = np.dtype(dtype).itemsize * sum(int(np.prod(size)) for size in sizes.values())
    n_rows = max(1, min(_SHARD_ROWS, _SHARD_BYTES // row_bytes))
    return np.array_split(np.arange(n_images), range(n_rows, n_images, n_rows))
