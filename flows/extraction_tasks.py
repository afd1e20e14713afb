"""An experiment's extraction as Prefect tasks: list, open, and embed shard by shard."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from extractors.cache import EmbeddingCache
from extractors.cache_listing import CacheListing
from extractors.extraction import Extraction, ShardResult
from extractors.images import list_images
from extractors.settings import Settings
from extractors.tap import Tap
from flows.device_lock import device_lock
from flows.experiment import Experiment
from flows.extraction import extract_each, list_into, open_extraction
from flows.extraction_summary import ExtractionSummary
from flows.progress import Advance, progress_bar, say_waiting
from flows.task_retries import worth_retrying


def extract_in_tasks(experiment: Experiment, *, progress: bool) -> ExtractionSummary:
    """Extract with every backbone of the experiment; to be called in a flow."""
    started = time.monotonic()
    cache = EmbeddingCache(experiment.cache, create=True)
    listing, notes = list_images_task(cache, experiment, progress)
    taps = [Tap.parse(spec) for spec in experiment.tap]

    def open_one(listing: CacheListing, name: str, weights: str) -> Extraction:
        opening = open_task.with_options(task_run_name=f"open {name} ({Path(weights).name})")
        return opening(cache, listing, name, weights, taps, experiment.settings)

    return extract_each(
        cache,
        listing,
        notes,
        [(table.backbone, table.weights) for table in experiment.extract],
        taps,
        experiment.settings,
        open_one=open_one,
        embed_missing=partial(_embed, progress=progress),
        started=started,
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
    found = list_images(experiment.images, limit=experiment.limit)
    return list_into(cache, found, workers=experiment.settings.n_workers, progress=progress)


@task(name="open backbone", cache_policy=NO_CACHE, persist_result=False)
def open_task(
    cache: EmbeddingCache, listing: CacheListing, backbone: str, weights: str, taps: Sequence[Tap], settings: Settings
) -> Extraction:
    """Load a backbone and find out what the cache lacks of it."""
    return open_extraction(cache, listing, backbone, weights, taps, settings)


@task(
    name="embed shard",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=worth_retrying,
)
def embed_shard_task(extraction: Extraction, number: int, advance: Advance) -> ShardResult:
    """Embed and seal one shard; a retry embeds only what the first try did not seal."""
    return extraction.run_shard(number, advance)


def _embed(extraction: Extraction, results: list[ShardResult], *, progress: bool) -> None:
    name = extraction.backbone.name.rpartition("/")[2]
    with (
        extraction.writing(on_wait=say_waiting if progress else None),
        progress_bar(f"embedding {name}", len(extraction.missing), show=progress) as advance,
        device_lock(extraction.device, show=progress),
    ):
        n_shards = len(extraction.shards)
        for number in range(n_shards):
            shard = embed_shard_task.with_options(task_run_name=f"embed {name}, shard {number + 1} of {n_shards}")
            results.append(shard(extraction, number, advance))
