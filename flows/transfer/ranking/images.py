"""Choice of images that are looked at: of those that a fit would train on, so many at most, drawn by class."""

from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.flows.problem import Problem
from headstart.heads.splits import plan_splits


def choose_images(
    problem: Problem, what: str, *, images: int, test_size: float, seed: int
) -> tuple[npt.NDArray[Any], list[str]]:
    """Return the rows of the images that are looked at, none of them a test image, and notes.

    Parameters
    ----------
    problem : Problem
    what : str
        Is done with them, for the note where they are not all there are.
    images, test_size, seed
        Of the job's options.
    """
    classes = problem.task == "classify"
    plan = plan_splits(
        problem.y,
        split=problem.split,
        groups=problem.groups,
        class_names=problem.class_names if classes else [problem.target],
        stratify=classes,
        folds=2,
        test_size=test_size,
        seed=seed,
    )
    if len(plan.train) <= images:
        return plan.train, plan.notes
    drawn = np.random.default_rng(seed).permutation(plan.train)
    if classes:  # the first of each class, then the second of each, …
        order = np.argsort(problem.y[drawn], kind="stable")
        counts = np.bincount(problem.y[drawn])
        within = np.arange(len(drawn)) - np.repeat(np.cumsum(counts) - counts, counts)
        drawn = drawn[order][np.argsort(within / np.repeat(counts, counts), kind="stable")]
    some = np.sort(drawn[:images])
    return some, [*plan.notes, f"{what} {len(some)} of {len(plan.train)} images (--images)"]
