"""The fast path of the two torch heads: a whole grid on one fold, trained as stacks of models.

Each model is what the stock pipeline would be: models of one seed see the same batches anyway, so stacking them changes
no result beyond rounding. Models whose seeds, hidden layers or anything else but learning rate, weight decay and
dropout differ are trained stack after stack.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

from headstart.heads.estimators import weights_by_class
from headstart.heads.isolation import openmp_threads
from headstart.heads.neural.linear_torch import TorchLinearClassifier
from headstart.heads.neural.mlp import TorchMLPClassifier
from headstart.heads.neural.stacks import Knobs, train_stacked
from headstart.heads.neural.training import forward
from headstart.heads.row_by_row import ask_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from headstart.heads.neural.base import TorchClassifier
    from headstart.heads.neural.training import Recipe

_STACK_WEIGHTS = 2**20
"""At most in a stack; larger ones take longer for each model, as their gradients and moments fall out of the cache."""


def solve_mlp(
    features: NDArray[np.float32],
    codes: NDArray[np.intp],
    scored: NDArray[np.float32],
    grid: Sequence[Mapping[str, Any]],
    seed: int,
) -> list[NDArray[np.float64]]:
    """Return the probabilities that every perceptron of a grid, fitted on one fold, gives to the scored images.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
        Not standardised.
    codes : int ndarray of shape (n_images,)
        Classes 0 … n_classes - 1, each present.
    scored : float32 ndarray of shape (n_scored, n_features)
    grid : sequence of dict
        Parameters of `TorchMLPClassifier`, any of them.
    seed : int
        The `random_state` of entries that give none.

    Returns
    -------
    list of float64 ndarray of shape (n_scored, n_classes)
        Probabilities, in the order of `grid`; NaN where training diverged.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """
    estimators = [TorchMLPClassifier(**{"random_state": seed, **params}) for params in grid]
    return _solve(features, codes, scored, estimators)


def solve_linear_torch(
    features: NDArray[np.float32],
    codes: NDArray[np.intp],
    scored: NDArray[np.float32],
    grid: Sequence[Mapping[str, Any]],
    seed: int,
) -> list[NDArray[np.float64]]:
    """Return the probabilities that every softmax layer of a grid, fitted on one fold, gives to the scored images.

    Parameters, returns and what is raised are those of `solve_mlp`; the grid's are of `TorchLinearClassifier`.
    """
    estimators = [TorchLinearClassifier(**{"random_state": seed, **params}) for params in grid]
    return _solve(features, codes, scored, estimators)


def _solve(
    features: NDArray[np.float32],
    codes: NDArray[np.intp],
    scored: NDArray[np.float32],
    estimators: Sequence[TorchClassifier],
) -> list[NDArray[np.float64]]:
    recipes = [estimator.recipe() for estimator in estimators]  # refuses bad parameters before anything is trained
    scaler = StandardScaler()
    X, X_scored = scaler.fit_transform(features), scaler.transform(scored)
    n_classes = int(codes.max()) + 1
    solutions: list[NDArray[np.float64]] = [np.full((len(scored), n_classes), np.nan) for _ in estimators]
    for places in _stacks(estimators, recipes, X.shape[1], n_classes):
        first = estimators[places[0]]
        knobs = Knobs(
            rates=[estimators[place].learning_rate for place in places],
            decays=[estimators[place].weight_decay for place in places],
            dropouts=[estimators[place].dropout for place in places],
        )
        sizes = [X.shape[1], *first.hidden_widths(), n_classes]
        weights = weights_by_class(first.class_weight, np.arange(n_classes), codes)
        with openmp_threads(1):  # as the stock heads do: the same weights on any number of cores
            trained = train_stacked(X, codes, sizes, recipes[places[0]], knobs, first.stacked_optimizer, weights)
        for place, layers in zip(places, trained, strict=True):
            if layers is not None:
                solutions[place] = softmax(ask_rows(partial(forward, layers), X_scored), axis=1)
    return solutions


def _stacks(
    estimators: Sequence[TorchClassifier], recipes: Sequence[Recipe], n_features: int, n_classes: int
) -> Iterator[list[int]]:
    """Yield the places in the grid of estimators that are trained as one stack."""
    groups: list[tuple[dict[str, object], list[int]]] = []
    for place, (estimator, recipe) in enumerate(zip(estimators, recipes, strict=True)):
        settings = _shared_settings(estimator, recipe)
        same = next((places for known, places in groups if known == settings), None)
        if same is None:
            groups.append((settings, [place]))
        else:
            same.append(place)
    for _, places in groups:
        sizes = [n_features, *estimators[places[0]].hidden_widths(), n_classes]
        n_at_once = max(1, _STACK_WEIGHTS // sum(n_in * n_out for n_in, n_out in pairwise(sizes)))
        for start in range(0, len(places), n_at_once):
            yield places[start : start + n_at_once]


def _shared_settings(estimator: TorchClassifier, recipe: Recipe) -> dict[str, object]:
    """Return the settings that have to be equal within a stack."""
    hidden = tuple(estimator.hidden_widths())
    free = {"learning_rate", "weight_decay", "hidden_sizes", "random_state"}
    if hidden:
        free.add("dropout")  # without hidden layers it drops from the images themselves, which all models share
    shared = {name: value for name, value in estimator.get_params().items() if name not in free}
    return {**shared, "hidden": hidden, "seed": recipe.seed}
