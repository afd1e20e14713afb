"""The registry of heads: a name, one line for people, how to make it, and the hyper-parameters worth trying."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from headstart.heads.errors import DuplicateHeadError
from headstart.heads.registry.head import GridPath, Head, StreamedHead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sklearn.base import BaseEstimator


_registered: dict[str, Head] = {}

HEADS: Mapping[str, Head] = MappingProxyType(_registered)
"""Every registered head by name; `register` adds to it."""


def register(head: Head) -> None:
    """Add a head to `HEADS`.

    Raises
    ------
    DuplicateHeadError
        The name is taken.
    """
    if head.name in _registered:
        raise DuplicateHeadError(f"head {head.name!r} is registered already; register yours under another name")
    _registered[head.name] = head


def _build(module: str, factory: str, params: Mapping[str, Any], seed: int) -> BaseEstimator:
    """Import the head's family at first use: scikit-learn and torch take seconds that a listing need not wait for."""
    return getattr(import_module(module), factory)(params, seed)


for _head in (
    Head(
        name="dummy",
        summary="Always the most frequent class: the floor that every head has to beat.",
        make=partial(_build, "headstart.heads.estimators.stock", "make_dummy"),
        grid={},
    ),
    Head(
        name="centroid",
        summary="Nearest class mean on centred, unit-length features; strong with very few images a class.",
        make=partial(_build, "headstart.heads.estimators.centroid", "make_centroid"),
        grid={},
    ),
    Head(
        name="knn",
        summary="The k most similar images by cosine vote, nearer ones louder; no training.",
        make=partial(_build, "headstart.heads.estimators.neighbors", "make_knn"),
        grid={"n_neighbors": (1, 5, 20)},
    ),
    Head(
        name="logreg",
        summary="Logistic regression, the usual linear probe, with good probabilities.",
        make=partial(_build, "headstart.heads.estimators.stock", "make_logreg"),
        grid={"C": (0.001, 0.01, 0.1, 1.0, 10.0)},
    ),
    Head(
        name="ridge",
        summary="Least squares with an L2 penalty, solved exactly; the fastest linear head.",
        make=partial(_build, "headstart.heads.estimators.ridge", "make_ridge"),
        grid={"alpha": (1.0, 10.0, 100.0, 1000.0, 10000.0)},
    ),
    Head(
        name="linear-svm",
        summary="Linear support vector machine; gives labels but no probabilities.",
        make=partial(_build, "headstart.heads.estimators.stock", "make_linear_svm"),
        grid={"C": (0.00001, 0.0001, 0.001, 0.01)},
    ),
    Head(
        name="lda",
        summary="Linear discriminant analysis with a shrunk covariance.",
        make=partial(_build, "headstart.heads.estimators.lda", "make_lda"),
        grid={"shrinkage": (0.1, 0.5, 0.9, 0.99)},
    ),
    Head(
        name="linear-torch",
        summary="Softmax layer trained by SGD with a stepped learning rate, as in the transfer-learning tutorials.",
        make=partial(_build, "headstart.heads.neural.linear_torch", "make_linear_torch"),
        grid={"learning_rate": (0.01, 0.1)},
    ),
    Head(
        name="mlp",
        summary="One hidden layer with dropout, trained by Adam, stopped early.",
        make=partial(_build, "headstart.heads.neural.mlp", "make_mlp"),
        grid={"hidden_sizes": ((128,), (512,)), "dropout": (0.0, 0.5)},
    ),
    Head(
        name="svm-rbf",
        summary="Support vector machine with an RBF kernel, for up to 20 000 images; labels but no probabilities.",
        make=partial(_build, "headstart.heads.estimators.svm", "make_svm_rbf"),
        grid={"C": (1.0, 10.0), "gamma_factor": (0.3, 1.0)},
    ),
    Head(
        name="boosting",
        summary="Gradient-boosted trees, stopped early; slow on many features and classes.",
        make=partial(_build, "headstart.heads.estimators.boosting", "make_boosting"),
        grid={"min_samples_leaf": (5, 20)},
    ),
    Head(
        name="naive-bayes",
        summary="Gaussian naive Bayes with tempered probabilities; one pass over the images.",
        make=partial(_build, "headstart.heads.estimators.naive_bayes", "make_naive_bayes"),
        grid={"var_smoothing": (0.01, 0.1, 1.0)},
    ),
    Head(
        name="cosine",
        summary="Softmax over scaled cosines (Baseline++): no class wins by longer weights.",
        make=partial(_build, "headstart.heads.estimators.cosine", "make_cosine"),
        grid={"C": (1.0, 10.0, 100.0, 1000.0)},
    ),
):
    register(_head)


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
            module="headstart.heads.solvers.streamed.data", function="stream_dummy", params=frozenset({"strategy"})
        ),
    }
)
"""By the head's name."""
