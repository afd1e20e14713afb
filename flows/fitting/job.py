"""Cache → heads: pose the problem, plan the splits, sweep the candidates."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.extractors.cache import EmbeddingCache
from headstart.flows.errors import JobError
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.choices import OWN_FILES, choose_heads, choose_metric, describe_source, open_results
from headstart.flows.fitting.conclusion import conclude
from headstart.flows.fitting.nested import fit_nested, plan_fit, workers_for_all
from headstart.flows.fitting.streamed import plan_streaming
from headstart.flows.fitting.sweep import sweep_problem
from headstart.flows.fitting.unfinished import kept_until_done
from headstart.flows.options import as_list
from headstart.flows.problem import Embedded, Problem, pose_problem
from headstart.heads.registry import FeatureSet, expand


def fit(
    cache: str | Path,
    head: str | Sequence[str] = (),
    *,
    sweep: str | None = None,
    labels: str | Path | None = None,
    target: str | None = None,
    task: str | None = None,
    backbone: str | Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    metric: str | None = None,
    folds: int = 5,
    repeats: int = 1,
    test_size: float = 0.2,
    nested: int | None = None,
    seed: int = 0,
    dask: str = "threads",
    workers: int | None = None,
    out: str | Path | None = None,
    few_shot: bool = False,
    calibrate: bool = False,
    memory: float | None = None,
    progress: bool = False,
    on_scores: Callable[[FitSummary], None] | None = None,
) -> FitSummary:
    """Fit heads on cached embeddings, pick one by validation, score it once on images that chose nothing, and save it.

    Where the images have splits, ``train`` fits, ``val`` chooses and ``test`` is scored; without ``test``,
    cross-validation inside ``train`` chooses and ``val`` is scored; without any, a share is held back and scored, which
    is stratified where the target names classes. With few images, `nested` folds score all of them instead.

    Parameters
    ----------
    cache : path-like
        What `extract` filled. Every key that covers all labelled images takes part.
    head : str or sequence of str
        Names in `heads.HEADS`, or ``module:Class`` for one of your own; for numbers in `heads.registry.REGRESSORS`.
        Each brings its grid of hyper-parameters.
    sweep : {"quick", "standard", "thorough"}, optional
        Heads and grids of `heads.registry.presets`; ``quick`` where no head is named either.
    labels : path-like, optional
        CSV or Parquet with ``path`` and label columns, in place of the listing's labels.
    target : str, optional
        Label column; by default the only one, or ``label``. `flows.fitting.several.fit_targets` fits several.
    task : {"classify", "regress"}, optional
        Whether the target names classes or is a number to predict; by default the latter for numbers with a fraction,
        or of which there are more than 100 different ones.
    backbone : str or sequence of str, optional
        Use only these backbones of the cache.
    keys : sequence of str, optional
        Use only the embeddings with these key ids.
    metric : {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "r2", "mae", "rmse"}, optional
        What chooses the winner; by default the accuracy of classes, and R² for numbers, which have the last three.
    folds, test_size, seed
        Folds of the cross-validation, the share held back, and the seed of splits and heads.
    repeats : int
        Rounds of choosing, each with other folds and another seed of the heads: less of the choice is luck.
    nested : int, optional
        Outer folds: the whole fit is made again without each of them, so that every image is scored once, by a model
        that was chosen and fitted without it. Only of images without val and test; nothing is held back then.
    dask : str
        ``threads``, ``processes``, or a scheduler's address; `workers` of them, by default one a core.
    out : path-like, optional
        Folder for model, report and table; by default ``NAME.results`` in the current folder.
    few_shot : bool
        Fit the winner on 1, 2, 5, … images of each class too, some hundred times, for the curve in the report.
    calibrate : bool
        Mend the saved head's probabilities by a temperature, fitted on the images that chose it.
    memory : float, optional
        Bytes that features may take in memory, as float32; by default a quarter of what is free. Where they take more,
        they are read in blocks, by the heads that can.
    progress : bool
        Show a bar on standard error.
    on_scores : callable, optional
        Called with the summary once the winner is scored and saved, before its images are looked at and the report is
        written: that can take longer than the fit, and adds notes.

    Raises
    ------
    JobError
        Labels are absent, or no key covers the images.
    HeadError
        The data cannot be fitted.
    """
    started = time.monotonic()
    problem = pose_problem(
        EmbeddingCache(cache),
        labels=Path(labels) if labels else None,
        target=target,
        task=task,
        backbone=as_list(backbone) if backbone else None,
        keys=keys,
    )
    return fit_problem(
        problem,
        head,
        sweep=sweep,
        metric=metric,
        folds=folds,
        repeats=repeats,
        test_size=test_size,
        nested=nested,
        seed=seed,
        dask=dask,
        workers=workers,
        out=out,
        few_shot=few_shot,
        calibrate=calibrate,
        memory=memory,
        progress=progress,
        on_scores=on_scores,
        started=started,
        asked=describe_source(labels, backbone),
    )


def fit_problem(
    problem: Problem,
    head: str | Sequence[str] = (),
    *,
    sweep: str | None = None,
    metric: str | None = None,
    folds: int = 5,
    repeats: int = 1,
    test_size: float = 0.2,
    nested: int | None = None,
    seed: int = 0,
    dask: str = "threads",
    workers: int | None = None,
    out: str | Path | None = None,
    few_shot: bool = False,
    calibrate: bool = False,
    memory: float | None = None,
    progress: bool = False,
    on_scores: Callable[[FitSummary], None] | None = None,
    started: float,
    asked: Mapping[str, Any],
) -> FitSummary:
    """Do what `fit` does for a problem that is posed already.

    Parameters
    ----------
    problem : Problem
    head, sweep, metric, folds, repeats, test_size, nested, seed, dask, workers, out, few_shot, calibrate, memory
        As for `fit`.
    progress, on_scores
        As for `fit`.
    started : float
        `time.monotonic` when the fit began.
    asked : mapping
        What `describe_source` says, for the history of runs.

    Raises
    ------
    JobError, HeadError
        As `fit`.
    """
    metric = choose_metric(problem, metric)
    if problem.task == "regress" and (few_shot or calibrate):
        raise JobError(f"target {problem.target!r} is a number to predict; --few-shot and --calibrate are for classes")
    folder = Path(out) if out else Path(f"{problem.name}.results")
    open_results(folder, OWN_FILES)
    plan, outer = plan_fit(problem, nested=nested, test_size=test_size, folds=folds, repeats=repeats, seed=seed)
    if metric == "r2" and outer is None and len(np.unique(problem.y[plan.test])) < 2:
        raise JobError(
            f"all {len(plan.test)} images of {plan.test_name} have the same {problem.target}, so that there is no R²; "
            "choose by --metric mae, or give other splits"
        )
    heads, grid = choose_heads(as_list(head), sweep, problem.task)
    settings = {"heads": heads, "sweep": sweep, "metric": metric, "folds": folds, "test_size": test_size, "seed": seed}
    settings |= {"target": problem.target, **asked, "calibrate": calibrate, "repeats": repeats, "nested": nested}
    candidates = expand([_feature_set(embedded) for embedded in problem.embedded], heads, grid, task=problem.task)
    # No head that predicts numbers reads its features in blocks.
    streaming = plan_streaming(candidates, memory=memory, dask=dask) if problem.task == "classify" else None
    if streaming and (few_shot or calibrate or repeats > 1 or outer):
        raise JobError(f"{streaming.notes[0]}; --few-shot, --calibrate, --repeats and --nested need them in memory")
    with (
        kept_until_done(folder, problem, seed, tell=progress, streamed=bool(streaming)) as keep,
        workers_for_all(dask, workers, several=bool(outer)) as running,
    ):
        sweeping: dict[str, Any] = {"metric": metric, "seed": seed, "dask": running}
        sweeping |= {"workers": workers, "progress": progress}
        found = fit_nested(problem, candidates, outer, keep, calibrate=calibrate, **sweeping) if outer else None
        results = sweep_problem(
            problem,
            streaming.candidates if streaming else candidates,
            plan,
            streaming=streaming,
            kept=keep(plan),
            stage="all images" if outer else "",
            **sweeping,
        )
        return conclude(
            problem,
            plan,
            results,
            metric=metric,
            seed=seed,
            out=folder,
            started=started,
            settings=settings,
            few_shot=few_shot,
            calibrate=calibrate,
            streaming=streaming,
            nested=found,
            on_scores=on_scores,
        )


def _feature_set(embedded: Embedded) -> FeatureSet:
    return FeatureSet(
        features=embedded.features, backbone=embedded.backbone, tap=embedded.tap, key=embedded.store.key.id
    )
