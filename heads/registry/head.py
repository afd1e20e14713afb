"""Which heads fit their whole grid on a fold in one go, and by what function."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.registry.table import find_head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headstart.heads.registry.candidates import Candidate
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


_TRAINED = {"learning_rate", "weight_decay", "dropout", "random_state"}

PATHS: Mapping[str, GridPath] = MappingProxyType(
    {
        "logreg": GridPath(
            module="headstart.heads.solvers.logistic.grid",
            function="solve_logreg",
            params=frozenset({"C"}),
            divisible=True,
            across_folds=True,
        ),
        "ridge": GridPath(
            module="headstart.heads.solvers.ridge",
            function="solve_ridge",
            params=frozenset({"alpha"}),
            divisible=False,
            across_folds=True,
        ),
        "lda": GridPath(
            module="headstart.heads.solvers.lda", function="solve_lda", params=frozenset({"shrinkage"}), divisible=False
        ),
        "knn": GridPath(
            module="headstart.heads.solvers.knn",
            function="solve_knn",
            params=frozenset({"n_neighbors", "metric"}),
            divisible=False,
        ),
        "mlp": GridPath(
            module="headstart.heads.neural.grid",
            function="solve_mlp",
            params=frozenset({"hidden_sizes", *_TRAINED}),
            divisible=True,
        ),
        "linear-torch": GridPath(
            module="headstart.heads.neural.grid",
            function="solve_linear_torch",
            params=frozenset(_TRAINED),
            divisible=True,
        ),
    }
)
"""By the head's name."""


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


STREAMED: Mapping[str, StreamedHead] = MappingProxyType(
    {
        "ridge": StreamedHead(
            module="headstart.heads.solvers.streamed.ridge", function="stream_ridge", params=frozenset({"alpha"})
        ),
        "logreg": StreamedHead(
            module="headstart.heads.solvers.streamed.logreg", function="stream_logreg", params=frozenset({"C"})
        ),
        "centroid": StreamedHead(
            module="headstart.heads.solvers.streamed.centroid", function="stream_centroid", params=frozenset()
        ),
        "dummy": StreamedHead(
            module="headstart.heads.registry.head", function="stream_dummy", params=frozenset({"strategy"})
        ),
    }
)
"""By the head's name."""


def stream_dummy(data: StreamedData, grid: Sequence[Mapping[str, Any]], seed: int) -> Fitted:
    """Return the floor, which needs the classes' counts alone, fitted for each choice and each fit."""

    def fitted(fit: int, params: Mapping[str, Any]) -> Any:
        counts = data.counts(fit)
        present = np.flatnonzero(counts)
        nothing = np.zeros((len(present), data.stream.n_features))
        return find_head("dummy").make(params, seed).fit(nothing, present, sample_weight=counts[present])

    return [[fitted(fit, params) for fit in range(data.n_fits)] for params in grid]


def can_stream(candidate: Candidate) -> bool:
    """Tell whether a candidate can be fitted without its features in memory."""
    head = STREAMED.get(candidate.head) if candidate.task == "classify" else None
    return head is not None and candidate.params.keys() <= head.params
