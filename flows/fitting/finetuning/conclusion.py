"""Conclusion of a fine-tuning: the tail beside the linear heads, and the files of its run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.extractors.atomic import errors_explained, write_atomically
from headstart.extractors.spec import short_name
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting import Choices, model_card, write_leaderboard
from headstart.flows.fitting.finetuning.board import describe_candidates
from headstart.flows.fitting.finetuning.command import command_of
from headstart.flows.fitting.finetuning.linear import LinearHeads
from headstart.flows.fitting.finetuning.report import write_tail_report
from headstart.flows.fitting.finetuning.summary import BlockRow, FinetuneSummary, verdict
from headstart.flows.fitting.finetuning.sweep import FINALISTS, Compared
from headstart.flows.fitting.finetuning.trainer import HEAD, TailTrainer
from headstart.flows.history import RUN_FILE, Run, describe_run, write_predictions
from headstart.flows.output import RunPlace
from headstart.flows.problem import Problem, describe_views
from headstart.heads.finetuning import TailClassifier
from headstart.heads.report import NO_SCORE, CandidateRow, ScoreRow, TestResult, score_rows
from headstart.heads.saving import save_model
from headstart.heads.scoring import Difference, Predictions, compare_paired
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore


@dataclass(frozen=True)
class Done:
    """All that fine-tuning has come to; of what was compared, the chosen one is the first."""

    layers: Sequence[str]
    trainer: TailTrainer
    plan: SplitPlan
    choices: Choices
    linear: LinearHeads
    compared: list[Compared]
    head: TailClassifier
    test: FinalScore
    fit_seconds: float

    @property
    def problem(self) -> Problem:
        """Images and labels that the tail learned."""
        return self.trainer.problem


def describe(done: Done, place: RunPlace) -> FinetuneSummary:
    """Gather what fine-tuning returns; its files are to be in `place`."""
    problem, plan, chosen, options = done.problem, done.plan, done.compared[0].choice, done.trainer.options
    tail_row = _row(done, HEAD, chosen.tap, done.trainer.named_params(chosen), done.test, done.fit_seconds)
    heads = [
        _row(done, one.candidate.head, one.candidate.tap, one.candidate.params, score, one.fit_seconds)
        for one, score in done.linear.best
    ]
    difference = _compare(done)
    test = TestResult(
        split=plan.test_name, n_images=len(plan.test), n_train=len(plan.train), scores=score_rows(done.test.scores)
    )
    cache = chosen.trunk.store.path.parent.parent
    candidates = describe_candidates(done.compared, done.linear, problem, plan, done.choices.metric, options.seed)
    on_views = describe_views(problem.find(tail_row.key, tail_row.tap), average=options.average_views)
    notes = [*problem.notes, *plan.notes, *on_views, verdict(difference), *_notes(done)]
    if candidates and candidates[0].head != HEAD:
        notes.append(f"by {candidates[0].split}, {candidates[0].head} stands above every tail")
    return FinetuneSummary(
        winner=tail_row,
        linear=heads[0],
        heads=heads,
        candidates=candidates,
        test=test,
        difference=difference,
        layer=chosen.trunk.layer,
        tap=chosen.tap,
        blocks=_blocks(done),
        history=done.head.history_,
        best_epoch=done.head.best_epoch_,
        batch_norm=options.batch_norm,
        precision=done.head.precision,
        extracted=max(one.choice.trunk.n_extracted for one in done.compared),
        run=place.id,
        model=str(place.folder / "model"),
        report=str(place.folder / "report.html"),
        table=str(place.folder / "leaderboard.csv"),
        predictions=str(place.folder / "predictions.csv"),
        command=command_of(cache, done.layers, options),
        class_names=problem.class_names,
        notes=[note for note in notes if note],
        seed=options.seed,
        seconds=round(time.monotonic() - done.choices.started, 3),
        seconds_an_epoch=round(done.fit_seconds / max(1, len(done.head.history_)), 3),
    )


def write(done: Done, place: RunPlace, summary: FinetuneSummary) -> Run:
    """Write model, report, tables and the run into its folder, as `fit` does; returns the run."""
    problem, tail = done.problem, done.compared[0].choice.trunk.tail
    board = summary.candidates or [summary.winner, *summary.heads]
    chosen = next((row for row in summary.candidates if row.head == HEAD), summary.winner)
    as_fit = FitSummary(
        leaderboard=board,
        winner=chosen,
        test=summary.test,
        controls=summary.heads,
        run=summary.run,
        model=summary.model,
        report=summary.report,
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
    best, _ = done.linear.best[0]
    key, params = summary.winner.key, dict(summary.winner.params)
    card = model_card(problem, replace(best.candidate, head=HEAD, params=params, tap=summary.tap, key=key), as_fit)
    card["tail"] = {"from": summary.layer, "layer": tail.layer, "blocks": list(tail.blocks)}
    with errors_explained(place.part):
        save_model(place.part / "model", done.head.without_network(), card)
    write_leaderboard(place.part / "leaderboard.csv", board, summary.run)
    write_predictions(place.part / "predictions.csv", problem, done.test, summary.run)
    write_tail_report(place.part / Path(summary.report).name, summary, problem, done.test)
    write_atomically(place.part / RUN_FILE, f"{run.as_line()}\n".encode())
    return run


def _row(
    done: Done, head: str, tap: str, params: Mapping[str, Any], score: FinalScore, fit_seconds: float
) -> CandidateRow:
    metric, trunk = done.choices.metric, done.compared[0].choice.trunk
    embedded, found = done.problem.find(trunk.store.key.id, str(trunk.tail.tap)), score.scores.get(metric)
    ends = ScoreRow.of(found) if found else NO_SCORE
    return CandidateRow(
        backbone=embedded.backbone,
        weights=embedded.store.about["weights_name"],
        label=short_name(embedded.backbone),
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
        fit_seconds=round(fit_seconds, 4),
        views=done.trainer.views.n if head == HEAD else 1,
    )


def _compare(done: Done) -> Difference:
    """Compare the tail with the linear head that folds chose, on the test images."""
    problem, plan, (_, linear) = done.problem, done.plan, done.linear.best[0]
    together = problem.groups[plan.test]
    groups = together if len(np.unique(together)) < len(together) else None
    sides = [Predictions(classes=one.predictions, probability=one.probability) for one in (done.test, linear)]
    seed = done.trainer.options.seed
    return compare_paired(done.choices.metric, problem.y[plan.test], *sides, groups=groups, seed=seed)


def _notes(done: Done) -> list[str]:
    """Say how it was trained, and what a person would not expect."""
    options, head, n_train = done.trainer.options, done.head, len(done.plan.train)
    n_folds = len(done.plan.folds)
    notes = [head.stopped_, done.trainer.precisions.note, _on_batch_norm(done)]
    if n_train < options.batch_size:
        notes.append(
            f"{n_train} images are fewer than a batch of {options.batch_size}: a step takes them all; a smaller "
            "--batch-size takes more steps"
        )
    if (passes := head.n_passes_) > 1:
        notes.append(
            f"of few images, an epoch goes over all {passes} times, for {options.min_steps} steps (--min-steps)"
        )
    if len(done.compared) > FINALISTS and n_folds > 1:
        notes.append(
            f"{len(done.compared)} candidates: after each fold the worse half was dropped, down to {FINALISTS} "
            "(successive halving)"
        )
    return notes


def _blocks(done: Done) -> list[BlockRow]:
    first = done.head.recipe().rates.at_first(done.head.blocks)
    sizes = {name: values.size for name, values in zip(done.head.names_, done.head.weights_, strict=True)}
    counted = {name for name, _ in done.compared[0].choice.trunk.tail.module.named_parameters()}
    return [
        BlockRow(
            block,
            sum(n for name, n in sizes.items() if name in counted and (name == block or name.startswith(f"{block}."))),
            rate,
        )
        for block, rate in first.items()
    ]


def _on_batch_norm(done: Done) -> str:
    if not any(name.endswith("running_mean") for name in done.head.names_):
        return ""
    if done.trainer.options.batch_norm == "eval":
        return "batch norms and dropout of the tail stay in evaluation mode: statistics are the pretraining's"
    return "batch norms of the tail follow the images (train mode); its dropout is off"
