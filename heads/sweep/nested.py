"""Nested cross-validation: every image scored once, by a model that was chosen and fitted without it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from headstart.heads.errors import DataError, RareClassError
from headstart.heads.folds import Draw, check_folds, cross_validate
from headstart.heads.scoring import score_predictions
from headstart.heads.splits import SplitPlan, checked_names, number_groups, plan_splits
from headstart.heads.sweep.final import FinalScore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from headstart.heads.folds import DrawKeywords
    from headstart.heads.sweep.trial import Result

    Rows = NDArray[np.intp]

_MOST_NOTES = 3  # of outer folds that lack something


@dataclass(frozen=True, kw_only=True)
class NestedPlan:
    """Row numbers of nested cross-validation; no group is on two sides of any of its plans.

    Parameters
    ----------
    outer : list of SplitPlan
        One for each outer fold: `test` is that fold, and folds inside the other images, `train`, choose.
    whole : SplitPlan
        Of the model that is kept: folds over all images choose, all images fit, and `test` is empty, since none is
        left to score that model on.
    """

    outer: list[SplitPlan]
    whole: SplitPlan

    @property
    def fold_of(self) -> Rows:
        """The outer fold of each image, counted from 0."""
        numbers = np.empty(sum(len(plan.test) for plan in self.outer), dtype=np.intp)
        for number, plan in enumerate(self.outer):
            numbers[plan.test] = number
        return numbers


@dataclass(frozen=True, kw_only=True)
class OuterFold:
    """Outcome of one outer fold: the winner on the `n_train` other images, and its predictions for the fold's own."""

    winner: Result
    n_train: int
    test: FinalScore


def plan_nested(
    y: ArrayLike,
    *,
    n_outer: int,
    split: Sequence[str | None] | NDArray[Any] | None = None,
    groups: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    stratify: bool = True,
    **drawn: Unpack[DrawKeywords],
) -> NestedPlan:
    """Plan outer folds over all images, stratified and with groups kept whole, and what chooses inside each.

    The winner of a sweep is a little lucky on the images that chose it, the more so the more candidates there were and
    the fewer images. Here the whole sweep is made again without each outer fold, so that its images are scored by a
    model that they neither chose nor fitted.

    Parameters
    ----------
    y, groups, class_names, stratify, **drawn
        As for `heads.splits.plan_splits`.
    n_outer : int
        Outer folds, at least 2.
    split : sequence of {"train", None} or None
        A val or test split is refused.

    Raises
    ------
    DataError
        Images are set apart by splits, a class has fewer images (or groups) than there are outer folds or, without one
        of these, folds inside; or as `plan_splits`.

    References
    ----------
    Varma & Simon, "Bias in error estimation when using cross-validation for model selection", BMC Bioinformatics 7,
    2006. Cawley & Talbot, "On over-fitting in model selection and subsequent selection bias in performance evaluation",
    JMLR 11, 2010.
    """
    if n_outer < 2:
        raise DataError(f"nested is {n_outer!r}, expected at least 2 outer folds")
    _refuse_splits(split)
    draw = Draw(**drawn)
    labels = np.asarray(y) if stratify else np.zeros(len(np.asarray(y)), dtype=np.intp)
    group_ids = np.arange(len(labels)) if groups is None else number_groups(np.asarray(groups))
    names = checked_names(labels, group_ids, class_names, 2 if stratify else 1)
    everything = np.arange(len(labels))
    held_out = cross_validate(labels, group_ids, everything, n_outer, draw.seed, names, option="--nested")
    plan_inside = partial(plan_splits, **drawn, groups=group_ids, class_names=names, stratify=stratify)
    outer = [
        _plan_outer(labels, rows, f"outer fold {number}", plan_inside)
        for number, (_, rows) in enumerate(held_out, start=1)
    ]
    notes = _notes_of(outer)
    planned = draw.rounds(labels, group_ids, everything, names)
    check_folds(labels, everything, planned, names, notes, 2 if stratify else 1)
    whole = SplitPlan(
        folds=planned,
        train=everything,
        test=np.empty(0, dtype=np.intp),
        selection="cv",
        test_name=f"{n_outer} nested folds",
        dropped=np.empty(0, dtype=np.intp),
        notes=notes,
        repeats=draw.repeats,
    )
    return NestedPlan(outer=outer, whole=whole)


def pool_scores(
    parts: Sequence[FinalScore], y: ArrayLike, *, groups: ArrayLike | None = None, seed: int = 0
) -> FinalScore:
    """Join what the models of all outer folds say, each of its own fold's images, and score it as one.

    The interval is over images, or groups, as that of any test split: it takes the models as they are, and does not
    hold how other images to fit on would have changed them. The models share most of theirs, which no interval from one
    set of images can make up for: it may be a little too narrow.

    Parameters
    ----------
    parts : sequence of FinalScore
        Whose rows hold every image once.
    y : array of shape (n_images,)
        Classes as int, or numbers, of the whole image set.
    groups : int array of shape (n_images,) or None
        Images that intervals draw together.
    seed : int
        Of the intervals.

    Returns
    -------
    FinalScore
        Of all images in their order; without probabilities where one of the models gives none.

    Raises
    ------
    DataError
        An image is missing, or there twice.

    References
    ----------
    Bengio & Grandvalet, "No unbiased estimator of the variance of k-fold cross-validation", JMLR 5, 2004. Bates, Hastie
    & Tibshirani, "Cross-validation: what does it estimate and how well does it do it?", JASA 119, 2024.
    """
    true = np.asarray(y)
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows, kind="stable")
    if not np.array_equal(rows[order], np.arange(len(true))):
        raise DataError(
            f"{len(rows)} rows of {len(np.unique(rows))} images were scored, expected each of {len(true)} images once"
        )
    predictions = np.concatenate([part.predictions for part in parts])[order]
    given = [part.probability for part in parts if part.probability is not None]
    probability = np.concatenate(given)[order] if len(given) == len(parts) else None
    n_classes = 0 if predictions.dtype.kind == "f" else int(true.max()) + 1
    scores = score_predictions(true, probability, predictions, n_classes, groups=groups, seed=seed)
    return FinalScore(rows=rows[order], predictions=predictions, probability=probability, scores=scores)


def _refuse_splits(split: Sequence[str | None] | NDArray[Any] | None) -> None:
    given = [] if split is None else list(split)
    found = [f"{given.count(name)} {name}" for name in ("val", "test") if name in given]
    if found:
        raise DataError(
            f"the images bring splits ({' and '.join(found)} images), and nested folds score every image once, so that "
            "images which a split sets apart would choose and fit in all folds but one: leave out --nested to score "
            "what is set apart, or give --labels a file with an empty column 'split'"
        )


def _plan_outer(labels: NDArray[Any], rows: Rows, name: str, plan_inside: Callable[..., SplitPlan]) -> SplitPlan:
    """Plan folds inside all other images; `rows` are scored by what wins there."""
    side = np.full(len(labels), "train", dtype=object)
    side[rows] = "test"
    try:
        return replace(plan_inside(labels, split=side), test_name=name)
    except RareClassError as error:
        raise RareClassError(f"without {name}: {error}", classes=error.classes) from error
    except DataError as error:
        raise DataError(f"without {name}: {error}") from error


def _notes_of(outer: Sequence[SplitPlan]) -> list[str]:
    notes = [f"without {plan.test_name}: {note}" for plan in outer for note in plan.notes]
    more = [f"{len(notes) - _MOST_NOTES} more such notes on outer folds"] if len(notes) > _MOST_NOTES else []
    return [*notes[:_MOST_NOTES], *more]
