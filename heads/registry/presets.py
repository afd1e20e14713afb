"""Sweeps for people who have no head in mind yet: which heads to try, and how widely."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from headstart.heads.errors import DataError
from headstart.heads.registry.table import HEADS, REGRESSORS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headstart.heads.registry.head import Grid


_LINEAR = ("logreg", "ridge", "linear-svm", "cosine", "lda")


def _own_grids(*names: str) -> dict[str, Grid]:
    return {name: HEADS[name].grid for name in names}


PRESETS: Mapping[str, Mapping[str, Grid]] = MappingProxyType(
    {
        # Seconds: one good head of each of the cheap kinds.
        "quick": {
            "logreg": {"C": (0.001, 0.01, 0.1, 1.0)},
            "ridge": {"alpha": (10.0, 100.0, 1000.0)},
            "knn": {"n_neighbors": (5, 20)},
            **_own_grids("centroid", "dummy"),
        },
        # Every kind that copes with some ten thousand images, with the grid that it brings.
        "standard": _own_grids(*_LINEAR, "linear-torch", "mlp", "knn", "centroid", "naive-bayes", "dummy"),
        # Every kind, finely: minutes, and hours where images are many.
        "thorough": {
            "logreg": {"C": (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0)},
            "ridge": {"alpha": tuple(10 ** (step / 2) for step in range(-2, 12))},
            "linear-svm": {"C": (0.000001, 0.00001, 0.0001, 0.001, 0.01, 0.1)},
            "cosine": {"C": (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)},
            "knn": {"n_neighbors": (1, 3, 5, 10, 20, 50), "metric": ("cosine", "euclidean")},
            "lda": {"shrinkage": (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)},
            "linear-torch": {"learning_rate": (0.003, 0.01, 0.03, 0.1), "weight_decay": (0.0, 0.001)},
            "mlp": {
                "hidden_sizes": ((128,), (512,)),
                "dropout": (0.0, 0.5),
                "learning_rate": (0.0003, 0.001, 0.003),
                "weight_decay": (0.0, 0.01),
            },
            **_own_grids("svm-rbf", "boosting", "naive-bayes", "centroid", "dummy"),
        },
    }
)
"""By name: the heads, each with its grid."""


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
"""By name, as in `heads.registry.presets`: the heads for numbers, each with its grid."""


def find_preset(name: str, task: str = "classify") -> Mapping[str, Grid]:
    """Return a preset's heads, each with its grid, for "classify" or "regress".

    Raises
    ------
    DataError
        There is none of this name.
    """
    presets = REGRESSION_PRESETS if task == "regress" else PRESETS
    if name not in presets:
        raise DataError(f"no sweep is called {name!r}; expected one of {', '.join(presets)}")
    return presets[name]
