"""Fits on few images of each class: which are drawn, and which scored images each draw gets right."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags

from headstart.heads.errors import DataError
from headstart.heads.prediction import predict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from sklearn.base import BaseEstimator

    from headstart.heads.views import Views

    Doubles = NDArray[np.float64]
    Rows = NDArray[np.intp]
    Size = int | None

_WITHOUT_LABELS = ("sklearn.preprocessing.", "sklearn.decomposition.")


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A head as a few-shot curve sees it.

    Parameters
    ----------
    make : callable
        `make(seed)` returns an unfitted classifier.
    right : bool array of shape (n_scored,), optional
        Which images of the plan's folds, one fold after the other, it gets right when it is fitted on all the others,
        where that is known already.
    """

    make: Callable[[int], BaseEstimator]
    right: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Fold:
    """The images that one fold fits on and scores, how many in each class, and the order in which each draw takes them.

    `orders` holds for each draw the images to fit on and the place of each among those of its class.
    """

    fit: Rows
    score: Rows
    counts: Rows
    orders: list[tuple[Rows, Rows]]
    views: Views

    def drawn(self, draw: int, size: Size) -> Rows:
        """Return the first `size` rows of each class, sorted: with all of them the head sees what a sweep shows it."""
        rows, place = self.orders[draw]
        return np.sort(rows if size is None else rows[place < size])

    def share(self, size: Size) -> float:
        """Return k / n, the mean over classes."""
        counts = self.counts[self.counts > 0]
        return 1.0 if size is None else float((np.minimum(counts, size) / counts).mean())


def draw_order(fit: Rows, labels: Rows, units: NDArray[Any], generator: np.random.Generator) -> tuple[Rows, Rows]:
    """Return the rows in a random order, group after group, and the place of each among those of its class."""
    numbers = np.unique(units[fit], return_inverse=True)[1]
    group_place = generator.permutation(int(numbers.max()) + 1)[numbers]
    rows = fit[np.lexsort((generator.permutation(len(fit)), group_place, labels[fit]))]
    counts = np.bincount(labels[fit])
    return rows, np.arange(len(rows)) - (np.cumsum(counts) - counts)[labels[rows]]


def right_by_size(
    learner: Learner, X: NDArray[Any], labels: Rows, fold: Fold, sizes: Sequence[Size], seed: int
) -> dict[Size, Doubles]:
    """Return for each size which scored images each draw gets right, (n_draws, n_scored); one draw if all are taken."""
    first, views = learner.make(seed), fold.views
    steps = _fitted_without_labels(first, np.ascontiguousarray(X[views.to_fit(fold.fit)], dtype=np.float32))
    scored = _through(steps, X[views.to_score(fold.score)])
    right: dict[Size, list[NDArray[np.bool_]]] = {size: [] for size in sizes}
    for draw in range(len(fold.orders)):
        for size in sizes:
            if size is None and draw:
                continue  # all there are, again
            rows = fold.drawn(draw, size)
            model = _after(first if size is None else learner.make(seed + draw), steps)
            fitted = _fit(model, _through(steps, X[views.to_fit(rows)]), views.labels(labels[rows]), size)
            right[size].append(_predicted(fitted, scored, labels, views) == labels[fold.score])
    return {size: np.asarray(some, dtype=np.float64) for size, some in right.items()}


def _predicted(model: Any, scored: Any, labels: Rows, views: Views) -> Rows:
    if not views.average:
        return np.asarray(model.predict(scored))
    return views.joined(*predict(model, scored, int(labels.max()) + 1))[0]


def _fit(model: Any, X: Any, codes: Rows, size: Size) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # few images of a sweep that has reported it
            return model.fit(X, codes)
    except ValueError as error:
        raise DataError(
            f"few-shot curve: {size or 'all'} images a class cannot be fitted ({error}); ask for more images"
        ) from error


def _fitted_without_labels(model: Any, X: NDArray[Any]) -> list[Any]:
    """Fit the leading steps of a pipeline that look at features alone; none of what is no pipeline."""
    fitted: list[Any] = []
    for _, step in getattr(model, "steps", [])[:-1]:
        if not type(step).__module__.startswith(_WITHOUT_LABELS) or get_tags(step).target_tags.required:
            break
        fitted.append(clone(step).fit(X))
        X = fitted[-1].transform(X)
    return fitted


def _through(steps: list[Any], X: NDArray[Any]) -> Any:
    features: Any = np.ascontiguousarray(X, dtype=np.float32)
    for step in steps:
        features = step.transform(features)
    return features


def _after(model: Any, steps: list[Any]) -> Any:
    if not steps:
        return model
    rest = model[len(steps) :]
    return rest if len(rest) > 1 else rest[0]
