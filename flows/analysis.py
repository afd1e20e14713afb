"""What a person should know beside the score: calibration, labels that look wrong, images that are alike or unlike."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from flows.problem import Problem
from heads.calibration import expected_calibration_error, fit_temperature_on_oof, reliability, temper
from heads.candidates import Candidate
from heads.cross_validation import cross_validate
from heads.errors import DataError
from heads.few_shot import FewShotPoint, few_shot_curve
from heads.near_copies import THRESHOLD, near_copies, sides_of
from heads.out_of_fold import out_of_fold
from heads.registry import find_head
from heads.splits import SplitPlan
from heads.suspects import find_outliers, find_suspects
from heads.sweep import FinalScore
from heads.trial import Task

_MOST_COMPARISONS = 10**12  # products of features in a search for near copies: 10 to 30 s
_MOST_PAIRS = 24
_MOST_OUTLIERS = 12
_MOST_SAMPLED = 1500  # images that say how alike two of different classes can be
_SHARE_OF_UNLIKE = 1e-4  # of these pairs, those that may be more alike than the threshold
_SHORTEST = 1e-12  # a row of zeros is like no other
_FOLDS = 5  # where a val split chose the winner

SIDES = ("train", "val", "test")
"""Names of the sides that `sides_of` numbers."""


@dataclass(frozen=True)
class OutOfFold:
    """What the winner says of images that it was not fitted on: `probability` (n_rows, n_classes) for these `rows`."""

    rows: npt.NDArray[np.intp]
    probability: npt.NDArray[np.float64]
    temperature: float
    notes: list[str]


@dataclass(frozen=True)
class Analysis:
    """What there is to say beside the score; rows are those of the problem.

    Attributes
    ----------
    temperature : float or None
        That mends the winner's probabilities, fitted on images that chose it; None without probabilities.
    reliability : dict or None
        ``bins`` of the test images, as `heads.calibration.Bin`; ``error`` and ``by_chance``.
    suspects : list of dict
        ``row, given, suggested`` (class numbers), ``margin, probability`` (of the suggested class), worst first.
    outliers : list of dict
        ``row, score``, farthest first.
    near_copies : dict or None
        ``n_found, threshold`` and the nearest ``pairs``: ``left, right`` (rows), ``left_side, right_side, cosine``.
    few_shot : list of FewShotPoint
    notes : list of str
        For people, without asking.
    """

    temperature: float | None = None
    reliability: dict[str, Any] | None = None
    suspects: list[dict[str, Any]] = field(default_factory=list)
    outliers: list[dict[str, Any]] = field(default_factory=list)
    near_copies: dict[str, Any] | None = None
    few_shot: list[FewShotPoint] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def predict_out_of_fold(
    problem: Problem, plan: SplitPlan, candidate: Candidate, features: npt.NDArray[np.float32], seed: int
) -> OutOfFold | None:
    """Fit the winner without each of its training images in turn, fold by fold; None if it gives no probabilities.

    Where a val split chose, the training images are folded here, and val is predicted by a fit on all of them.
    """
    folds, notes = list(plan.first_folds), []
    if plan.selection == "val":
        try:
            folds += cross_validate(problem.y, problem.groups, plan.train, _FOLDS, seed, problem.class_names)
        except DataError as error:
            notes = [f"labels in train were not looked at for mistakes: {error}"]
    task = Task(
        y=problem.y.astype(np.intp),
        n_classes=len(problem.class_names),
        plan=replace(plan, folds=folds, repeats=1),
        groups=problem.groups,
        seed=seed,
    )
    probability = out_of_fold(candidate, features, task)
    if probability is None:
        return None
    rows = np.concatenate([score for _, score in folds])
    chose = len(np.concatenate([score for _, score in plan.first_folds]))  # what comes after saw no choice of anything
    temperature = fit_temperature_on_oof(problem.y[rows[:chose]], probability[:chose])
    return OutOfFold(rows, probability, temperature, notes)


def analyse(
    problem: Problem,
    plan: SplitPlan,
    winner: Candidate,
    features: npt.NDArray[np.float32],
    oof: OutOfFold | None,
    test_score: FinalScore,
    *,
    few_shot: bool,
    seed: int,
) -> Analysis:
    """Look at the winner's probabilities, and at the images as its features show them.

    Parameters
    ----------
    problem, plan
    winner : Candidate
    features : float32 array (n_images, n_features)
        The winner's.
    oof : OutOfFold or None
        `predict_out_of_fold` of the winner.
    test_score : FinalScore
    few_shot : bool
        Whether to fit the winner on few images of each class, which takes some hundred fits.
    seed : int
    """
    copies, notes = _near_copies(problem, plan, features)
    return Analysis(
        temperature=oof.temperature if oof else None,
        reliability=_reliability(problem, test_score, seed),
        suspects=_suspects(problem, oof) if oof else [],
        outliers=_outliers(plan, features),
        near_copies=copies,
        few_shot=_few_shot(problem, plan, winner, features, seed) if few_shot else [],
        notes=[*(oof.notes if oof else []), *notes],
    )


def _reliability(problem: Problem, test_score: FinalScore, seed: int) -> dict[str, Any] | None:
    if test_score.probability is None:
        return None
    true = problem.y[test_score.rows]
    bins = reliability(true, test_score.probability)
    error = expected_calibration_error(true, test_score.probability, seed=seed)
    return {"bins": [asdict(one) for one in bins], "error": error.value, "by_chance": error.by_chance}


def _suspects(problem: Problem, oof: OutOfFold) -> list[dict[str, Any]]:
    tempered = temper(oof.probability, oof.temperature)
    return [
        {
            "row": int(oof.rows[one.row]),
            "given": one.given,
            "suggested": one.suggested,
            "margin": one.score,
            "probability": float(tempered[one.row, one.suggested]),
        }
        for one in find_suspects(problem.y[oof.rows], tempered)
    ]


def _outliers(plan: SplitPlan, features: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
    rows = np.flatnonzero(sides_of(plan, len(features)) >= 0)
    found = find_outliers(features[rows], most=_MOST_OUTLIERS)
    return [{"row": int(rows[one.row]), "score": one.score} for one in found]


def _near_copies(
    problem: Problem, plan: SplitPlan, features: npt.NDArray[np.float32]
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return near copies across the sides of the plan, and what to note of them."""
    sides = sides_of(plan, len(features))
    counts = np.bincount(sides[sides >= 0], minlength=3).astype(np.float64)
    pairs = counts[0] * counts[1] + counts[0] * counts[2] + counts[1] * counts[2]
    if pairs * features.shape[1] > _MOST_COMPARISONS:
        return None, [f"near copies across splits were not looked for: {pairs:.1e} pairs of images are too many"]
    threshold = _threshold(problem, sides, features)
    found = near_copies(features, sides, threshold=threshold, most=_MOST_PAIRS)
    described = [
        {
            "left": int(left),
            "right": int(right),
            "left_side": _side_name(plan, sides[left]),
            "right_side": _side_name(plan, sides[right]),
            "cosine": float(cosine),
        }
        for (left, right), cosine in zip(found.rows, found.cosine, strict=True)
    ]
    notes = []
    if found.n_found and threshold == THRESHOLD:  # of features that take unlike images for alike, the report tells
        left, right = found.rows[0]
        paths = problem.images["path"]
        told = (
            f"{found.n_found} pairs of images on different sides of the split look alike (cosine ≥ {threshold:.3f}), "
            f"first {paths.iloc[left]} and {paths.iloc[right]}: if they are copies, give them one group"
        )
        notes = [told]
    return {"n_found": found.n_found, "threshold": threshold, "pairs": described}, notes


def _threshold(problem: Problem, sides: npt.NDArray[np.int8], features: npt.NDArray[np.float32]) -> float:
    """Return a cosine that hardly any two images of different classes reach: these are no copies, however alike."""
    draw = np.random.default_rng(0)
    rows = draw.permutation(np.flatnonzero(sides >= 0))[:_MOST_SAMPLED]
    units = features[rows] / np.maximum(np.linalg.norm(features[rows], axis=1, keepdims=True), _SHORTEST)
    unlike = problem.y[rows][:, None] != problem.y[rows]
    return min(1.0, max(THRESHOLD, float(np.quantile((units @ units.T)[unlike], 1 - _SHARE_OF_UNLIKE))))


def _side_name(plan: SplitPlan, side: int) -> str:
    return plan.test_name if side == len(SIDES) - 1 else SIDES[side]


def _few_shot(
    problem: Problem, plan: SplitPlan, winner: Candidate, features: npt.NDArray[np.float32], seed: int
) -> list[FewShotPoint]:
    head = find_head(winner.head)
    return few_shot_curve(
        lambda number: head.make(winner.params, number),
        features,
        problem.y,
        replace(plan, folds=plan.first_folds, repeats=1),
        groups=problem.groups,
        seed=seed,
    )
