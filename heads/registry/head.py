"""Which heads fit their whole grid on a fold in one go, and by what function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from sklearn.base import BaseEstimator

    from headstart.heads.solvers.streamed.data import StreamedData

    Fitted = list[list[Any]]


@dataclass(frozen=True, kw_only=True)
class GridPath:
    """A head's way to fit many choices of hyper-parameters on the images of one fold.

    Parameters
    ----------
    module, function : str
        ``function(features, codes, scored, grid, seed)`` takes float32 features (n_images, n_features), their classes
        0 … n_classes - 1 (n_images,), each present, float32 features to predict (n_scored, n_features), a list of
        choices and a seed, and returns for each choice the probabilities, float64 (n_scored, n_classes), of the stock
        head fitted on the same images; NaN where that fails. Scaling is fitted inside.
    params : frozenset of str
        The hyper-parameters that it knows.
    divisible : bool
        Whether two halves of a grid take about as long as the whole.
    across_folds : bool
        Whether several folds share the work, too. The function is then ``function(features, codes, n_classes, folds,
        grids)``: features and classes of all images, rows to fit on and to predict of each fold, and what to try there.
        It returns a list for each fold, with a column for every class.
    """

    module: str
    function: str
    params: frozenset[str]
    divisible: bool
    across_folds: bool = False

    def load(self) -> Any:
        """Import the function: scikit-learn and torch take seconds that a listing of heads need not wait for."""
        return getattr(import_module(self.module), self.function)


@dataclass(frozen=True, kw_only=True)
class StreamedHead:
    """A head's way to be fitted in few passes.

    Parameters
    ----------
    module, function : str
        ``function(data, grid, seed)`` takes a `StreamedData` and choices of hyper-parameters, and returns for each
        choice the fitted pipelines, one for each fit.
    params : frozenset of str
        The hyper-parameters that it knows.
    """

    module: str
    function: str
    params: frozenset[str]

    def fit(self, data: StreamedData, grid: Sequence[Mapping[str, Any]], seed: int) -> Fitted:
        """Import the function and call it."""
        found: Fitted = getattr(import_module(self.module), self.function)(data, grid, seed)
        return found


Grid = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, kw_only=True)
class Head:
    """One kind of classifier that can be fitted on embeddings.

    Parameters
    ----------
    name : str
        What people type.
    summary : str
        One line for people.
    make : callable
        `make(params, seed)` returns an unfitted scikit-learn classifier (a pipeline where scaling helps). `params`
        are hyper-parameters of its last step; `seed` is its `random_state`, where it has one.
    grid : mapping of str to sequence
        Values of the hyper-parameters tried by default: every combination is one candidate.
    """

    name: str
    summary: str
    make: Callable[[Mapping[str, Any], int], BaseEstimator]
    grid: Mapping[str, Sequence[Any]]
