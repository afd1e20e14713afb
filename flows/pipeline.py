"""The Prefect flow of a whole experiment: list, embed shard by shard, fit, report."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_link_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task

from extractors.backbones import resolve_backbone
from extractors.cache import EmbeddingCache
from extractors.cache_listing import CacheListing
from extractors.errors import CacheError
from extractors.extraction import Extraction, ShardResult
from extractors.images import list_images
from extractors.settings import Settings
from extractors.tap import Tap
from flows.device_lock import device_lock
from flows.errors import EXPECTED_ERRORS
from flows.experiment import Experiment, FitTable, read_experiment
from flows.extraction import extract_each, list_into, open_extraction
from flows.extraction_summary import ExtractionSummary
from flows.fit_summary import FitSummary
from flows.fitting import fit
from flows.progress import Advance, progress_bar, say_waiting
from heads.registry import find_head
from heads.report_text import interval_text, params_text, score_text


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes
    ----------
    extraction : ExtractionSummary
    fit : FitSummary
        Of ``[fit]``, or of the first ``[[fit]]``.
    further_fits : list of FitSummary
        Of the other ``[[fit]]`` tables, in their order.
    """

    extraction: ExtractionSummary
    fit: FitSummary
    further_fits: list[FitSummary] = field(default_factory=list)

    @property
    def fits(self) -> list[FitSummary]:
        """The summary of every fit."""
        return [self.fit, *self.further_fits]


def run(experiment: str | Path | Experiment, *, progress: bool = False) -> RunSummary:
    """Run an experiment as a Prefect flow, on the server that is configured or on an embedded one.

    Parameters
    ----------
    experiment : path-like or Experiment
        A TOML file, or what `flows.experiment.read_experiment` made of it.
    progress : bool
        Show bars on standard error.

    Raises
    ------
    JobError
        The file is wrong.
    BackboneError, UnknownHeadError
        It names something that does not exist.
    """
    checked = experiment if isinstance(experiment, Experiment) else read_experiment(experiment)
    # A misspelt name is told now, and not when a server is up and half the work done.
    for table in checked.extract:
        resolve_backbone(table.backbone)
    for fit_table in checked.fit:
        for name in fit_table.head:
            find_head(name)
    return run_experiment(checked, progress)


@flow(name="headstart", flow_run_name="{experiment.name}", persist_result=False)
def run_experiment(experiment: Experiment, progress: bool = False) -> RunSummary:
    """Extract with every backbone of the experiment, fit its heads, and leave a table and a link to the report."""
    started = time.monotonic()
    cache = EmbeddingCache(experiment.cache, create=True)
    listing, notes = list_images_task(cache, experiment, progress)
    taps = [Tap.parse(spec) for spec in experiment.tap]

    def open_one(listing: CacheListing, name: str, weights: str) -> Extraction:
        opening = open_task.with_options(task_run_name=f"open {name} ({Path(weights).name})")
        return opening(cache, listing, name, weights, taps, experiment.settings)

    extracted = extract_each(
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
    keys = [key["id"] for key in extracted.keys]
    fits = [_fit_table(experiment, table, keys, progress=progress) for table in experiment.fit]
    return RunSummary(extracted, fits[0], fits[1:])


def _worth_retrying(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    """Retry what may pass by itself, such as a full disk or a busy device; what is wrong stays wrong."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, CacheError) or not isinstance(error, EXPECTED_ERRORS)


# The cache folder is the truth about what is done: Prefect's own result cache would say "done" of rows that are gone.
@task(
    name="list images",
    task_run_name="list images",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=_worth_retrying,
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
    retry_condition_fn=_worth_retrying,
)
def embed_shard_task(extraction: Extraction, number: int, advance: Advance) -> ShardResult:
    """Embed and seal one shard; a retry embeds only what the first try did not seal."""
    return extraction.run_shard(number, advance)


@task(
    name="fit heads",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=1,
    retry_condition_fn=_worth_retrying,
)
def fit_task(experiment: Experiment, table: FitTable, keys: list[str], progress: bool) -> FitSummary:
    """Sweep the heads, choose, score once, write model and report."""
    return fit(
        experiment.cache,
        table.head,
        sweep=table.sweep,
        keys=keys,
        labels=table.labels,
        target=table.target,
        task=table.task,
        metric=table.metric,
        folds=table.folds,
        test_size=table.test_size,
        seed=table.seed,
        dask=table.dask,
        out=experiment.folder_of(table),
        few_shot=table.few_shot,
        calibrate=table.calibrate,
        progress=progress,
    )


def _fit_table(experiment: Experiment, table: FitTable, keys: list[str], *, progress: bool) -> FitSummary:
    """Run the task of one of the experiment's fits and leave its artifacts."""
    heads = ", ".join(table.head) or f"the {table.sweep or 'quick'} sweep"
    fitting = fit_task.with_options(task_run_name=f"fit {table.name or heads}")
    fitted = fitting(experiment, table, keys, progress)
    _leave_artifacts(experiment.name if len(experiment.fit) == 1 else f"{experiment.name} {table.name}", fitted)
    return fitted


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


def _leave_artifacts(name: str, fitted: FitSummary) -> None:
    """Leave the leaderboard and a link to the report in Prefect's UI."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "experiment"
    rows = [
        {
            "backbone": row["label"],
            "tap": row["tap"],
            "head": row["head"],
            "parameters": params_text(row["params"]),
            row["metric"]: score_text(row["metric"], row["score"]),
            "95 %": interval_text(row["metric"], row["low"], row["high"]),
        }
        for row in fitted.leaderboard
    ]
    chosen_by = (
        f"Chosen by {fitted.winner['split']}; the winner's score on {fitted.test['split']} stands in the report."
    )
    create_table_artifact(key=f"{slug}-leaderboard", table=rows, description=chosen_by)
    create_link_artifact(
        key=f"{slug}-report", link=Path(fitted.report).resolve().as_uri(), link_text=f"Report of {name}"
    )
