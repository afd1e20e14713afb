"""What stands beside a winner's score: what its images and probabilities look like, and the report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.flows.fit_summary import FitSummary
from headstart.flows.fitting.nested import NestedFit
from headstart.flows.fitting.streamed import Streaming
from headstart.flows.fitting.winner import Scored
from headstart.flows.problem.problem import Problem
from headstart.flows.reporting.analysis import Analysis, Sides, analyse
from headstart.flows.reporting.number_report import write_number_report
from headstart.flows.reporting.out_of_fold import predict_out_of_fold
from headstart.flows.reporting.report import write_report
from headstart.flows.reporting.suspects_file import write_suspects
from headstart.heads.registry.candidates import Candidate
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep.trial import Result


def explain(
    summary: FitSummary,
    problem: Problem,
    plan: SplitPlan,
    results: Sequence[Result],
    winner: Result,
    scored: Scored,
    *,
    nested: NestedFit | None,
    streaming: Streaming | None,
    few_shot: bool,
) -> FitSummary:
    """Write ``suspects.csv`` and the report beside the summary's model; returns the summary with what that found.

    Parameters
    ----------
    summary, problem, plan, results, winner, scored
        What `flows.fitting.conclusion.conclude` has found.
    nested, streaming, few_shot
        As for `conclude`.
    """
    sides = Sides.of_folds(nested.plan) if nested else Sides.of_plan(plan, len(problem.y))
    found = _look_at(problem, plan, sides, winner.candidate, scored, streaming, few_shot=few_shot, seed=summary.seed)
    suspects = write_suspects(Path(summary.report).parent, problem, found)
    summary = replace(summary, notes=[*summary.notes, *found.notes], suspects=suspects)
    if problem.task == "regress":
        write_number_report(summary, problem, scored.test)
    else:
        metric = summary.winner["metric"]
        write_report(summary, problem, plan, results, winner, scored.test, found, metric=metric)
    return summary


def _look_at(
    problem: Problem,
    plan: SplitPlan,
    sides: Sides,
    candidate: Candidate,
    scored: Scored,
    streaming: Streaming | None,
    *,
    few_shot: bool,
    seed: int,
) -> Analysis:
    if streaming:
        return Analysis(notes=streaming.notes)
    if problem.task == "regress" or scored.features is None:
        return Analysis()
    oof = scored.out_of_fold or predict_out_of_fold(problem, plan, candidate, scored.features, seed)
    return analyse(problem, plan, sides, candidate, scored.features, oof, scored.test, few_shot=few_shot, seed=seed)
