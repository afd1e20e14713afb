"""An experiment's extraction as Prefect tasks: list, open, and embed shard by shard, here or on Dask workers."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.extraction import Extraction, MissingRows, ShardResult
from headstart.extractors.images import list_images
from headstart.extractors.listing import CacheListing
from headstart.extractors.spec import Settings, Tap
from headstart.flows.experiment import Experiment
from headstart.flows.extraction import (
    ExtractionSummary,
    ScaledExtraction,
    Wanted,
    device_lock,
    embed_in_flight,
    extract_each,
    list_into,
    on_workers,
    open_extraction,
)
from headstart.flows.orchestration.artifacts import progress_artifact
from headstart.flows.orchestration.tasks import log_shard, run_logger, worth_retrying
from headstart.flows.output import Advance, progress_bar, record_shard, say_waiting

Opening = Callable[[EmbeddingCache, CacheListing, str, str, Sequence[Tap], Settings], MissingRows]


def extract_in_tasks(experiment: Experiment, *, progress: bool) -> ExtractionSummary:
    """Extract with every backbone of the experiment; to be called in a flow."""
    started = time.monotonic()
    cache = EmbeddingCache(experiment.cache, create=True)
    listing, notes = list_images_task(cache, experiment, progress)
    wanted = wanted_by(experiment)
    with ExitStack() as stack:
        opening: Opening = open_extraction
        embed_missing: Callable[..., None] = _embed
        if scale := experiment.scale:
            there = on_workers(scale.dask, scale.workers, shard_images=scale.shard_images, show=progress)
            opening, embed_missing = stack.enter_context(there).open, _embed_elsewhere

        def open_one(listing: CacheListing, name: str, weights: str, settings: Settings) -> MissingRows:
            task_ = open_task.with_options(task_run_name=f"open {name} ({Path(weights).name})")
            return task_(opening, cache, listing, name, weights, wanted.taps, settings)

        return extract_each(
            cache,
            listing,
            notes,
            wanted,
            open_one=open_one,
            embed_missing=partial(embed_missing, progress=progress),
            started=started,
        )


def wanted_by(experiment: Experiment) -> Wanted:
    """Return the backbones, taps and settings that an experiment embeds its images with, and where."""
    return Wanted(
        backbones=[(table.backbone, table.weights) for table in experiment.extract],
        taps=[Tap.parse(spec) for spec in experiment.tap],
        settings=experiment.settings,
        place=experiment.scale.dask if experiment.scale else None,
        views=experiment.drawn,
    )


# The cache folder is the truth about what is done: Prefect's own result cache would say "done" of rows that are gone.
@task(
    name="list images",
    task_run_name="list images",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=worth_retrying,
)
def list_images_task(cache: EmbeddingCache, experiment: Experiment, progress: bool) -> tuple[CacheListing, list[str]]:
    """List the images, reading those that are new or changed."""
    found = list_images(experiment.images, limit=experiment.limit, layout=experiment.layout)
    return list_into(cache, found, workers=experiment.settings.n_workers, progress=progress)


@task(name="open backbone", cache_policy=NO_CACHE, persist_result=False)
def open_task(
    opening: Opening,
    cache: EmbeddingCache,
    listing: CacheListing,
    backbone: str,
    weights: str,
    taps: Sequence[Tap],
    settings: Settings,
) -> MissingRows:
    """Load a backbone, here or on a worker, and find out what the cache lacks of it."""
    return opening(cache, listing, backbone, weights, taps, settings)


@task(
    name="embed shard",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=worth_retrying,
)
def embed_shard_task(extraction: Extraction | ScaledExtraction, number: int, advance: Advance) -> ShardResult:
    """Embed and seal one shard, or wait for the worker that does; a retry embeds only what was not sealed."""
    begun = time.monotonic()
    result = extraction.run_shard(number, advance)
    seconds = time.monotonic() - begun
    log_shard(_shard_name(extraction, number), result, seconds, extraction.listing)
    record_shard(extraction, number, result, seconds)
    return result


def _embed(extraction: Extraction, results: list[ShardResult], *, progress: bool) -> None:
    with (
        extraction.writing(on_wait=say_waiting if progress else None),
        _getting_on(extraction, show=progress) as advance,
        device_lock(extraction.device, show=progress, log=run_logger().info),
    ):
        for number in range(len(extraction.shards)):
            shard = embed_shard_task.with_options(task_run_name=f"embed {_shard_name(extraction, number)}")
            results.append(shard(extraction, number, advance))


def _embed_elsewhere(extraction: ScaledExtraction, results: list[ShardResult], *, progress: bool) -> None:
    with (
        extraction.writing(on_wait=say_waiting if progress else None),
        _getting_on(extraction, show=progress) as advance,
    ):

        def start(number: int) -> PrefectFuture[ShardResult]:
            shard = embed_shard_task.with_options(task_run_name=f"embed {_shard_name(extraction, number)}")
            return shard.submit(extraction, number, advance)

        embed_in_flight(extraction, results, start)


@contextmanager
def _getting_on(extraction: MissingRows, *, show: bool) -> Iterator[Advance]:
    """Show how an embedding gets on: in Prefect's UI, and in the terminal where there is one."""
    name, total = f"embedding {extraction.store.key.title}", len(extraction.missing)
    with progress_bar(name, total, show=show) as advance:
        yield progress_artifact(name, total, also=advance)


def _shard_name(extraction: MissingRows, number: int) -> str:
    return f"{extraction.store.key.title}, shard {number + 1} of {len(extraction.shards)}"
