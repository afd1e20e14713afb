"""The registry of heads that predict a number; they share their names with the classifiers of the same kind."""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from headstart.heads.errors import UnknownHeadError
from headstart.heads.registry import HEADS, Head

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sklearn.base import BaseEstimator

    from headstart.heads.candidates import Grid


def _build(module: str, factory: str, params: Mapping[str, Any], seed: int) -> BaseEstimator:
    """Import the head's family at first use, as the other registry does."""
    return getattr(import_module(module), factory)(params, seed)


REGRESSORS: Mapping[str, Head] = MappingProxyType(
    {
        head.name: head
        for head in (
            Head(
                name="dummy",
                summary="Always the mean: the floor that every head has to beat.",
                make=partial(_build, "headstart.heads.estimators.stock", "make_mean"),
                grid={},
            ),
            Head(
                name="knn",
                summary="The mean of the k most similar images by cosine, nearer ones louder; no training.",
                make=partial(_build, "headstart.heads.estimators.neighbors", "make_knn_regressor"),
                grid={"n_neighbors": (1, 5, 20)},
            ),
            Head(
                name="ridge",
                summary="Least squares with an L2 penalty, solved exactly; the fastest linear head.",
                make=partial(_build, "headstart.heads.estimators.ridge", "make_ridge_regressor"),
                grid={"alpha": (1.0, 10.0, 100.0, 1000.0, 10000.0)},
            ),
            Head(
                name="mlp",
                summary="One hidden layer with dropout, trained by Adam on squared errors, stopped early.",
                make=partial(_build, "headstart.heads.neural.mlp", "make_mlp_regressor"),
                grid={"hidden_sizes": ((128,), (512,)), "dropout": (0.0, 0.5)},
            ),
            Head(
                name="boosting",
                summary="Gradient-boosted trees by squared error, stopped early; slow on many features.",
                make=partial(_build, "headstart.heads.estimators.boosting", "make_boosting_regressor"),
                grid={"min_samples_leaf": (5, 20)},
            ),
        )
    }
)
"""Every head for numbers by name. `make` and `grid` are as for `heads.HEADS`, of scikit-learn regressors."""

REGRESSION_PRESETS: Mapping[str, Mapping[str, Grid]] = MappingProxyType(
    {
        "quick": {
            "ridge": {"alpha": (10.0, 100.0, 1000.0, 10000.0)},
            "knn": {"n_neighbors": (5, 20)},
            "dummy": {},
        },
        "standard": {name: REGRESSORS[name].grid for name in ("ridge", "knn", "mlp", "dummy")},
        "thorough": {
            "ridge": {"alpha": tuple(10 ** (step / 2) for step in range(-2, 14))},
            "knn": {"n_neighbors": (1, 3, 5, 10, 20, 50)},
            "mlp": {
                "hidden_sizes": ((128,), (512,)),
                "dropout": (0.0, 0.5),
                "learning_rate": (0.0003, 0.001, 0.003),
                "weight_decay": (0.0, 0.01),
            },
            "boosting": REGRESSORS["boosting"].grid,
            "dummy": {},
        },
    }
)
"""By name, as in `heads.presets`: the heads for numbers, each with its grid."""


def find_regressor(name: str) -> Head:
    """Return the head for numbers of this name.

    Raises
    ------
    UnknownHeadError
        There is none; the message says so of a head that only tells classes apart.
    """
    if name in REGRESSORS:
        return REGRESSORS[name]
    known = ", ".join(sorted(REGRESSORS))
    if name in HEADS or ":" in name:
        raise UnknownHeadError(
            f"head {name!r} tells classes apart and predicts no numbers; heads that do: {known}; "
            "or say --task classify where the numbers name classes"
        )
    near = get_close_matches(name.lower(), REGRESSORS, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known heads: {known}"
    raise UnknownHeadError(f"no head for numbers is called {name!r}; {hint}")
