"""Classes that are not alike: how much each weighs in a fit, and how probabilities are decided by."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.flows.errors import JobError
from headstart.flows.options import FitOptions
from headstart.flows.problem import Problem, number_costs, number_weights, read_costs, read_weights
from headstart.flows.reporting import OutOfFold
from headstart.heads.analysis import ChosenDecision, Goal, decide_on_folds, temper
from headstart.heads.errors import DataError
from headstart.heads.registry import Candidate, tell_of_weights
from headstart.heads.report import ClassChange, DecisionRows, score_rows
from headstart.heads.scoring import COST, Difference, Predictions, compare_paired
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore


def refuse_odd_tables(options: FitOptions) -> None:
    """Tell of weights, costs and thresholds that no labels could make sense of.

    Raises
    ------
    JobError
        One cannot be read, or both a threshold and costs are given.
    DataError
        No threshold changes that metric.
    """
    if options.class_weight is not None:
        read_weights(options.class_weight)
    if options.costs is not None:
        read_costs(options.costs)
    if options.threshold is not None:
        if options.costs is not None:
            raise JobError(
                f"--threshold {options.threshold} and --costs are two goals of one decision: leave one of the two out"
            )
        Goal(by=options.threshold)


def weigh_candidates(
    candidates: Sequence[Candidate], problem: Problem, options: FitOptions
) -> tuple[list[Candidate], list[str]]:
    """Return the candidates with the class weight that is asked for, and what to note of it.

    Raises
    ------
    JobError
        A name is no class.
    DataError
        No candidate's head can weigh classes.
    """
    if options.class_weight is None:
        return list(candidates), []
    asked = read_weights(options.class_weight)
    weights = number_weights(asked, problem.class_names, problem.understood.left_out)
    weighed, notes = tell_of_weights(candidates, weights)
    if not isinstance(weights, str):
        each = ", ".join(f"{name} {weights[number]:g}" for number, name in enumerate(problem.class_names[:10]))
        notes = [f"an image counts by its class: {each}{', …' if len(problem.class_names) > 10 else ''}", *notes]
    return weighed, notes


def goal_of(problem: Problem, options: FitOptions) -> Goal | None:
    """Return the aim of the decision to choose; None where the likeliest class is taken.

    Raises
    ------
    JobError
        A name in a table of costs is no class.
    """
    if options.costs is not None:
        costs = number_costs(read_costs(options.costs), problem.class_names, problem.understood.left_out)
        return Goal(by=COST, costs=costs)
    return Goal(by=options.threshold) if options.threshold else None


def choose_decision(
    problem: Problem, plan: SplitPlan, oof: OutOfFold | None, goal: Goal, head: str, *, calibrated: bool
) -> ChosenDecision:
    """Choose by what the winner says of the images that chose it, each by a fit without it; no test image is looked at.

    Raises
    ------
    DataError
        The winner gives no probabilities, or there is nothing to choose.
    """
    if oof is None:
        raise DataError(
            f"{head} gives no probabilities to decide by; leave out --threshold and --costs, or try other heads"
        )
    sizes = [len(rows) for _, rows in plan.first_folds]
    chose = slice(sum(sizes))
    temperature = 1.0 if calibrated else oof.temperature
    probability = temper(oof.probability[chose], oof.temperature) if calibrated else oof.probability[chose]
    return decide_on_folds(problem.y[oof.rows[chose]], probability, sizes, goal, temperature=temperature)


def describe_choice(
    problem: Problem, chosen: ChosenDecision, goal: Goal, plain: FinalScore, test: FinalScore, seed: int
) -> DecisionRows:
    """Say what a decision costs and wins on the images that are scored once, class by class."""
    true, names, decision = problem.y[test.rows], problem.class_names, chosen.decision
    difference = _compare(problem, goal, plain, test, seed)
    table = None if goal.costs is None else goal.costs.tolist()
    return DecisionRows(
        by=decision.by,
        threshold=decision.threshold,
        multipliers=dict(zip(names, decision.multipliers, strict=True)) if decision.multipliers else None,
        costs=table and {name: dict(zip(names, row, strict=True)) for name, row in zip(names, table, strict=True)},
        folds_before=chosen.before,
        folds_after=chosen.after,
        before=goal.value(true, plain.predictions),
        after=goal.value(true, test.predictions),
        low=_finite(difference.low),
        high=_finite(difference.high),
        p_value=difference.p_value,
        plain=score_rows(plain.scores),
        classes=_changes(true, plain.predictions, test.predictions, names),
    )


def _compare(problem: Problem, goal: Goal, plain: FinalScore, test: FinalScore, seed: int) -> Difference:
    true, together = problem.y[test.rows], problem.groups[test.rows]
    groups = together if len(np.unique(together)) < len(together) else None
    sides = test.predictions, plain.predictions
    if goal.costs is None:
        answers = [Predictions(classes=one) for one in sides]
        return compare_paired(goal.by, true, *answers, groups=groups, seed=seed)
    # A cost is an error of so much: the means of their sizes are compared as of numbers.
    answers = [Predictions(classes=goal.costs[true, one]) for one in sides]
    return compare_paired("mae", np.zeros(len(true)), *answers, groups=groups, seed=seed)


def _changes(
    true: npt.NDArray[Any], before: npt.NDArray[Any], after: npt.NDArray[Any], names: list[str]
) -> list[ClassChange]:
    def counts(of: npt.NDArray[Any]) -> list[int]:
        return [int(count) for count in np.bincount(of, minlength=len(names))]

    columns = [counts(one) for one in (true, true[before == true], true[after == true], before, after)]
    return [
        ClassChange(
            name=name, support=there, right_before=right, right_after=now, taken_before=taken, taken_after=taken_now
        )
        for name, there, right, now, taken, taken_now in zip(names, *columns, strict=True)
    ]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
