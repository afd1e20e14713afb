"""A head as one row: how to make it, what to try, and its ways to fit a whole grid or features beyond the memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sklearn.base import BaseEstimator

Grid = Mapping[str, Sequence[Any]]
"""Values to try, by the name of the hyper-parameter."""


@dataclass(frozen=True, kw_only=True)
class GridSolver:
    """A head's way to fit many choices of hyper-parameters on the images of one fold in one go.

    Parameters
    ----------
    place : str
        ``module:function``. The function is ``function(features, codes, scored, grid, seed)``: it takes float32
        features (n_images, n_features), their classes 0 … n_classes - 1 (n_images,), each present, float32 features to
        predict (n_scored, n_features), a list of choices and a seed, and returns for each choice the probabilities,
        float64 (n_scored, n_classes), of the stock head fitted on the same images; NaN where that fails. Scaling is
        fitted inside.
    params : frozenset of str
        The hyper-parameters that it knows.
    divisible : bool
        Whether halves of a grid are worth a worker each: of folds that share work, where they are fewer than workers.
    across_folds : bool
        Whether several folds share the work, too. The function is then ``function(features, codes, n_classes, folds,
        grids)``: features and classes of all images, rows to fit on and to predict of each fold, and what to try there.
        It returns a list for each fold, with a column for every class.
    threads_from : int
        Images × features × classes from which a sweep of nothing else is one job, whose products torch shares among all
        threads; 0 for never.
    """

    place: str
    params: frozenset[str]
    divisible: bool
    across_folds: bool = False
    threads_from: int = 0

    def load(self) -> Any:
        """Import the function."""
        return load(self.place)


@dataclass(frozen=True, kw_only=True)
class StreamedFit:
    """A head's way to be fitted in few passes over features that do not fit in memory.

    Parameters
    ----------
    place : str
        ``module:function``. The function is ``function(data, grid, seed)``: it takes a `StreamedData` and choices of
        hyper-parameters, and returns for each choice the fitted pipelines, one for each fit.
    params : frozenset of str
        The hyper-parameters that it knows.
    needs_gram : bool
        Whether it goes by the products of all features with each other, which take a pass to sum.
    """

    place: str
    params: frozenset[str]
    needs_gram: bool = False

    def fit(self, data: Any, grid: Sequence[Mapping[str, Any]], seed: int) -> list[list[Any]]:
        """Import the function and call it."""
        found: list[list[Any]] = load(self.place)(data, grid, seed)
        return found


@dataclass(frozen=True, kw_only=True)
class Head:
    """One kind of classifier, or of regressor, that can be fitted on embeddings.

    Parameters
    ----------
    name : str
        What people type.
    summary : str
        One line for people.
    make : callable
        `make(params, seed)` returns an unfitted scikit-learn estimator (a pipeline where scaling helps). `params`
        are hyper-parameters of its last step; `seed` is its `random_state`, where it has one.
    grid : mapping of str to sequence
        Values of the hyper-parameters tried by default: every combination is one candidate.
    task : {"classify", "regress"}
        Whether it tells classes apart or predicts a number.
    estimator : str
        ``module.Class`` of its last step, which a saved model may then hold: parameters and numpy arrays, and no method
        that runs anything they hold. Empty of scikit-learn's own.
    solver : GridSolver, optional
    streamed : StreamedFit, optional
    views : {"plain", "told", "none"}
        Whether several rows of each image are nothing special to it; or it has a parameter `views`, for it sets images
        aside as it is fitted; or it does that and cannot keep the rows of one together.
    weighs : bool
        Whether it has a parameter `class_weight`, as scikit-learn's classifiers do.
    on_device : bool
        Whether it has a parameter `device`, which says where torch trains it; it predicts on the CPU.
    """

    name: str
    summary: str
    make: Callable[[Mapping[str, Any], int], BaseEstimator]
    grid: Grid
    task: str = "classify"
    estimator: str = ""
    solver: GridSolver | None = None
    streamed: StreamedFit | None = None
    views: Literal["plain", "told", "none"] = "plain"
    weighs: bool = False
    on_device: bool = False


def load(place: str) -> Any:
    """Import what a ``module:name`` leads to: scikit-learn and torch take seconds that a listing need not wait for."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
