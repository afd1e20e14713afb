"""Explanation of a winner's score: how its images and probabilities look, and the report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.flows.fit_summary import FitSummary
from headstart.flows.options import FitOptions
from headstart.flows.output import Begin, phases
from headstart.flows.problem import Problem
from headstart.flows.reporting.analysis import Analysis, Evidence, Likeness, analyse
from headstart.flows.reporting.aside import Aside
from headstart.flows.reporting.few_shot_file import write_few_shot
from headstart.flows.reporting.map import describe_map
from headstart.flows.reporting.number_report import write_number_report
from headstart.flows.reporting.out_of_fold import OutOfFold
from headstart.flows.reporting.report import write_report
from headstart.flows.reporting.suspects_file import write_suspects
from headstart.heads.registry import Candidate
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import Result


def explain(
    summary: FitSummary,
    problem: Problem,
    plan: SplitPlan,
    results: Sequence[Result],
    winner: Result,
    evidence: Evidence,
    aside: Aside | None,
    *,
    options: FitOptions,
) -> FitSummary:
    """Write suspects, few-shot curves and the report beside the model; returns the summary with what was found.

    Parameters
    ----------
    summary, problem, plan, results, winner
        Of a fit that is concluded but for this.
    evidence : Evidence
    aside : Aside or None
        Of the same evidence; None where the target is numbers.
    options : FitOptions
        Whether to fit the winner on few images of each class too, and to show how all that gets on.
    """
    with phases(show=options.progress) as begin:
        shown, oof, likeness = None, None, None
        if aside:
            begin("reading the pictures of the map")  # which need not wait for their places
            shown = describe_map(problem, plan, winner.candidate, evidence.test)
            points, oof, likeness = aside.results(begin)
            shown = replace(shown, points=points)
        found = _look_at(problem, plan, winner.candidate, evidence, oof, likeness, begin, options)
        suspects = write_suspects(Path(summary.report).parent, problem, found)
        summary = replace(summary, notes=[*summary.notes, *found.notes], suspects=suspects)
        if found.few_shot:
            write_few_shot(Path(summary.few_shot), {summary.winner.head: found.few_shot, **found.few_shot_others})
        begin("drawing the report")
        if shown is None:
            write_number_report(summary, problem, evidence.test)
        else:
            write_report(summary, problem, plan, results, winner, evidence.test, found, shown)
    return summary


def _look_at(
    problem: Problem,
    plan: SplitPlan,
    candidate: Candidate,
    evidence: Evidence,
    oof: OutOfFold | None,
    likeness: Likeness | None,
    begin: Begin,
    options: FitOptions,
) -> Analysis:
    if evidence.unseen is not None:
        return Analysis(notes=evidence.unseen)
    if problem.task == "regress" or evidence.features is None:
        return Analysis()
    return analyse(problem, plan, candidate, evidence, oof, likeness, begin, options)
