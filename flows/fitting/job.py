"""Cache → heads: pose the problem, plan the splits, sweep the candidates."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np

from headstart.extractors.cache import EmbeddingCache
from headstart.flows.errors import JobError
from headstart.flows.fit_summary import FitSummary, Understood
from headstart.flows.fitting.choices import Choices, choose, refuse_unusable
from headstart.flows.fitting.conclusion import Concluded, conclude
from headstart.flows.fitting.device import devices_held, place_candidates
from headstart.flows.fitting.imbalance import weigh_candidates
from headstart.flows.fitting.nested import fit_nested, workers_for_all
from headstart.flows.fitting.rare_classes import leave_out, plan_without_rare
from headstart.flows.fitting.streamed import Streaming, plan_streaming
from headstart.flows.fitting.sweep import sweep_problem
from headstart.flows.fitting.unfinished import UNFINISHED, kept_until_done
from headstart.flows.options import FitKeywords, FitOptions, as_list, taken
from headstart.flows.output import RunPlace, run_folder, show_line
from headstart.flows.problem import Embedded, Problem, describe_views, pose_problem
from headstart.flows.reporting import refuse_few
from headstart.heads.errors import DataError, RareClassError
from headstart.heads.registry import Candidate, FeatureSet, Heads, expand, read_heads, tell_of_views
from headstart.heads.scoring import find_metric
from headstart.heads.splits import SplitPlan


def fit(
    cache: str | Path,
    heads: Heads = (),
    *,
    options: FitOptions | None = None,
    on_scores: Callable[[FitSummary], None] | None = None,
    **named: Unpack[FitKeywords],
) -> FitSummary:
    """Fit heads on cached embeddings, pick one by validation, score it once on images that chose nothing, and save it.

    Where the images have splits, ``train`` fits, ``val`` chooses and ``test`` is scored; without ``test``,
    cross-validation inside ``train`` chooses and ``val`` is scored; without any, a share is held back and scored, which
    is stratified where the target names classes. With few images, ``nested`` folds score all of them instead.

    Parameters
    ----------
    cache : path-like
        What `extract` filled. Every key that covers all labelled images takes part.
    heads : str, scikit-learn estimator, or sequence of these
        Names in `heads.HEADS`, for numbers in `heads.registry.REGRESSORS`, each with its own grid of hyper-parameters
        or with one in brackets: ``"logreg(C=0.1,1,10)"``. Or ``module:Class`` for one of your own, or an estimator
        itself: ``SVC(C=1)``.
    options : FitOptions, optional
        All else that is asked for, see `flows.options.FitOptions`.
    on_scores : callable, optional
        Called with the summary once the winner is scored, before its images are looked at and the report is written:
        that can take longer than the fit, and adds notes. Only then the run's folder is there.
    **named
        Options by their names, such as ``folds=3``; they go before those of `options`.

    Raises
    ------
    JobError
        Labels are absent, or no key covers the images.
    HeadError
        The data cannot be fitted.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> found = headstart.fit("photos.headstart", ["centroid", "ridge(alpha=10,100)", "dummy"], folds=3)
    >>> found.class_names, found.test.n_images
    (['cat', 'dog', 'owl'], 8)
    >>> found.test.scores["accuracy"].value
    1.0
    >>> found.to_pandas()["head"].tolist()[-1]
    'dummy'
    """
    started = time.monotonic()
    options = taken("fit", options or FitOptions(), named, beside=["heads"])
    opened = EmbeddingCache(cache)
    asked = read_heads(heads)
    refuse_unusable(asked, options)
    problem = _pose(opened, options)
    choices = choose(problem, asked, options, started=started, on_scores=on_scores)
    with run_folder(choices.folder, [UNFINISHED]) as place:
        concluded = fit_problem(problem, choices, place)
        notes = place.finish(name=options.name, leftover=UNFINISHED)
    return concluded.keep(notes)


def preview(cache: EmbeddingCache, options: FitOptions) -> Understood:
    """Say what a fit with these options would take the images for, without fitting anything.

    Raises
    ------
    JobError
        As `fit`. What only its folds refuse, the fit itself will say.
    """
    problem = _pose(cache, options)
    try:
        return plan_without_rare(problem, options)[0].understood
    except RareClassError as error:  # fewer than two classes would be left
        return leave_out(problem, error.classes).understood
    except DataError:
        return problem.understood


def _pose(cache: EmbeddingCache, options: FitOptions) -> Problem:
    return pose_problem(
        cache,
        labels=Path(options.labels) if options.labels else None,
        target=options.target,
        task=options.task,
        backbone=as_list(options.backbone) if options.backbone else None,
        keys=options.keys,
        views=options.views,
    )


def fit_problem(problem: Problem, choices: Choices, place: RunPlace) -> Concluded:
    """Do what `fit` does for a problem that is posed already, until all files are written.

    Parameters
    ----------
    problem : Problem
    choices : Choices
        Where a problem comes from is only kept for the history of runs.
    place : RunPlace
        Of its files.

    Raises
    ------
    JobError, HeadError
        As `fit`.
    """
    options = choices.options
    problem, plan, outer = plan_without_rare(problem, options)
    refuse_few(problem, [plan, *(outer.outer if outer else ())], options)
    if options.progress:
        show_line(problem.understood.text)
    if choices.metric == "r2" and outer is None:
        _refuse_constant(problem, plan)
    sets = [_feature_set(embedded) for embedded in problem.embedded]
    candidates, notes = tell_of_views(expand(sets, choices.heads, task=problem.task), problem.n_views)
    candidates, weighed = weigh_candidates(candidates, problem, options)
    candidates, placed = place_candidates(candidates, options)
    notes = [*notes, *weighed, *placed]
    problem = replace(
        problem, notes=[*problem.notes, *notes, *describe_views(problem.embedded[0], average=options.average_views)]
    )
    streaming = _plan_streaming(problem, candidates, options)
    with (
        kept_until_done(choices.folder, problem, options.seed, tell=options.progress, streamed=bool(streaming)) as keep,
        devices_held(candidates, options),
        workers_for_all(choices, several=bool(outer)) as at_work,
    ):
        nested = fit_nested(problem, candidates, outer, at_work, keep) if outer else None
        results = sweep_problem(
            problem,
            streaming.candidates if streaming else candidates,
            plan,
            at_work,
            kept=keep(plan),
            streaming=streaming,
            stage="all images" if outer else "",
        )
        concluded = conclude(problem, plan, results, choices, place, streaming=streaming, nested=nested)
        return replace(concluded, summary=replace(concluded.summary, understood=problem.understood))


def _refuse_constant(problem: Problem, plan: SplitPlan) -> None:
    if len(np.unique(problem.y[plan.test])) < 2:
        raise JobError(
            f"all {len(plan.test)} images of {plan.test_name} have the same {problem.target}, so that there is no R²; "
            "choose by --metric mae, or give other splits"
        )


def _plan_streaming(problem: Problem, candidates: Sequence[Candidate], options: FitOptions) -> Streaming | None:
    """Plan to read features in blocks where memory asks for it; no head that predicts numbers can."""
    if problem.task != "classify":
        return None
    streaming = plan_streaming(candidates, memory=options.memory, dask=options.dask)
    if streaming and options.metric and find_metric(options.metric).basis == "ranks":
        raise JobError(
            f"{streaming.notes[0]}; then {options.metric} is not known while choosing, which needs every class's "
            "probability for all images at once: choose by another metric"
        )
    if streaming and options.views:
        raise JobError(f"{streaming.notes[0]}; --views needs them in memory: leave it out, or fit on fewer images")
    if streaming and (
        options.few_shot or options.calibrate or options.coverage or options.repeats > 1 or options.nested
    ):
        raise JobError(
            f"{streaming.notes[0]}; --few-shot, --calibrate, --coverage, --repeats and --nested need them in memory"
        )
    if streaming and (options.threshold or options.costs):
        raise JobError(
            f"{streaming.notes[0]}; --threshold and --costs need them in memory: leave them out, or fit on less"
        )
    return streaming


def _feature_set(embedded: Embedded) -> FeatureSet:
    return FeatureSet(features=embedded.rows, backbone=embedded.backbone, tap=embedded.tap, key=embedded.store.key.id)
