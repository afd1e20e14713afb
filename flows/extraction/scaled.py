"""Extraction whose shards are embedded by Dask workers: decisions made once, and the number of shards under way."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import numpy as np

from headstart.extractors.arrays import Array
from headstart.extractors.cache import EmbeddingCache, KeyAbout
from headstart.extractors.extraction import Decided, ExtractionRequest, MissingRows, ShardResult, ShardWork, cut_shards
from headstart.extractors.images import image_sources
from headstart.extractors.listing import CacheListing
from headstart.extractors.spec import Settings, Tap, find_weights_file
from headstart.extractors.stages import StageTimes
from headstart.flows.extraction.cluster import Cluster, cluster_on_demand
from headstart.flows.extraction.summary import say_size
from headstart.flows.output import Advance, progress_bar, record_shard, say_waiting

SHARD_IMAGES = 4096  # 8 s at 500 images/s: next to that, what a shard costs besides is little
_SHARD_BYTES = 64 * 2**20  # a shard is held in memory while it is filled
_SAMPLED = 256  # images on which shortcuts are tried: eight that can be read, and the largest
_LOOK_S = 1.0  # between two looks at how many workers there are


class Finished(Protocol):
    """A future, of threads or of Prefect."""

    def result(self) -> ShardResult:
        """Return the result of the shard, or raise the exception that ended it."""

    def add_done_callback(self, fn: Callable[[Any], None], /) -> None:
        """Call `fn` with the future when it is done."""


class ScaledExtraction(MissingRows):
    """The rows of a listing that one key still lacks, computed by Dask workers.

    A worker settles the key and prepares the forward pass, because this machine may have no GPU; the other workers
    follow its decisions. This process holds the lock of the key, cuts the shards, and waits.

    Parameters
    ----------
    cluster : Cluster
    cache : EmbeddingCache
        On a folder that every worker sees under the same path.
    listing : CacheListing
    request : ExtractionRequest
        Backbone, weights, taps, settings.
    shard_images : int
        Largest number of images in a shard.
    """

    def __init__(
        self,
        cluster: Cluster,
        cache: EmbeddingCache,
        listing: CacheListing,
        request: ExtractionRequest,
        *,
        shard_images: int,
    ) -> None:
        self.cluster, self._request, self._shard_images = cluster, request, shard_images
        self._sample = _sample(listing)
        self._take_up(cluster.run("settle", request, self._sample))
        self.times = StageTimes()
        super().__init__(cache, listing, self._decided.key)

    @contextmanager
    def writing(self, on_wait: Callable[[Path], None] | None = None) -> Iterator[None]:
        """Make this run the only one that writes this key, see `MissingRows.writing`, and prepare the forward pass."""
        with super().writing(on_wait):
            if self.shards:
                with self.times.measure("set up"):
                    arguments = self._request, self._decided.key, self._sample, len(self.missing)
                    self._take_up(self.cluster.run("prepare_pass", *arguments))
            yield

    def run_shard(self, number: int, on_images: Advance | None = None) -> ShardResult:
        """Have a worker embed and seal one shard, and wait for it; may be called by many threads.

        Raises
        ------
        JobError
            See `flows.extraction.cluster.Cluster.run`.
        ExtractorError
            See `extractors.extraction.shard_work.embed_shard`.
        """
        rows = self.missing.iloc[self.shards[number]]
        images = list(zip(image_sources(rows), rows["digest"], strict=True))
        if self._decided.execution is None:
            raise RuntimeError("run_shard outside writing()")
        shard = ShardWork(
            self._request, self._decided.key, self._decided.execution, self.turn, self.listing.root, images
        )
        result: ShardResult = self.cluster.run("embed_shard", shard)
        self.times.add(result.seconds)
        if on_images:
            on_images(len(images))
        return result

    def about(self) -> KeyAbout:
        """Return the part of ``key.json`` that is for people."""
        return self._decided.about

    def _cut(self, n_images: int) -> list[Array]:
        key, sizes = self._decided.key, self._decided.sizes
        return cut_shards(n_images, sizes, key.dtype, n_rows=self._shard_images, n_bytes=_SHARD_BYTES)

    def _take_up(self, decided: Decided) -> None:
        self._decided = decided
        self.weights_name, self.execution = decided.about["weights_name"], decided.execution
        self.fidelity, self.reasons = decided.fidelity, decided.reasons


@dataclass(frozen=True)
class Scale:
    """Cluster that embeds the shards of an extraction.

    Attributes
    ----------
    cluster : callable
        Opens the cluster when it is first called.
    place : str
        The name by which the cluster was asked for.
    shard_images : int
        Largest number of images in a shard.
    """

    cluster: Callable[[], Cluster]
    place: str
    shard_images: int

    def open(
        self,
        cache: EmbeddingCache,
        listing: CacheListing,
        backbone: str,
        weights: str,
        taps: Sequence[Tap],
        settings: Settings,
    ) -> ScaledExtraction:
        """Have a worker load a backbone, and find the rows of it that the cache lacks."""
        cluster = self.cluster()
        request = ExtractionRequest(
            cache=cache.path.absolute(),
            backbone=backbone,
            weights=str(find_weights_file(weights) or weights),
            taps=tuple(taps),
            settings=replace(settings, workers=settings.workers or cluster.decoding_threads),
        )
        return ScaledExtraction(cluster, cache, listing, request, shard_images=self.shard_images)


@contextmanager
def on_workers(
    dask: str, workers: int | None = None, *, shard_images: int | None = None, show: bool = False
) -> Iterator[Scale]:
    """Yield a scale for extractions on Dask workers; see `flows.extraction.cluster.cluster_on_demand`."""
    with cluster_on_demand(dask, workers, show=show) as cluster:
        yield Scale(cluster, dask, shard_images or SHARD_IMAGES)


def embed_in_flight(extraction: ScaledExtraction, results: list[ShardResult], start: Callable[[int], Finished]) -> None:
    """Start every shard, a few for each worker at a time, and add the result of each to `results`.

    After an error no more shards are started. Those that were started are waited for, so that their rows are sealed;
    then the error is raised.

    Parameters
    ----------
    extraction : ScaledExtraction
        An extraction inside its `writing` context.
    results : list of ShardResult
    start : callable
        Takes the number of a shard and starts it.
    """
    finished: SimpleQueue[Finished] = SimpleQueue()
    waiting, n_under_way = iter(range(len(extraction.shards))), 0
    failure: Exception | None = None
    try:
        while True:
            # A million shards must not lie in memory, here and at the scheduler, and workers may have come meanwhile.
            while failure is None and n_under_way < extraction.cluster.limit():
                if (number := next(waiting, None)) is None:
                    break
                start(number).add_done_callback(finished.put)
                n_under_way += 1
            if not n_under_way:
                break
            try:
                done = finished.get(timeout=_LOOK_S)
            except Empty:
                if failure and not extraction.cluster.n_workers():
                    extraction.cluster.stop()  # nobody will end them
                continue
            n_under_way -= 1
            try:
                results.append(done.result())
            except Exception as error:  # noqa: BLE001 - it is raised below, when the others are done
                failure = failure or error
    except BaseException:
        extraction.cluster.stop()
        raise
    if failure:
        raise failure


def run_scaled(extraction: ScaledExtraction, results: list[ShardResult], *, progress: bool) -> None:
    """Have every missing shard embedded, and add the result of each to `results`."""
    if progress:
        say_size(extraction)
    with (
        extraction.writing(on_wait=say_waiting if progress else None),
        progress_bar(f"embedding {extraction.store.key.title}", len(extraction.missing), show=progress) as advance,
        ThreadPoolExecutor(max_workers=max(1, len(extraction.shards)), thread_name_prefix="shard") as pool,
    ):

        def embed(number: int) -> ShardResult:
            begun = time.monotonic()
            result = extraction.run_shard(number, advance)
            record_shard(extraction, number, result, time.monotonic() - begun)
            return result

        embed_in_flight(extraction, results, lambda number: pool.submit(embed, number))


def _sample(listing: CacheListing) -> CacheListing:
    """Return the first and the largest images, in their order, as the sample on which shortcuts are tried."""
    distinct = listing.distinct
    largest = np.argsort(-distinct["bytes"].to_numpy(), kind="stable")[: _SAMPLED // 4]
    kept = np.union1d(np.arange(min(_SAMPLED, len(distinct))), largest)
    return replace(listing, rows=distinct.iloc[kept].reset_index(drop=True))
