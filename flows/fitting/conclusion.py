"""Choose the winner of a sweep, fit it, score it once, compare it with the others, and write the files of the run."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from headstart.extractors.atomic import errors_explained, write_atomically
from headstart.extractors.memory import give_back_freed_memory
from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.choices import Choices
from headstart.flows.fitting.leaderboard import (
    compare_with_winner,
    leaderboard_row,
    model_card,
    tell_silent,
    tell_ties,
    write_leaderboard,
)
from headstart.flows.fitting.nested import NestedFit, describe_nested
from headstart.flows.fitting.streamed import Streaming
from headstart.flows.fitting.winner import Embedding, Scored, describe_decision, score_others, score_winner
from headstart.flows.history import (
    RUN_FILE,
    Run,
    describe_run,
    keep_run,
    log_run,
    tabulate_predictions,
    write_predictions,
    write_results,
)
from headstart.flows.options import FitOptions
from headstart.flows.output import RunPlace, phases
from headstart.flows.problem import Problem
from headstart.flows.reporting import begin_aside, describe_doubt, fit_command
from headstart.heads.coverage import DOUBT_FILE, Judged, measure_doubt, saved_doubt
from headstart.heads.registry import Candidate, own_code
from headstart.heads.report import CandidateRow, TestResult, score_rows
from headstart.heads.saving import save_model
from headstart.heads.scoring import ClassScore, score_classes
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore, Result, select, training_curve

if TYPE_CHECKING:
    from headstart.flows.reporting import Aside, Evidence


@dataclass(frozen=True)
class Concluded:
    """A fit whose files are all written; its run is to be kept in the history when they are in their place."""

    summary: FitSummary
    run: Run
    predictions: pd.DataFrame

    def keep(self, notes: Sequence[str] = ()) -> FitSummary:
        """Add the run to the history; returns the summary with further notes, and with what that had to say."""
        log_run(self.run)
        return replace(self.summary, notes=[*self.summary.notes, *notes, *keep_run(self.run, self.predictions)])


def conclude(
    problem: Problem,
    plan: SplitPlan,
    results: list[Result],
    choices: Choices,
    place: RunPlace,
    *,
    streaming: Streaming | None = None,
    nested: NestedFit | None = None,
) -> Concluded:
    """Fit the winner on all of train, score it once, and write tables, model and report of the run.

    Parameters
    ----------
    problem, plan, results
        Those of a sweep; the predictions of the results are removed.
    choices : Choices
        The same as for the sweep.
    place : RunPlace
        Where the files are written, and where they will be when all are there.
    streaming : Streaming or None
        How features are read in blocks; then the winner is neither analysed nor calibrated.
    nested : NestedFit or None
        Results of nested folds: their score takes the place of the winner's score on test images.

    Raises
    ------
    DataError
        No candidate has the metric, or the winner cannot be calibrated or gives nothing to decide by.
    """
    metric, seed, options = choices.metric, choices.seed, choices.options
    winner = select(results, metric)
    at = [one is winner for one in results].index(True)
    with begin_aside(problem, plan, winner.candidate, options) as aside:
        with phases("fitting the winner on all of train", show=options.progress) as begin:
            known = nested.test if nested else None
            scored = score_winner(problem, plan, winner, streaming, options=options, known=known)
            if winner.history is None:  # what was fitted together with others keeps no curve
                results[at] = winner = replace(winner, history=training_curve(scored.final))
            begin("comparing the candidates with the winner")
            leaderboard = _describe(problem, plan, results, winner, metric=metric, seed=seed)
            # Compared with the winner's they have served; of millions of images they are most of what is held by now.
            results[:] = [replace(one, predictions=None) for one in results]
            winner = results[at]
            if streaming:
                give_back_freed_memory()
            write_results(place.part, leaderboard, [one.per_fold for one in results], run=place.id)
            begin("scoring the best of every other embedding")
            others = nested.controls if nested else score_others(problem, plan, results, winner, metric, seed)
        test = _describe_test(problem, plan, scored, nested, winner.candidate, choices)
        notes = [*problem.notes, *plan.notes, *(nested.notes if nested else [])]
        notes += [*tell_silent(leaderboard, metric), *tell_ties(leaderboard)]
        summary = _summarise(problem, choices, place, leaderboard, test, _describe_controls(leaderboard, others), notes)
        summary = _with_classes_and_doubt(summary, problem, plan, scored, nested.judged if nested else scored.judged)
        if choices.on_scores:
            choices.on_scores(summary)
        run = describe_run(summary, problem, plan, scored.test, choices.as_settings(problem.target))
        summary = _at(place.part, summary)
        evidence = None if options.no_report else _evidence(winner, scored, streaming, nested, aside)
        _save(problem, winner.candidate, scored, summary, run)
        summary = _explain(summary, problem, plan, results, winner, evidence, aside, options)
    return Concluded(_at(place.folder, summary), run, tabulate_predictions(problem, scored.test))


def _evidence(
    winner: Result, scored: Scored, streaming: Streaming | None, nested: NestedFit | None, aside: "Aside | None"
) -> "Evidence":
    """Gather what is to be looked at, and go on with it aside."""
    from headstart.flows.reporting import Evidence  # noqa: PLC0415 - loads what draws

    outer, unseen = nested.plan if nested else None, streaming.notes if streaming else None
    evidence = Evidence(scored.test, scored.features, scored.out_of_fold, outer, unseen, winner.probability)
    if aside:
        aside.go_on(evidence)
    return evidence


def _explain(
    summary: FitSummary,
    problem: Problem,
    plan: SplitPlan,
    results: list[Result],
    winner: Result,
    evidence: "Evidence | None",
    aside: "Aside | None",
    options: FitOptions,
) -> FitSummary:
    if evidence is None:
        return summary
    from headstart.flows.reporting import explain  # noqa: PLC0415 - loads what draws; scores need not wait

    return explain(summary, problem, plan, results, winner, evidence, aside, options=options)


def _with_classes_and_doubt(
    summary: FitSummary, problem: Problem, plan: SplitPlan, scored: Scored, judged: Judged | None
) -> FitSummary:
    """Add each class's scores, and what sets and outliers of the winner came to on the images that it was scored on."""
    summary = replace(summary, classes=_score_classes(problem, scored.test))
    if scored.doubt is None or judged is None:
        return summary
    true, held_out = problem.y[scored.test.rows], plan.selection == "val"
    found = measure_doubt(scored.doubt, judged, true, scored.test.predictions, problem.class_names, held_out=held_out)
    return replace(summary, doubt=found, notes=[*summary.notes, *describe_doubt(found)])


def _describe_test(
    problem: Problem,
    plan: SplitPlan,
    scored: Scored,
    nested: NestedFit | None,
    candidate: Candidate,
    choices: Choices,
) -> TestResult:
    plain = nested.plain if nested else scored.plain
    return TestResult(
        split=plan.test_name,
        n_images=len(scored.test.rows),
        n_train=len(plan.train),
        scores=score_rows(scored.test.scores),
        nested=describe_nested(nested, problem, candidate, choices.metric) if nested else None,
        decision=describe_decision(problem, scored, plain, choices.options),
    )


def _score_classes(problem: Problem, score: FinalScore) -> list[ClassScore]:
    """Return the scores of each class, the lowest recall first; of numbers none."""
    if problem.task == "regress":
        return []
    found = score_classes(
        problem.y[score.rows],
        score.predictions,
        problem.class_names,
        probability=score.probability,
        groups=problem.groups[score.rows],
    )
    return sorted(found, key=lambda one: (one.recall is None, one.recall, -one.support))


def _summarise(
    problem: Problem,
    choices: Choices,
    place: RunPlace,
    leaderboard: list[CandidateRow],
    test: TestResult,
    controls: list[CandidateRow],
    notes: list[str],
) -> FitSummary:
    summary = FitSummary(
        leaderboard=leaderboard,
        winner=leaderboard[0],
        test=test,
        controls=controls,
        run=place.id,
        model="model",
        report="" if choices.options.no_report else "report.html",
        table="leaderboard.csv",
        predictions="predictions.csv",
        class_names=problem.class_names,
        notes=notes,
        seed=choices.seed,
        seconds=round(time.monotonic() - choices.started, 3),
        name=choices.options.name,
        note=choices.options.note,
        command=fit_command(problem.cache, choices.heads, choices.options, problem.target),
        views=leaderboard[0].views,
        average_views=choices.options.average_views,
    )
    return _at(place.folder, summary)


def _at(folder: Path, summary: FitSummary) -> FitSummary:
    """Return a summary whose files are in another folder."""

    def moved(file: str) -> str:
        return str(folder / Path(file).name)

    return replace(
        summary,
        model=moved(summary.model),
        report=summary.report and moved(summary.report),
        table=moved(summary.table),
        predictions=moved(summary.predictions),
        suspects=summary.suspects and moved(summary.suspects),
    )


def _save(problem: Problem, candidate: Candidate, scored: Scored, summary: FitSummary, run: Run) -> None:
    """Write the model, the leaderboard, the predictions, and the run's line of the history."""
    card, beside = model_card(problem, candidate, summary), {}
    if scored.doubt:
        card["doubt"], beside[DOUBT_FILE] = saved_doubt(scored.doubt)
    if scored.chosen:
        card["decision"] = scored.chosen.decision.as_dict()
    with errors_explained(Path(summary.model)):
        save_model(summary.model, scored.final, card, own=own_code(candidate), beside=beside)
    write_leaderboard(Path(summary.table), summary.leaderboard, summary.run)
    write_predictions(Path(summary.predictions), problem, scored.test, summary.run)
    write_atomically(Path(summary.model).with_name(RUN_FILE), f"{run.as_line()}\n".encode())


def _describe(
    problem: Problem, plan: SplitPlan, results: Sequence[Result], winner: Result, *, metric: str, seed: int
) -> list[CandidateRow]:
    """Return the leaderboard, best first."""
    split = "val" if plan.selection == "val" else f"{len(plan.first_folds)}-fold CV"
    split += f" × {plan.repeats}" if plan.repeats > 1 else ""
    rivals = compare_with_winner(problem, plan, results, winner, metric=metric, seed=seed)
    return [
        leaderboard_row(
            problem.find(result.candidate.key, result.candidate.tap),
            result,
            metric,
            split,
            rival,
            views=problem.n_views,
        )
        for result, rival in zip(results, rivals, strict=True)
    ]


def _describe_controls(
    leaderboard: Sequence[CandidateRow], others: Mapping[Embedding, FinalScore]
) -> list[CandidateRow]:
    """Return the best row of every embedding except the winner's, with its scores on the test images."""
    best: dict[Embedding, CandidateRow] = {}
    for row in leaderboard:
        if row.metric in row.scores:
            best.setdefault((row.key, row.tap), row)
    (_, *rest) = best.items()  # the winner's comes first
    return [replace(row, scores=score_rows(others[place].scores)) for place, row in rest if place in others]
