"""One backbone over one listing: which rows the cache lacks, in which shards, and the work of one shard."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from extractors.backbone import Backbone
from extractors.cache import EmbeddingCache
from extractors.cache_listing import CacheListing
from extractors.engine import embed
from extractors.fidelity import Fidelity, measure_fidelity, recorded_fidelity
from extractors.forward import ForwardPass, store_as
from extractors.images import image_sources
from extractors.key import EmbeddingKey, Precision, StoredDtype
from extractors.precision import has_fast_bf16, resolve_device
from extractors.shards import Array
from extractors.taps import Tap, feature_sizes

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_SHARD_ROWS = 512  # a kill costs the shard being filled and at most one being sealed: 10 s of resnet18 on two cores
_SHARD_BYTES = 64 * 2**20  # feature maps are large: a shard is held in memory while it is filled

_CPU_BATCH, _GPU_BATCH = 16, 128


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to compute; only `precision` and `dtype` change the numbers, and both are in the key.

    Parameters
    ----------
    device : str
        ``auto`` (CUDA where there is one), ``cpu``, ``cuda``.
    precision : {"auto", "fp32", "bf16"}
        ``auto`` is bf16 where the device is fast at it and the first batch agrees with fp32 to a cosine of 0.999.
    dtype : {"float16", "float32"}
        Stored features; float16 halves the cache and is refused where it would lose more than its rounding.
    batch_size : int, optional
        Images a forward pass; by default that of the key's first rows, or 16 on a CPU and 128 on a GPU.
    workers : int, optional
        Decoding threads; by default one a core.
    """

    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    dtype: StoredDtype = "float32"
    batch_size: int | None = None
    workers: int | None = None

    @property
    def n_workers(self) -> int:
        """Decoding threads to start."""
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return self.workers or usable or 1


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
        self.fidelity: Fidelity | None = None
        # Unless told otherwise a resumed run keeps the batch size, and so the bits, of the rows that are there.
        default = _GPU_BATCH if self.device.type == "cuda" else _CPU_BATCH
        self.batch_size: int = settings.batch_size or default
        self.store = cache.store(self._settle_key(cache))
        self.batch_size = settings.batch_size or self.store.about.get("batch_size", default)
        self._known = set(self.store.shards())
        self._sealed_as: dict[Path, int] = {}
        self._n_embedded: dict[int, int] = {}
        distinct = listing.distinct
        self.missing: pd.DataFrame = distinct[self.store.missing(distinct["digest"].tolist())]
        self.shards: list[Array] = []
        if len(self.missing):
            sizes = feature_sizes(backbone, taps)
            self.shards = _cut(len(self.missing), sizes, settings.dtype)
            self.store.create(self._about(sizes))

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
        preprocessing, workers = self.backbone.preprocessing, self.settings.n_workers
        done: list[EmbeddedBatch] = []
        unreadable: dict[str, str] = {}
        not_read: dict[str, str] = {}
        try:
            for batch in embed(self._forward, self.listing.root, images, preprocessing, workers=workers):
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
        digests = np.frombuffer(bytes.fromhex("".join(np.concatenate([part for part, _ in done]))), np.uint8)
        features = {tap: np.concatenate([values[tap] for _, values in done]) for tap in done[0][1]}
        self._sealed_as[self.store.seal(digests.reshape(-1, 32), features)] = number

    @cached_property
    def _forward(self) -> ForwardPass:
        return ForwardPass(
            self.backbone,
            self.taps,
            device=self.device,
            precision=self.store.key.precision,
            batch_size=self.batch_size,
        )

    def _settle_key(self, cache: EmbeddingCache) -> EmbeddingKey:
        key = EmbeddingKey(
            backbone=self.backbone.name,
            weights=self.backbone.weights,
            taps=tuple(map(str, self.taps)),
            preprocessing=self.backbone.preprocessing,
            dtype=self.settings.dtype,
        )
        asked: Precision | Literal["auto"] = self.settings.precision
        if asked == "fp32" or (asked == "auto" and not has_fast_bf16(self.device)):
            return key
        reduced = replace(key, precision="bf16")
        folder = cache.store(reduced).path
        self.fidelity = recorded_fidelity(folder)
        if self.fidelity is None:
            self.fidelity = measure_fidelity(
                self.backbone,
                self.taps,
                self.listing,
                device=self.device,
                batch_size=self.batch_size,
                workers=self.settings.n_workers,
            )
            if self.fidelity:
                self.fidelity.write(folder)
        if asked == "auto" and (self.fidelity is None or not self.fidelity.accepted):
            return key
        return reduced

    def _about(self, sizes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
        return {
            "weights_name": self.backbone.weights_name,
            "weights_source": self._weights_source,
            "shape": {tap: list(size) for tap, size in sizes.items()},
            "batch_size": self.batch_size,
            "device": self.device.type,
            "versions": {name: version(name) for name in ("torch", "torchvision", "pillow")},
        }


def _cut(n_images: int, sizes: dict[str, tuple[int, ...]], dtype: StoredDtype) -> list[Array]:
    row_bytes = np.dtype(dtype).itemsize * sum(int(np.prod(size)) for size in sizes.values())
    n_rows = max(1, min(_SHARD_ROWS, _SHARD_BYTES // row_bytes))
    return np.array_split(np.arange(n_images), range(n_rows, n_images, n_rows))
