"""Cache → fine-tuned tail: maps, the best linear head to compare with, training, one score, the saved model."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from headstart.extractors.atomic import errors_explained, write_atomically
from headstart.extractors.cache import EmbeddingCache, MappedRows
from headstart.flows.errors import JobError
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting import (
    UNFINISHED_TAIL,
    Choices,
    choose,
    model_card,
    plan_without_rare,
    refuse_lone_average,
    write_leaderboard,
)
from headstart.flows.fitting.finetuning.kept import KeptTraining
from headstart.flows.fitting.finetuning.linear import LINEAR_HEADS, BestLinear, find_best_linear
from headstart.flows.fitting.finetuning.options import FinetuneKeywords, FinetuneOptions
from headstart.flows.fitting.finetuning.summary import BlockRow, FinetuneSummary, verdict
from headstart.flows.fitting.finetuning.trunk import Trunk, open_trunk
from headstart.flows.history import (
    RUN_FILE,
    Run,
    describe_run,
    keep_run,
    log_run,
    tabulate_predictions,
    write_predictions,
)
from headstart.flows.options import taken
from headstart.flows.output import RunPlace, progress_bar, run_folder, show_line
from headstart.flows.problem import Problem, describe_views, pose_problem
from headstart.heads.finetuning import TailClassifier
from headstart.heads.report import NO_SCORE, CandidateRow, ScoreRow, TestResult, score_rows
from headstart.heads.saving import save_model
from headstart.heads.scoring import Predictions, compare_paired, score_predictions
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore, Result
from headstart.heads.views import ONE_VIEW

HEAD = "tail"
"""What the head is called in tables and cards."""


def finetune(
    cache: str | Path,
    from_layer: str,
    *,
    options: FinetuneOptions | None = None,
    **named: Unpack[FinetuneKeywords],
) -> FinetuneSummary:
    """Train the upper layers of a network on what its lower ones put out, score them once, and save them.

    Images are split as by `fit`, and none is opened unless the cache lacks the maps. What was interrupted goes on.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.
    from_layer : str
        First layer that is trained, such as "layer4"; ``headstart summary`` lists those that will do.
    options : FinetuneOptions, optional
        All else that is asked for, see `flows.fitting.finetuning.options.FinetuneOptions`.
    **named
        Options by their names, such as ``epochs=10``; they go before those of `options`.

    Raises
    ------
    JobError
        Labels are absent, or the backbone of the cache cannot be had.
    BackboneError
        The network cannot be trained from this layer on.
    HeadError
        The data cannot be fitted, or training diverged.

    Examples
    --------
    >>> maps = headstart.extract("photos", "small_cnn", weights="none", tap="features.7:map", cache="maps.headstart")
    >>> found = headstart.finetune(maps.cache, "features.8", epochs=1)
    >>> [block.name for block in found.blocks]
    ['features.8', 'features.9', 'classifier']
    """
    started = time.monotonic()
    options = taken("finetune", options or FinetuneOptions(), named)
    refuse_lone_average(options)
    opened = EmbeddingCache(cache)
    trunk = open_trunk(opened, from_layer, options)
    problem = _pose(opened, trunk, options)
    choices = choose(problem, list(LINEAR_HEADS), options.fit_options, started=started, on_scores=None)
    problem, plan, _ = plan_without_rare(problem, options.fit_options)
    if options.progress:
        show_line(problem.understood.text)
    features, rows = problem.embedded[0].features, problem.embedded[0].rows
    with run_folder(choices.folder, [UNFINISHED_TAIL]) as place:
        plain = replace(plan, views=ONE_VIEW)
        linear = find_best_linear(problem, plain, trunk.tail, features.mapped(), choices.metric, options.seed)
        head, fit_seconds = _train(problem, plan, trunk, choices, options)
        test = _score(head, problem, plan, rows.take(plan.views.to_score(plan.test)).mapped(), options.seed)
        done = _Done(problem, plan, trunk, choices, linear, head, test, fit_seconds)
        summary = _describe(done, place, from_layer, options)
        run = _write(done, place, summary)
        notes = place.finish(name=options.name, leftover=UNFINISHED_TAIL)
    log_run(run)
    kept = keep_run(run, tabulate_predictions(problem, test))
    return replace(summary, notes=[*summary.notes, *notes, *kept])


@dataclass(frozen=True)
class _Done:
    """All that fine-tuning has come to."""

    problem: Problem
    plan: SplitPlan
    trunk: Trunk
    choices: Choices
    linear: BestLinear
    head: TailClassifier
    test: FinalScore
    fit_seconds: float


def _pose(cache: EmbeddingCache, trunk: Trunk, options: FinetuneOptions) -> Problem:
    problem = pose_problem(
        cache,
        labels=Path(options.labels) if options.labels else None,
        target=options.target,
        keys=[trunk.store.key.id],
        maps=True,
        views=options.views,
    )
    if problem.task != "classify":
        raise JobError(f"target {problem.target!r} is a number to predict; a tail tells classes apart: 'headstart fit'")
    return replace(problem, embedded=[one for one in problem.embedded if one.tap == str(trunk.tail.tap)])


def _train(
    problem: Problem, plan: SplitPlan, trunk: Trunk, choices: Choices, options: FinetuneOptions
) -> tuple[TailClassifier, float]:
    tail = trunk.tail.with_classes(len(problem.class_names), seed=options.seed)
    drawn = problem.embedded[0].drawn
    identity = f"{trunk.store.key.id} {tail.tap} {drawn or ''}{problem.images.digest[plan.train].tobytes().hex()[:64]}"
    kept = KeptTraining(choices.folder / UNFINISHED_TAIL, identity)
    begun = time.monotonic()
    with progress_bar("training", options.epochs, unit="epochs", show=options.progress) as advance:
        params = {**options.params, "random_state": options.seed, "on_epoch": lambda _: advance(1)}
        head = TailClassifier(tail.module, tail.blocks, views=plan.views.n, checkpoint=kept, **params)
        rows = problem.embedded[0].rows.take(plan.views.to_fit(plan.train))
        head.fit(rows.mapped(), problem.y[plan.train])
    return head, time.monotonic() - begun


def _score(head: TailClassifier, problem: Problem, plan: SplitPlan, rows: MappedRows, seed: int) -> FinalScore:
    probability = plan.views.mean(head.predict_proba(rows))
    predicted, true = probability.argmax(axis=1), problem.y[plan.test]
    together, n_classes = problem.groups[plan.test], len(problem.class_names)
    scores = score_predictions(true, probability, predicted, n_classes, groups=together, seed=seed)
    return FinalScore(rows=plan.test, predictions=predicted, probability=probability, scores=scores)


def _describe(done: _Done, place: RunPlace, from_layer: str, options: FinetuneOptions) -> FinetuneSummary:
    problem, plan, choices, linear = done.problem, done.plan, done.choices, done.linear
    metric, tap = choices.metric, str(done.trunk.tail.tap)
    params = {"from": from_layer, **_changed(options), **({"views": problem.n_views} if options.views else {})}
    tail_row = _row(done, HEAD, tap, params, done.test, metric)
    best = linear.result.candidate
    linear_row = _row(done, best.head, best.tap, best.params, linear.test, metric, result=linear.result)
    test = TestResult(
        split=plan.test_name,
        n_images=len(plan.test),
        n_train=len(plan.train),
        scores=score_rows(done.test.scores),
    )
    together = problem.groups[plan.test]
    groups = together if len(np.unique(together)) < len(together) else None
    sides = [Predictions(classes=one.predictions, probability=one.probability) for one in (done.test, linear.test)]
    difference = compare_paired(metric, problem.y[plan.test], *sides, groups=groups, seed=options.seed)
    on_views = describe_views(problem.embedded[0], average=options.average_views)
    notes = [*problem.notes, *plan.notes, *on_views, verdict(difference), _on_batch_norm(done, options)]
    return FinetuneSummary(
        winner=tail_row,
        linear=linear_row,
        test=test,
        difference=difference,
        layer=from_layer,
        tap=tap,
        blocks=_blocks(done),
        history=done.head.history_,
        best_epoch=done.head.best_epoch_,
        batch_norm=options.batch_norm,
        extracted=done.trunk.n_extracted,
        run=place.id,
        model=str(place.folder / "model"),
        table=str(place.folder / "leaderboard.csv"),
        predictions=str(place.folder / "predictions.csv"),
        class_names=problem.class_names,
        notes=[note for note in notes if note],
        seed=options.seed,
        seconds=round(time.monotonic() - choices.started, 3),
        seconds_an_epoch=round(done.fit_seconds / max(1, len(done.head.history_)), 3),
    )


def _write(done: _Done, place: RunPlace, summary: FinetuneSummary) -> Run:
    """Write model, tables and the run into its folder, as `fit` does; returns the run."""
    problem, tail = done.problem, done.trunk.tail
    as_fit = FitSummary(
        leaderboard=[summary.winner, summary.linear],
        winner=summary.winner,
        test=summary.test,
        controls=[summary.linear],
        run=summary.run,
        model=summary.model,
        report="",
        table=summary.table,
        predictions=summary.predictions,
        class_names=summary.class_names,
        notes=summary.notes,
        seed=summary.seed,
        seconds=summary.seconds,
        name=done.choices.options.name,
        note=done.choices.options.note,
        views=summary.winner.views,
        average_views=done.choices.options.average_views,
    )
    run = describe_run(as_fit, problem, done.plan, done.test, done.choices.as_settings(problem.target))
    # Of a candidate the card needs no more than its place and name.
    candidate = replace(done.linear.result.candidate, head=HEAD, params=dict(summary.winner.params), tap=summary.tap)
    card = model_card(problem, candidate, as_fit)
    card["tail"] = {"from": summary.layer, "layer": tail.layer, "blocks": list(tail.blocks)}
    with errors_explained(place.part):
        save_model(place.part / "model", done.head.without_network(), card)
    write_leaderboard(place.part / "leaderboard.csv", as_fit.leaderboard, summary.run)
    write_predictions(place.part / "predictions.csv", problem, done.test, summary.run)
    write_atomically(place.part / RUN_FILE, f"{run.as_line()}\n".encode())
    return run


def _row(
    done: _Done,
    head: str,
    tap: str,
    params: Any,
    score: FinalScore,
    metric: str,
    *,
    result: Result | None = None,
) -> CandidateRow:
    embedded, found = done.problem.embedded[0], score.scores.get(metric)
    ends = ScoreRow.of(found) if found else NO_SCORE
    return CandidateRow(
        backbone=embedded.backbone,
        weights=embedded.store.about["weights_name"],
        label=embedded.label,
        key=embedded.store.key.id,
        tap=tap,
        head=head,
        params=params,
        metric=metric,
        score=ends.value,
        low=ends.low,
        high=ends.high,
        split=done.plan.test_name,
        scores=score_rows(score.scores),
        fit_seconds=round(result.fit_seconds if result else done.fit_seconds, 4),
        views=1 if result else done.problem.n_views,
    )


def _changed(options: FinetuneOptions) -> dict[str, Any]:
    usual = FinetuneOptions().params
    return {name: value for name, value in options.params.items() if value != usual[name]}


def _blocks(done: _Done) -> list[BlockRow]:
    first = done.head.recipe().rates.at_first(done.head.blocks)
    sizes = {name: values.size for name, values in zip(done.head.names_, done.head.weights_, strict=True)}
    counted = {name for name, _ in done.trunk.tail.module.named_parameters()}
    return [
        BlockRow(
            block,
            sum(n for name, n in sizes.items() if name in counted and (name == block or name.startswith(f"{block}."))),
            rate,
        )
        for block, rate in first.items()
    ]


def _on_batch_norm(done: _Done, options: FinetuneOptions) -> str:
    if not any(name.endswith("running_mean") for name in done.head.names_):
        return ""
    if options.batch_norm == "eval":
        return "batch norms and dropout of the tail stay in evaluation mode: statistics are the pretraining's"
    return "batch norms of the tail follow the images (train mode); its dropout is off"
