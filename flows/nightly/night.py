"""One night of an experiment: embed what is new, fit again if that matters, and compare with the last night."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.listing import CacheListing, read_listing
from headstart.flows.experiment import Experiment
from headstart.flows.extraction import ExtractionSummary
from headstart.flows.fit_summary import FitSummary
from headstart.flows.history import FOLDER, KeptRun, Run, find_run
from headstart.flows.nightly.changes import compare_listings
from headstart.flows.nightly.classes import Classes, LostClass, classes_of, find_lost
from headstart.flows.nightly.drift import ALPHA, NightDrift, measure_drifts
from headstart.flows.nightly.inputs import Inputs, describe_inputs, name_of, why_refit
from headstart.flows.nightly.page import PAGE, write_page
from headstart.flows.nightly.record import NightRecord
from headstart.flows.nightly.score import ScoreChange, compare_scores
from headstart.flows.nightly.summary import NightSummary
from headstart.heads.report import interval_text, score_text
from headstart.heads.scoring import metric_name

_SHOWN = 5  # classes that are named


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
    plan = _plan(experiment, listing, keys, last)
    if plan.reasons:
        fit(keys)
    runs = {name_of(table): find_run(str(experiment.folder_of(table)), []) for table in experiment.fit}
    earlier = last.classes if last else {}
    scores = [
        compare_scores(name, _earlier(last, name), run, classes=(earlier.get(name, ()), plan.known.get(name, ())))
        for name, run in runs.items()
    ]
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
        refitted=plan.reasons,
        scores=scores,
        drifts=drifts,
        alerts=list_alerts(scores, drifts, plan.lost),
        seconds=round(time.monotonic() - started, 3),
        notes=[*extraction.notes, *(_rare_note(name, classes) for name, classes in plan.rare.items() if classes)],
        lost=plan.lost,
        page=str(experiment.out / PAGE),
    )
    write_page(summary, listing, extraction.keys[0].range)
    leave(summary)
    NightRecord(plan.seen, plan.inputs, kept, plan.known).write(experiment.out)
    return summary


@dataclass(frozen=True)
class _Plan:
    """Reasons to fit again tonight, and the record that the next night compares with."""

    reasons: list[str]
    inputs: Inputs
    known: Classes
    rare: Classes
    seen: pd.DataFrame
    lost: list[LostClass]


def _plan(experiment: Experiment, listing: CacheListing, keys: list[str], last: NightRecord | None) -> _Plan:
    inputs = describe_inputs(experiment, listing, keys)
    reasons = why_refit(experiment, last.inputs if last else None, inputs)
    earlier = last.classes if last else {}
    known, rare = classes_of(experiment, keys) if reasons or not earlier else (earlier, {})
    lost = find_lost(experiment, listing, earlier, (known, rare)) if reasons else []
    if lost and last:  # the next night compares with what the kept models go by: what comes back then is not new
        return _Plan([], last.inputs, earlier, rare, last.seen, lost)
    return _Plan(reasons, inputs, known, rare, listing.rows, lost)


def list_alerts(scores: list[ScoreChange], drifts: list[NightDrift], lost: Sequence[LostClass] = ()) -> list[str]:
    """Say what somebody should look at."""
    alone = len(scores) == 1
    alerts = []
    for name in dict.fromkeys(one.name for one in lost):
        gone = [one for one in lost if one.name == name]
        more = f" and {len(gone) - _SHOWN} more classes" if len(gone) > _SHOWN else ""
        alerts.append(
            f"{'' if alone else f'{name}: '}{'; '.join(one.text for one in gone[:_SHOWN])}{more}: nothing was fitted, "
            f"and the model of before is kept. Bring the images back, or delete {gone[0].model} to go on without them"
        )
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


def _rare_note(name: str, classes: Mapping[str, int]) -> str:
    named = [f"{label} ({count})" for label, count in sorted(classes.items())[:_SHOWN]]
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    return f"{name}: classes with too few images are left out: {', '.join(named)}{more} (min_images)"


def _earlier(last: NightRecord | None, name: str) -> KeptRun | None:
    run: Run | None = last.runs.get(name) if last else None
    if run is None:
        return None
    # The cache's history is the usual place; the results folder's own is for a cache that could not be written.
    beside = Path(run.results) / FOLDER
    return KeptRun(run, beside if (beside / f"{run.id}.parquet").is_file() else Path(run.data.cache) / FOLDER)
