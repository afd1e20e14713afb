"""Findings to read beside the score: calibration, labels that look wrong, images that are alike or unlike."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from headstart.flows.options import FitOptions
from headstart.flows.output import Begin
from headstart.flows.problem import Problem
from headstart.flows.reporting.out_of_fold import OutOfFold
from headstart.heads.analysis import (
    THRESHOLD,
    FewShotPoint,
    Learner,
    NearCopies,
    Outlier,
    Suspect,
    expected_calibration_error,
    few_shot_curve,
    find_near_copies,
    find_outliers,
    find_suspects,
    reliability,
    sides_of,
    temper,
)
from headstart.heads.registry import Candidate, find_head
from headstart.heads.report import Reliability
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore, NestedPlan

_MOST_COMPARISONS = 10**12  # products of features in a search for near copies: 10 to 30 s
_MOST_PAIRS = 24
_MOST_OUTLIERS = 12
_MOST_SAMPLED = 1500  # images that say how alike two of different classes can be
_SHARE_OF_UNLIKE = 1e-4  # of these pairs, those that may be more alike than the threshold
_SHORTEST = 1e-12  # a row of zeros is like no other


@dataclass(frozen=True)
class Sides:
    """The side of every image, -1 for those that take no part, and the sides' names; near copies may lie across them.

    Attributes
    ----------
    of_image : int array (n_images,)
    names : list of str
    across : str
        Where images of two sides lie, for notes.
    """

    of_image: npt.NDArray[np.integer]
    names: list[str]
    across: str

    @classmethod
    def of_plan(cls, plan: SplitPlan, n_images: int) -> Self:
        """Return train, val where it chooses, and what is scored once."""
        return cls(sides_of(plan, n_images), ["train", "val", plan.test_name], "on different sides of the split")

    @classmethod
    def of_folds(cls, plan: NestedPlan) -> Self:
        """Return the outer folds: each is scored by a model that was fitted on all others."""
        return cls(plan.fold_of, [outer.test_name for outer in plan.outer], "in different outer folds")


@dataclass(frozen=True)
class CopiesAcross:
    """Near copies on different `sides`, which have a cosine of `threshold` at least."""

    found: NearCopies
    threshold: float
    sides: Sides


_GOOD_WITH_FEW = ("centroid", "cosine")
"""Heads that are set beside the winner where labels are few."""


@dataclass(frozen=True)
class Analysis:
    """Findings beside the score; rows are those of the problem.

    Attributes
    ----------
    temperature : float or None
        That mends the winner's probabilities, fitted on images that chose it; None without probabilities.
    reliability : Reliability or None
        Of the test images.
    suspects : list of Suspect
        Worst first.
    outliers : list of Outlier
        Farthest first.
    near_copies : CopiesAcross or None
    few_shot : list of FewShotPoint
        Of the winner.
    few_shot_others : dict of str to list of FewShotPoint
        Of heads that do well with few labels, by name.
    notes : list of str
        For people, without asking.
    """

    temperature: float | None = None
    reliability: Reliability | None = None
    suspects: list[Suspect] = field(default_factory=list)
    outliers: list[Outlier] = field(default_factory=list)
    near_copies: CopiesAcross | None = None
    few_shot: list[FewShotPoint] = field(default_factory=list)
    few_shot_others: dict[str, list[FewShotPoint]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Evidence:
    """Data that a fit leaves to look at beside its winner's score.

    Attributes
    ----------
    test : FinalScore
        What the winner says of the images that it is scored on.
    features : float32 array of shape (n_rows, n_features), optional
        The winner's, of all views of each image; None where they are read in blocks.
    out_of_fold : OutOfFold, optional
        What it says of its own images, where that is known already.
    outer : NestedPlan, optional
        The outer folds, where each of them was scored.
    unseen : list of str, optional
        Notes on why the images are not looked at.
    probability : float64 array of shape (n_scored, n_classes), optional
        Of the winner, as `heads.sweep.Result` has it.
    """

    test: FinalScore
    features: npt.NDArray[np.float32] | None = None
    out_of_fold: OutOfFold | None = None
    outer: NestedPlan | None = None
    unseen: list[str] | None = None
    probability: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Likeness:
    """Near copies across the sides, what to note of them, and images unlike all others, farthest first."""

    copies: CopiesAcross | None
    notes: list[str]
    outliers: list[Outlier]


def compare_images(problem: Problem, plan: SplitPlan, evidence: Evidence) -> Likeness:
    """Compare the images, as the winner's features show them, with each other; the features are in memory."""
    features = plan.views.plain(np.asarray(evidence.features))
    sides = Sides.of_folds(evidence.outer) if evidence.outer else Sides.of_plan(plan, len(problem.y))
    return Likeness(*_near_copies(problem, sides, features), _outliers(plan, features))


def analyse(
    problem: Problem,
    plan: SplitPlan,
    winner: Candidate,
    evidence: Evidence,
    oof: OutOfFold | None,
    likeness: Likeness | None,
    begin: Begin,
    options: FitOptions,
) -> Analysis:
    """Look at the winner's probabilities, and at the images as its features show them.

    Parameters
    ----------
    problem, plan
    winner : Candidate
    evidence : Evidence
        With features.
    oof : OutOfFold or None
        `predict_out_of_fold` of the winner.
    likeness : Likeness or None
        `compare_images`, where that is known already.
    begin : callable
        Called with the name of what is done next.
    options : FitOptions
        Of these the seed, and whether to fit the winner on few images of each class, which takes some hundred fits.
    """
    if likeness is None:
        begin("looking for near copies and images unlike all others")
        likeness = compare_images(problem, plan, evidence)
    few = {}
    for head in dict.fromkeys((winner.head, *_GOOD_WITH_FEW)) if options.few_shot else ():
        begin(f"fitting {head} on few images of each class")
        own = head == winner.head
        params, right = (winner.params, _right(problem, plan, oof)) if own else ({}, None)
        few[head] = _few_shot(problem, plan, head, params, np.asarray(evidence.features), options.seed, right)
    begin("looking for labels that are wrong")
    return Analysis(
        temperature=oof.temperature if oof else None,
        reliability=_reliability(problem, evidence.test, oof.temperature if oof else None, options.seed),
        suspects=_suspects(problem, oof) if oof else [],
        outliers=likeness.outliers,
        near_copies=likeness.copies,
        few_shot=few.pop(winner.head, []),
        few_shot_others=few,
        notes=[*(oof.notes if oof else []), *likeness.notes],
    )


def _reliability(problem: Problem, test_score: FinalScore, temperature: float | None, seed: int) -> Reliability | None:
    if test_score.probability is None:
        return None
    true = problem.y[test_score.rows]
    error = expected_calibration_error(true, test_score.probability, seed=seed)
    return Reliability(bins=reliability(true, test_score.probability), error=error, temperature=temperature)


def _suspects(problem: Problem, oof: OutOfFold) -> list[Suspect]:
    found = find_suspects(problem.y[oof.rows], temper(oof.probability, oof.temperature))
    return [replace(one, row=int(oof.rows[one.row])) for one in found]


def _outliers(plan: SplitPlan, features: npt.NDArray[np.float32]) -> list[Outlier]:
    rows = np.flatnonzero(sides_of(plan, len(features)) >= 0)
    found = find_outliers(features[rows], most=_MOST_OUTLIERS)
    return [replace(one, row=int(rows[one.row])) for one in found]


def _near_copies(
    problem: Problem, sides: Sides, features: npt.NDArray[np.float32]
) -> tuple[CopiesAcross | None, list[str]]:
    """Return near copies across the sides, and what to note of them."""
    counts = np.bincount(sides.of_image[sides.of_image >= 0]).astype(np.float64)
    pairs = float(counts.sum() ** 2 - (counts**2).sum()) / 2
    if pairs * features.shape[1] > _MOST_COMPARISONS:
        return None, [f"near copies across splits were not looked for: {pairs:.1e} pairs of images are too many"]
    threshold = _threshold(problem, sides.of_image, features)
    found = find_near_copies(features, sides.of_image, threshold=threshold, most=_MOST_PAIRS)
    notes = []
    if found.n_found and threshold == THRESHOLD:  # of features that take unlike images for alike, the report tells
        left, right = problem.images.paths(found.rows[0])
        alike = (
            f"{found.n_found} pairs of images {sides.across} look alike (cosine ≥ {threshold:.3f}), "
            f"first {left} and {right}: if they are copies, give them one group"
        )
        notes = [alike]
    return CopiesAcross(found, threshold, sides), notes


def _threshold(problem: Problem, sides: npt.NDArray[np.integer], features: npt.NDArray[np.float32]) -> float:
    """Return a cosine that hardly any two images of different classes reach: these are no copies, however alike."""
    draw = np.random.default_rng(0)
    rows = draw.permutation(np.flatnonzero(sides >= 0))[:_MOST_SAMPLED]
    units = features[rows] / np.maximum(np.linalg.norm(features[rows], axis=1, keepdims=True), _SHORTEST)
    unlike = problem.y[rows][:, None] != problem.y[rows]
    return min(1.0, max(THRESHOLD, float(np.quantile((units @ units.T)[unlike], 1 - _SHARE_OF_UNLIKE))))


def _right(problem: Problem, plan: SplitPlan, oof: OutOfFold | None) -> npt.NDArray[np.bool_] | None:
    """Return which images of the first folds, one after the other, the winner gets right, where that is known."""
    scored = np.concatenate([score for _, score in plan.first_folds])
    if oof is None or not np.array_equal(oof.rows[: len(scored)], scored):  # nested folds are others
        return None
    right: npt.NDArray[np.bool_] = oof.probability[: len(scored)].argmax(axis=1) == problem.y[scored]
    return right


def _few_shot(
    problem: Problem,
    plan: SplitPlan,
    name: str,
    params: Mapping[str, Any],
    features: npt.NDArray[np.float32],
    seed: int,
    right: npt.NDArray[np.bool_] | None,
) -> list[FewShotPoint]:
    head = find_head(name)
    params = {**params, "views": plan.views.n} if head.views == "told" and plan.views.n > 1 else params
    return few_shot_curve(
        Learner(make=lambda number: head.make(params, number), right=right),
        features,
        problem.y,
        replace(plan, folds=plan.first_folds, repeats=1),
        groups=problem.groups,
        seed=seed,
    )
