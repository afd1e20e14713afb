"""One backbone over one listing: which rows the cache lacks, in which shards, and the work of one shard."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from headstart.extractors.arrays import Array
from headstart.extractors.backbones import Backbone
from headstart.extractors.cache import EmbeddingCache, KeyAbout
from headstart.extractors.decoding import jpeg_decoder
from headstart.extractors.extraction.embedding import RowRecipe, embed_rows
from headstart.extractors.extraction.known_requests import version
from headstart.extractors.extraction.missing_rows import MissingRows, cut_shards
from headstart.extractors.extraction.shard_result import EmbeddedRows, ShardResult
from headstart.extractors.images import image_sources
from headstart.extractors.listing import CacheListing
from headstart.extractors.network import ForwardPass, feature_sizes, resolve_device
from headstart.extractors.spec import EmbeddingKey, Settings, Tap
from headstart.extractors.stages import StageTimes
from headstart.extractors.tuning import (
    LOWEST_COSINE,
    Execution,
    FirstImages,
    prepare,
    settle_dtype,
    settle_key,
    settle_pixels,
)
from headstart.extractors.writer_lock import writer_lock

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

_SHARD_ROWS = 512  # a kill costs the shard being filled and at most one being sealed: 10 s of resnet18 on two cores
_SHARD_BYTES = 64 * 2**20  # feature maps are large: a shard is held in memory while it is filled


class Extraction(MissingRows):
    """The rows of a listing that one key still lacks, computed in this process.

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
        self.backbone, self.taps, self.settings = backbone, taps, settings
        self.weights_name, self._weights_source = backbone.weights_name, weights_source
        self.device = resolve_device(settings.device)
        self.times = StageTimes()
        self.execution: Execution | None = None
        plain = EmbeddingKey(
            backbone=backbone.name,
            weights=backbone.weights,
            taps=tuple(map(str, taps)),
            preprocessing=backbone.preprocessing,
            **settings.as_asked,
        )
        plain, seen = settle_pixels(plain, settings, listing, cache.path)
        self._first = FirstImages(
            backbone, taps, listing, self.device, settings.n_workers, ends=plain.range, colour=plain.colour
        )
        key, self.fidelity, reasons = settle_key(plain, settings, self._first, lambda key: cache.store(key).path)
        if settings.dtype is None and any(tap.is_map for tap in taps):
            key, reason = settle_dtype(key, self._first, lambda key: cache.store(key).path)
            reasons = [*reasons, reason]
        self.reasons = [*backbone.notes, *seen, *reasons]
        super().__init__(cache, listing, key)
        # Rows without a key.json would be rows of nobody: it is written too where nothing but this file is missing.
        if len(self.listing.distinct) and not self.store.is_created:
            with writer_lock(self.store.path):
                self.store.create(self.about())

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

        def seal_behind(number: int, done: EmbeddedRows) -> None:
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

    def prepare(self, n_missing: int) -> ForwardPass:
        """Decide how to embed so many images, or take up what was decided for this key before; hold its lock meanwhile.

        What is decided is kept beside the rows, and so is how near the features are to the plain network's.
        """
        folder, recorded = self.store.path, Execution.read(self.store.path)
        prepared = prepare(self._first, self.store.key, self.settings, recorded, n_missing, self.times)
        self.execution = prepared.execution
        if prepared.execution != recorded:
            prepared.execution.write(folder)
        self.reasons += prepared.forward.reasons
        if prepared.fidelity and not prepared.fidelity.accepted:
            self.reasons.append(
                f"on the first images of this run, the cosine to plain float32 is {prepared.fidelity.cosine:.4f}, "
                f"under {LOWEST_COSINE}; --precision fp32 --decode full embeds all anew"
            )
        if prepared.fidelity:
            self.fidelity = replace(self.fidelity, features=prepared.fidelity)
            self.fidelity.write(folder)
        return prepared.forward

    def _embed(
        self, number: int, on_images: Callable[[int], None] | None, seal: Callable[[int, EmbeddedRows], None]
    ) -> ShardResult:
        rows = self._unsealed(number)
        images = list(zip(image_sources(rows), rows["digest"], strict=True))
        done = EmbeddedRows()
        try:
            embed_rows(
                self._forward,
                images,
                done,
                RowRecipe(
                    self.backbone,
                    self.store.key,
                    self.execution,
                    self.listing.root,
                    self.settings.n_workers,
                    self.times,
                ),
                on_images,
            )
        finally:
            if len(done):
                self._n_embedded[number] = self._n_embedded.get(number, 0) + len(done)
                seal(number, done)
        return ShardResult(self._n_embedded.get(number, 0), done.unreadable, done.not_read, done.all_remarks())

    def _take_stock(self) -> None:
        self._known = set(self.store.shards())
        self._sealed_as: dict[Path, int] = {}
        self._n_embedded: dict[int, int] = {}
        super()._take_stock()

    def _cut(self, n_images: int) -> list[Array]:
        return cut_shards(n_images, self._sizes, self.store.key.dtype, n_rows=_SHARD_ROWS, n_bytes=_SHARD_BYTES)

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

    def _seal(self, number: int, done: EmbeddedRows) -> None:
        with self.times.measure("write"):
            self._sealed_as[self.store.seal(*done.joined())] = number

    @cached_property
    def _forward(self) -> ForwardPass:
        """Made for the first shard: with the lock held, so that what another process decided meanwhile is taken up."""
        return self.prepare(len(self.missing))

    def about(self) -> KeyAbout:
        """Say what ``key.json`` keeps for people."""
        libraries = dict.fromkeys(("torch", "torchvision", "pillow"))
        if self.store.key.decode == "nvjpeg" and (decoder := jpeg_decoder()):
            libraries |= {decoder.library: None}
        return {
            "weights_name": self.backbone.weights_name,
            "weights_source": self._weights_source,
            "shape": {tap: list(size) for tap, size in self._sizes.items()},
            "device": self.device.type,
            "versions": {name: version(name) for name in libraries},
        }
