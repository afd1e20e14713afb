"""Scouts: how far each weight of a body moves for easy sub-problems of the source, each from the same start."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.finetuning import SomeRows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from headstart.heads.finetuning import Rows
    from headstart.heads.transfer.guidance.bodies import Body, Codes
    from headstart.heads.transfer.guidance.values import Guide

_MOST_LISTED = 10_000  # subsets of classes; of more, so few are drawn that none comes twice but by a rare chance


def draw_subproblems(n_classes: int, n_scouts: int, n_together: int, seed: int) -> list[tuple[int, ...]]:
    """Return subsets of so many classes together, drawn without repetition, as many as are asked for and there are.

    Raises
    ------
    DataError
        A subset is all classes, or only one of them.
    """
    if not 2 <= n_together < n_classes:
        raise DataError(
            f"a scout of {n_together} classes, expected between 2 and {n_classes - 1}: it learns a part of the "
            f"{n_classes} classes of the source; change scout_classes, or take a source with more classes"
        )
    generator = np.random.default_rng(seed)
    if comb(n_classes, n_together) <= _MOST_LISTED:
        possible = list(combinations(range(n_classes), n_together))
        return [possible[place] for place in generator.permutation(len(possible))[:n_scouts]]
    drawn = (generator.choice(n_classes, n_together, replace=False) for _ in range(2 * n_scouts))
    return list(dict.fromkeys(tuple(sorted(one.tolist())) for one in drawn))[:n_scouts]


def mean_movement(
    body: Body,
    X: Rows,
    codes: Codes,
    subproblems: Sequence[Sequence[int]],
    *,
    seed: int,
    on_scout: Callable[[], None] | None = None,
) -> Guide:
    """Return the mean over scouts of how far each weight moved, squared, by parameter.

    Every scout begins at the body's own weights, with an output layer of its own, and learns to tell the classes of
    its sub-problem apart.

    Parameters
    ----------
    body : Body
    X, codes : Rows, int ndarray of shape (n_images,)
        Of the source; classes, or clusters that stand in for them.
    subproblems : sequence of sequences of int
        Classes of each scout.
    seed : int
        Of the first scout; each further one has the next.
    on_scout : callable, optional
        Called behind each.
    """
    total = {name: np.zeros(values.shape) for name, values in body.weights.items()}
    for number, classes in enumerate(subproblems):
        rows = np.flatnonzero(np.isin(codes, classes))
        own = np.searchsorted(np.sort(classes), codes[rows])
        scout = body.train(SomeRows(X, rows), own, guide=None, seed=seed + number)
        for name, start in body.weights.items():
            total[name] += (scout.weights[name].astype(np.float64) - start) ** 2
        if on_scout:
            on_scout()
    return {name: (values / len(subproblems)).astype(np.float32) for name, values in total.items()}
