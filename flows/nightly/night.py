"""One night of an experiment: embed what is new, fit again if that matters, and compare with the last night."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import read_listing
from headstart.flows.experiment import Experiment
from headstart.flows.extraction import ExtractionSummary
from headstart.flows.fit_summary import FitSummary
from headstart.flows.history import FOLDER, KeptRun, Run, find_run
from headstart.flows.nightly.changes import NightChanges, compare_listings
from headstart.flows.nightly.drift import ALPHA, NightDrift, measure_drifts
from headstart.flows.nightly.inputs import describe_inputs, name_of, why_refit
from headstart.flows.nightly.record import NightRecord
from headstart.flows.nightly.score import ScoreChange, compare_scores
from headstart.heads.report import interval_text, score_text
from headstart.heads.scoring import metric_name


@dataclass(frozen=True)
class NightSummary:
    """Findings and actions of a night.

    Attributes
    ----------
    name, cache, results : str
        The experiment's name and its folders.
    first : bool
        No night was completed before, so that there is nothing to compare with.
    images, quarantined, embedded : int
        Images listed, of these unreadable, and rows that were computed, over all keys.
    changes : NightChanges
    refitted : list of str
        Why the heads were fitted again; empty where they were not.
    scores : list of ScoreChange
        One for each fit.
    drifts : list of NightDrift
        One for each fit; empty where no image was new.
    alerts : list of str
        What somebody should look at: a score that fell by more than chance, new images that drift.
    seconds : float
    notes : list of str
        What a person should know of the extraction.
    """

    name: str
    cache: str
    results: str
    first: bool
    images: int
    quarantined: int
    embedded: int
    changes: NightChanges
    refitted: list[str]
    scores: list[ScoreChange]
    drifts: list[NightDrift]
    alerts: list[str]
    seconds: float
    notes: list[str] = field(default_factory=list)


def run_night(
    experiment: Experiment,
    *,
    extract: Callable[[], ExtractionSummary],
    fit: Callable[[list[str]], list[FitSummary]],
    leave: Callable[[NightSummary], None] = lambda _: None,
) -> NightSummary:
    """Extract, fit again where what the fits go by changed, compare with the last completed night, and tell.

    The night counts as completed once `leave` has returned: then its record replaces the last one. A night that fails
    before is not skipped: the next one compares with the same earlier night.

    Parameters
    ----------
    experiment : Experiment
    extract : callable
        Embeds what is new in the experiment's images.
    fit : callable
        Takes the ids of the keys and fits every ``fit`` table of the experiment.
    leave : callable
        Told of the night before it is recorded.

    Raises
    ------
    JobError
        The images have no labels.
    CacheError
        The last night's record is damaged, or the results folder cannot be written.
    """
    started = time.monotonic()
    last = NightRecord.read(experiment.out)
    extraction = extract()
    listing = read_listing(EmbeddingCache(experiment.cache))
    keys = [key.id for key in extraction.keys]
    inputs = describe_inputs(experiment, listing, keys)
    reasons = why_refit(experiment, last.inputs if last else None, inputs)
    if reasons:
        fit(keys)
    runs = {name_of(table): find_run(str(experiment.folder_of(table)), []) for table in experiment.fit}
    scores = [compare_scores(name, _earlier(last, name), run) for name, run in runs.items()]
    kept = {name: one.run for name, one in runs.items()}
    drifts = measure_drifts(experiment, listing, last.seen, kept) if last else []
    summary = NightSummary(
        name=experiment.name,
        cache=str(experiment.cache),
        results=str(experiment.out),
        first=last is None,
        images=len(listing.rows),
        quarantined=len(listing.quarantined),
        embedded=extraction.embedded,
        changes=compare_listings(last.seen if last else None, listing.rows),
        refitted=reasons,
        scores=scores,
        drifts=drifts,
        alerts=list_alerts(scores, drifts),
        seconds=round(time.monotonic() - started, 3),
        notes=extraction.notes,
    )
    leave(summary)
    NightRecord(listing.rows, inputs, kept).write(experiment.out)
    return summary


def list_alerts(scores: list[ScoreChange], drifts: list[NightDrift]) -> list[str]:
    """Say what somebody should look at."""
    alone = len(scores) == 1
    alerts = []
    for one in scores:
        if one.fell and one.now and one.before and one.difference:
            where = "" if alone else f"{one.name}: "
            alerts.append(
                f"{where}{metric_name(one.metric)} fell from {score_text(one.metric, one.before.value)} to "
                f"{score_text(one.metric, one.now.value)}, by more than chance: the difference's 95 % interval is "
                f"{interval_text(one.metric, one.difference.low, one.difference.high)}"
            )
    for drift in drifts:
        if drift.drifts:
            where = "" if alone else f"{drift.name}: "
            within = " of their classes" if drift.within_classes else ""
            alerts.append(
                f"{where}{drift.test.n_new} new images drift from {drift.test.n_old} old ones{within} "
                f"(p = {drift.p_adjusted:.3f}, alert below {ALPHA})"
            )
    return alerts


def _earlier(last: NightRecord | None, name: str) -> KeptRun | None:
    run: Run | None = last.runs.get(name) if last else None
    if run is None:
        return None
    # The cache's history is the usual place; the results folder's own is for a cache that could not be written.
    beside = Path(run.results) / FOLDER
    return KeptRun(run, beside if (beside / f"{run.id}.parquet").is_file() else Path(run.data.cache) / FOLDER)
