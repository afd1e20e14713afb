"""Doubts of a winner: sets and outliers, calibrated on the images that chose it, and measured on others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.flows.errors import JobError
from headstart.flows.options import FitOptions
from headstart.flows.problem import Problem
from headstart.flows.reporting.out_of_fold import OutOfFold, predict_out_of_fold
from headstart.heads.coverage import (
    Doubt,
    Judged,
    MeasuredDoubt,
    OutlierScore,
    Share,
    draws_of,
    fewest_images,
    fit_outliers,
    fit_sets,
    highest_share,
    quantile_of,
)
from headstart.heads.errors import DataError
from headstart.heads.prediction import class_scores
from headstart.heads.registry import Candidate
from headstart.heads.splits import SplitPlan

_MOST_CALIBRATED = 5000  # distances that a threshold is taken from: more would not change it, and take their time
_SHOWN = 3


def refuse_few(problem: Problem, plans: Sequence[SplitPlan], options: FitOptions) -> None:
    """Refuse a coverage, or a share of false alarms, that the images which choose cannot bound: before they do.

    Raises
    ------
    JobError
        There are too few in one of the plans.
    """
    if options.coverage is None:
        return
    for plan in plans:
        chose = problem.y[_chose(plan)]
        _refuse_fewer("--coverage", options.coverage, options.coverage, len(chose))
        _refuse_fewer("--false-alarms", options.false_alarms, 1 - options.false_alarms, len(chose))
        if options.by_class:
            _refuse_rare(problem.class_names, np.bincount(chose, minlength=len(problem.class_names)), options.coverage)


def _refuse_fewer(option: str, asked: float, share: float, n_images: int) -> None:
    fewest, most = fewest_images(share), highest_share(n_images)
    if n_images < fewest:
        wanted = f"{most:g} or less" if asked == share else f"{1 - most:.3g} or more"
        raise JobError(
            f"{option} {asked:g} takes {fewest} images that the winner was not fitted on, and {n_images} choose it: "
            f"ask for {wanted}, or label more images"
        )


def _refuse_rare(class_names: Sequence[str], counts: npt.NDArray[np.intp], coverage: float) -> None:
    fewest = fewest_images(coverage)
    rare = np.flatnonzero(counts < fewest)
    if len(rare):
        named = ", ".join(f"{class_names[code]!r} has {counts[code]}" for code in rare[:_SHOWN])
        raise JobError(
            f"--by-class with --coverage {coverage:g} takes {fewest} images of each class that choose the winner, "
            f"and {named}{', …' if len(rare) > _SHOWN else ''}: leave out --by-class, leave rare classes out "
            f"(--min-images), or ask for {highest_share(counts.min()):g} or less"
        )


def fit_doubt(
    problem: Problem,
    plan: SplitPlan,
    candidate: Candidate,
    features: npt.NDArray[np.float32],
    oof: OutOfFold | None,
    options: FitOptions,
) -> Doubt:
    """Calibrate sets and outliers on the images that chose a candidate, each said by a fit that did not see it.

    Parameters
    ----------
    problem, plan, candidate
    features : float32 array of shape (n_rows, n_features)
        The candidate's, of all views of each image.
    oof : OutOfFold or None
        What `predict_out_of_fold` gave; of a head without probabilities None, whose decisions then count.
    options : FitOptions
        With a coverage.

    Raises
    ------
    DataError
        The head says nothing but classes.
    """
    scores = oof or predict_out_of_fold(problem, plan, candidate, features, options.seed, decisions=True)
    if scores is None:
        raise DataError(
            f"{candidate.head} gives neither probabilities nor decisions to make sets of; leave out --coverage, or try "
            "other heads"
        )
    rows = _chose(plan)
    y, draws = problem.y[rows], draws_of(problem.images.digest[rows])
    probability = scores.probability[: len(rows)]  # what comes after was not scored by what chose
    sets = fit_sets(
        y,
        probability,
        draws,
        coverage=options.coverage or 0.0,
        method=options.conformal,
        by_class=options.by_class,
    )
    covered = sets.of(probability, draws)[np.arange(len(rows)), y]
    outliers, distances = _measure_distances(problem, plan, plan.views.plain(features), options)
    return Doubt(
        sets=sets,
        outliers=outliers,
        threshold=quantile_of(distances, 1 - options.false_alarms),
        false_alarms=options.false_alarms,
        temperature=scores.temperature if options.calibrate else 1.0,
        by_fold=[
            Share.counted(part)
            for part in np.split(covered, np.cumsum([len(score) for _, score in plan.first_folds])[:-1])
        ],
    )


def judge_test(
    problem: Problem, plan: SplitPlan, doubt: Doubt, model: Any, features: npt.NDArray[np.float32]
) -> Judged:
    """Judge the test images as the saved model would, by a fitted head and features of all views of each image."""
    rows, views = plan.test, plan.views
    scores = class_scores(model, features[views.to_score(rows)], len(problem.class_names))
    if scores is None:
        raise DataError(f"{type(model).__name__} gives no scores of classes; leave out --coverage")
    return doubt.judge(views.mean(scores), views.plain(features)[rows], draws_of(problem.images.digest[rows]))


def describe_doubt(found: MeasuredDoubt) -> list[str]:
    """Say in two lines, or three, what sets and outliers came to on the test images."""
    each = " of each class" if found.by_class else ""
    missed = ", fewer than by chance: they are unlike what calibrated" if found.missed else ""
    covered = (
        f"--coverage: the sets of {_percent(found.covered)} of {found.covered.of} test images hold their class, asked "
        f"for {100 * found.coverage:g} %{each}{missed}; {found.mean_size:.2f} classes on average"
    )
    kept = (
        f"--abstain would answer {_percent(found.answered)} of them, {_percent(found.right)} of these right; "
        f"{_percent(found.flagged)} are taken for outliers, stated {100 * found.false_alarms:g} %"
    )
    shares = [one.value for one in found.by_fold if one.value is not None]
    least, most = (100 * end(shares, default=0.0) for end in (min, max))
    uneven = (
        f"--coverage: its sets cover from {least:.0f} to {most:.0f} % of a fold, which differ by more than chance: "
        "fits of this head are too unlike for one threshold; give the images a val split, where it is exact, or try "
        "other heads"
    )
    return [covered, kept, *([uneven] if found.uneven else [])]


def _percent(share: Share) -> str:
    if share.value is None or share.low is None or share.high is None:
        return "none"
    return f"{100 * share.value:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _chose(plan: SplitPlan) -> npt.NDArray[np.intp]:
    """Return the images that chose the winner, fold after fold of the first round."""
    return np.concatenate([score for _, score in plan.first_folds])


def _measure_distances(
    problem: Problem, plan: SplitPlan, plain: npt.NDArray[np.float32], options: FitOptions
) -> tuple[OutlierScore, npt.NDArray[np.float64]]:
    """Return the measure that is saved, and the distance of images that chose to those fitted on in their fold.

    Distances depend on how many images they are measured from. So the measure is that of the first fold, from as many
    as in every fold: one from all of train would find new images farther, or nearer, than those that set the threshold.
    """
    most = max(1, _MOST_CALIBRATED // len(plan.first_folds))
    draw, scores, found = np.random.default_rng(options.seed), [], []
    for fitted, asked in plan.first_folds:
        scores.append(fit_outliers(plain[fitted], problem.y[fitted], method=options.outlier, seed=options.seed))
        found.append(scores[-1].distance(plain[draw.permutation(asked)[:most]]))
    return scores[0], np.concatenate(found)
