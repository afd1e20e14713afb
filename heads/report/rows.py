"""Findings of a fit, row by row: candidates with their scores, and the one score on images that chose nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from headstart.heads.scoring import Score


@dataclass(frozen=True, repr=False)
class ScoreRow:
    """A score as it is kept and shown; what is not finite, as the ends of a single group's interval, is None.

    Attributes
    ----------
    value, low, high : float or None
        The metric's value and the ends of its 95 % interval.
    """

    value: float | None
    low: float | None
    high: float | None

    def __repr__(self) -> str:
        value, low, high = ("none" if end is None else f"{end:.4g}" for end in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"

    @classmethod
    def of(cls, score: Score) -> "ScoreRow":
        """Return the row of a score."""
        return cls(*(end if isfinite(end) else None for end in (score.value, score.low, score.high)))


NO_SCORE = ScoreRow(None, None, None)


def score_rows(scores: Mapping[str, Score | None]) -> dict[str, ScoreRow]:
    """Return the rows of a candidate's scores, without the metrics that its head cannot have."""
    return {metric: ScoreRow.of(score) for metric, score in scores.items() if score}


@dataclass(frozen=True, kw_only=True)
class CandidateRow:
    """A row of the leaderboard: one feature set, one head, one choice of its parameters.

    Attributes
    ----------
    backbone, weights, label, key, tap : str
        The features: the label names the embedding as shortly as it can be told apart.
    head : str
    params : mapping
        Of the head.
    metric : str
        What orders the leaderboard.
    score, low, high : float or None
        By that metric; None after a failure.
    split : str
        Where the scores come from, as in ``5-fold CV``.
    scores : dict of str to ScoreRow
        By every metric that the head can have.
    fit_seconds : float or None
        Of fitting, all folds together.
    error : str or None
        Why fitting failed.
    warnings : list of str
        What was warned of, each text once.
    tied : bool or None
        Whether a paired test on the same images leaves open which of the two is better, this one or the winner; None
        for the winner and for what has no such score.
    p_value : float or None
        Of that test, corrected for the number of candidates.
    views : int
        Rows of each image that it was fitted on: 1 without augmented views.
    """

    backbone: str = field(repr=False)
    weights: str = field(repr=False)
    label: str
    key: str = field(repr=False)
    tap: str
    head: str
    params: Mapping[str, object]
    metric: str
    score: float | None
    low: float | None
    high: float | None
    split: str
    scores: dict[str, ScoreRow] = field(repr=False)
    fit_seconds: float | None
    error: str | None = None
    warnings: list[str] = field(repr=False, default_factory=list)
    tied: bool | None = None
    p_value: float | None = None
    views: int = 1


@dataclass(frozen=True, kw_only=True)
class FoldRow:
    """Winner without one outer fold, and its score there.

    Attributes
    ----------
    fold : int
        Counted from 1.
    n_train, n_images : int
        Images that chose and fitted, and those of the fold.
    label, backbone, key, tap, head, params
        As of `CandidateRow`.
    metric : str
        What chose.
    chosen_by : float or None
        The score that chose it.
    score, low, high : float or None
        By that metric, on the fold.
    scores : dict of str to ScoreRow
        By every metric, on the fold.
    """

    fold: int
    n_train: int
    n_images: int
    label: str
    backbone: str = field(repr=False)
    key: str = field(repr=False)
    tap: str
    head: str
    params: Mapping[str, object]
    metric: str
    chosen_by: float | None
    score: float | None
    low: float | None
    high: float | None
    scores: dict[str, ScoreRow] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class NestedRows:
    """Findings of nested folds.

    Attributes
    ----------
    meaning : str
        What their score is a number of.
    n_same, n_same_head : int
        In how many folds the saved model's own choice won, or its head.
    folds : list of FoldRow
    """

    meaning: str
    n_same: int
    n_same_head: int
    folds: list[FoldRow]


@dataclass(frozen=True, kw_only=True)
class ClassChange:
    """One class on the test images, without a decision and with it.

    Attributes
    ----------
    name : str
    support : int
        Images of the class.
    right_before, right_after : int
        Of these, how many are taken for it.
    taken_before, taken_after : int
        Images that are taken for it, right or not.
    """

    name: str
    support: int
    right_before: int
    right_after: int
    taken_before: int
    taken_after: int


@dataclass(frozen=True, kw_only=True)
class DecisionRows:
    """How classes are made of probabilities, chosen on folds, and what that costs and wins on the test images.

    Attributes
    ----------
    by : str
        The metric that it was chosen for, or ``cost``.
    threshold : float or None
        Of two classes: the second is taken from this probability on.
    multipliers : dict of str to float or None
        Of several, for a metric: what each class's probability is multiplied by before the largest is taken.
    costs : dict of str to dict of str to float or None
        What it costs to take an image of the first class for one of the second.
    folds_before, folds_after : float
        By what it was chosen, mean over the folds that chose it.
    before, after : float
        The same on the test images, without the decision and with it.
    low, high, p_value : float or None
        Of the difference, after less before: its 95 % interval, and the p-value of the paired test.
    plain : dict of str to ScoreRow
        Every score of the test images without the decision.
    classes : list of ClassChange
    """

    by: str
    threshold: float | None
    multipliers: dict[str, float] | None
    costs: dict[str, dict[str, float]] | None
    folds_before: float
    folds_after: float
    before: float
    after: float
    low: float | None
    high: float | None
    p_value: float | None
    plain: dict[str, ScoreRow]
    classes: list[ClassChange]


@dataclass(frozen=True, kw_only=True)
class TestResult:
    """The winner's score, made once, on images that took no part in the choice.

    With nested folds it is of all images, each scored by a model that was chosen and fitted without it.

    Attributes
    ----------
    split : str
        Which images these are.
    n_images, n_train : int
        How many they are, and how many the winner was fitted on.
    scores : dict of str to ScoreRow
        By every metric that the head can have.
    nested : NestedRows or None
        None where there are no outer folds.
    decision : DecisionRows or None
        How classes are made of probabilities, where that was chosen; the scores are with it.
    """

    __test__ = False  # pytest takes what is called so for tests

    split: str
    n_images: int
    n_train: int
    scores: dict[str, ScoreRow]
    nested: NestedRows | None = field(default=None, metadata={"unsaid_if_none": True})
    decision: DecisionRows | None = field(default=None, metadata={"unsaid_if_none": True})
