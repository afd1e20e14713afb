"""Repeat the whole fit without each outer fold, and score the fold's images by the winner of that fit."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from headstart.flows.errors import JobError
from headstart.flows.fitting.choices import Choices
from headstart.flows.fitting.sweep import sweep_problem
from headstart.flows.fitting.unfinished import KeptResults
from headstart.flows.fitting.winner import Embedding, score_others, score_winner
from headstart.flows.options import FitOptions
from headstart.flows.problem import Problem
from headstart.heads.coverage import Judged
from headstart.heads.errors import DataError
from headstart.heads.registry import Candidate
from headstart.heads.report import MEANING, NO_SCORE, FoldRow, NestedRows, score_rows
from headstart.heads.splits import SplitPlan, plan_splits
from headstart.heads.sweep import FinalScore, NestedPlan, OuterFold, plan_nested, pool_scores, select
from headstart.heads.views import Views


@dataclass(frozen=True)
class NestedFit:
    """Results of nested folds.

    Attributes
    ----------
    plan : NestedPlan
    folds : list of OuterFold
    test : FinalScore
        Score on all images, each predicted by the winner of the sweep without its fold.
    controls : dict of (key, tap) to FinalScore
        The same for every embedding alone, with its best candidate as the winner.
    notes : list of str
        Remarks for a person.
    judged : Judged or None
        All images, each by the doubt of the winner without its fold.
    plain : FinalScore or None
        Of a decision that each fold has chosen for itself: the score of all images without it.
    """

    plan: NestedPlan
    folds: list[OuterFold]
    test: FinalScore
    controls: dict[Embedding, FinalScore]
    notes: list[str]
    judged: Judged | None = None
    plain: FinalScore | None = None


class _Inside(TypedDict):
    """Arguments of the folds that choose, with and without outer ones; see `heads.splits.plan_splits`."""

    folds: int
    repeats: int
    seed: int
    split: npt.NDArray[Any] | None
    groups: npt.NDArray[np.int64]
    class_names: list[str]
    stratify: bool


def plan_fit(problem: Problem, options: FitOptions) -> tuple[SplitPlan, NestedPlan | None]:
    """Plan which images fit, choose and are scored; with nested folds, for the kept model and for the folds.

    Raises
    ------
    JobError
        Both nested folds and a share to hold back are asked for.
    DataError
        See `heads.splits.plan_splits` and `heads.sweep.nested.plan_nested`.
    """
    nested, test_size = options.nested, options.test_size
    if nested is not None and test_size != FitOptions.test_size:
        raise JobError(
            f"--test-size {test_size:g} holds a share of the images back, and --nested {nested} every image in turn: "
            "leave one of the two out"
        )
    inside = _Inside(
        folds=options.folds,
        repeats=options.repeats,
        seed=options.seed,
        split=problem.split,
        groups=problem.groups,
        class_names=problem.class_names or [problem.target],
        stratify=problem.task == "classify",
    )
    views = Views(problem.n_views, options.average_views)
    if nested is None:
        return replace(plan_splits(problem.y, test_size=test_size, **inside), views=views), None
    plan = plan_nested(problem.y, n_outer=nested, **inside)
    whole, *outer = (replace(one, views=views) for one in (plan.whole, *plan.outer))
    return whole, replace(plan, whole=whole, outer=outer)


def fit_nested(
    problem: Problem,
    candidates: Sequence[Candidate],
    plan: NestedPlan,
    choices: Choices,
    keep: Callable[[SplitPlan], KeptResults],
) -> NestedFit:
    """Sweep without each outer fold in turn, fit the winner of that sweep, and score it once on the fold.

    Parameters
    ----------
    problem, candidates, choices
        The same as for `flows.fitting.sweep.sweep_problem`.
    plan : NestedPlan
    keep : callable
        The function that `flows.fitting.unfinished.kept_until_done` yields.

    Raises
    ------
    DataError
        In an outer fold no candidate has the metric, or the winner cannot be calibrated or gives nothing to decide by.
    """
    metric, seed = choices.metric, choices.seed
    folds, controls, judged, plain = [], [], list[Judged](), list[FinalScore]()
    for number, outer in enumerate(plan.outer, start=1):
        stage = f"{outer.test_name} of {len(plan.outer)}"
        results = sweep_problem(problem, candidates, outer, choices, kept=keep(outer), stage=stage)
        try:
            winner = select(results, metric)
            scored = score_winner(problem, outer, winner, None, options=choices.options)
        except DataError as error:
            raise DataError(f"without outer fold {number}: {error}") from error
        test = scored.test
        judged += [scored.judged] if scored.judged else []
        plain += [scored.plain] if scored.plain else []
        folds.append(OuterFold(winner=winner, n_train=len(outer.train), test=test))
        others = score_others(problem, outer, results, winner, metric=metric, seed=seed)
        controls.append(others | {(winner.candidate.key, winner.candidate.tap): scored.plain or test})
    return NestedFit(
        plan=plan,
        folds=folds,
        test=_pool(problem, [fold.test for fold in folds], seed),
        controls={
            place: _pool(problem, [scores[place] for scores in controls], seed)
            for place in controls[0]
            if all(place in scores for scores in controls)
        },
        notes=_notes(folds),
        judged=Judged.joined(judged, np.argsort(np.concatenate([fold.test.rows for fold in folds])))
        if judged
        else None,
        plain=_pool(problem, plain, seed) if plain else None,
    )


@contextmanager
def workers_for_all(choices: Choices, *, several: bool) -> Iterator[Choices]:
    """Start processes, which takes seconds, once for several sweeps; yields the choices for each sweep."""
    options = choices.options
    if options.dask != "processes" or not several:
        yield choices
        return
    from headstart.heads.sweep import open_client  # noqa: PLC0415 - loads Dask

    with open_client(options.dask, options.workers) as client:
        yield replace(choices, options=replace(options, dask=client.scheduler.address))


def describe_nested(found: NestedFit, problem: Problem, saved: Candidate, metric: str) -> NestedRows:
    """Return the description of nested folds for summary, history and model card.

    Parameters
    ----------
    found : NestedFit
    problem : Problem
    saved : Candidate
        The winner over all images.
    metric : str
        The metric that chose the winners.
    """
    won = [fold.winner.candidate for fold in found.folds]
    same_head = [(one.key, one.tap, one.head) == (saved.key, saved.tap, saved.head) for one in won]
    same = [alike and one.params == saved.params for alike, one in zip(same_head, won, strict=True)]
    return NestedRows(
        meaning=MEANING,
        n_same=sum(same),
        n_same_head=sum(same_head),
        folds=[_describe_fold(number, fold, problem, metric) for number, fold in enumerate(found.folds, start=1)],
    )


def _describe_fold(number: int, fold: OuterFold, problem: Problem, metric: str) -> FoldRow:
    candidate, chosen = fold.winner.candidate, fold.winner.scores[metric]
    scores = score_rows(fold.test.scores)
    score = scores.get(metric, NO_SCORE)
    return FoldRow(
        fold=number,
        n_train=fold.n_train,
        n_images=len(fold.test.rows),
        label=problem.find(candidate.key, candidate.tap).label,
        backbone=candidate.backbone,
        key=candidate.key,
        tap=candidate.tap,
        head=candidate.head,
        params=candidate.params,
        metric=metric,
        chosen_by=chosen.value if chosen else None,
        score=score.value,
        low=score.low,
        high=score.high,
        scores=scores,
    )


def _pool(problem: Problem, parts: Sequence[FinalScore], seed: int) -> FinalScore:
    return pool_scores(parts, problem.y, groups=problem.groups, seed=seed)


def _notes(folds: Sequence[OuterFold]) -> list[str]:
    silent = sum(fold.test.probability is None for fold in folds)
    if not silent or folds[0].test.predictions.dtype.kind == "f" or silent == len(folds):
        return []
    note = (
        f"the winners of {silent} of {len(folds)} outer folds give no probabilities: there is no log-loss and no "
        "reliability over all images"
    )
    return [note]
