"""The table of heads: one row each, classifiers and regressors; `register` adds a row."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from headstart.heads.errors import DuplicateHeadError
from headstart.heads.registry.head import GridSolver, Head, StreamedFit, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sklearn.base import BaseEstimator

_registered: dict[str, dict[str, Head]] = {"classify": {}, "regress": {}}

HEADS: Mapping[str, Head] = MappingProxyType(_registered["classify"])
"""Every registered classifier by name."""

REGRESSORS: Mapping[str, Head] = MappingProxyType(_registered["regress"])
"""Every registered head for numbers by name; they share their names with the classifiers of the same kind."""

HEADS_OF: Mapping[str, Mapping[str, Head]] = MappingProxyType({"classify": HEADS, "regress": REGRESSORS})
"""By task."""


def register(head: Head) -> None:
    """Add a head to those of its task.

    Raises
    ------
    DuplicateHeadError
        The name is taken.
    """
    heads = _registered[head.task]
    if head.name in heads:
        raise DuplicateHeadError(f"head {head.name!r} is registered already; register yours under another name")
    heads[head.name] = head


def _made_by(place: str) -> Callable[[Mapping[str, Any], int], BaseEstimator]:
    return partial(_make, place)


def _make(place: str, params: Mapping[str, Any], seed: int) -> BaseEstimator:
    made: BaseEstimator = load(place)(params, seed)
    return made


_TRAINED = {"learning_rate", "weight_decay", "dropout", "random_state", "views", "class_weight", "device"}

for _head in (
    Head(
        name="dummy",
        summary="Always the most frequent class: the floor that every head has to beat.",
        make=_made_by("headstart.heads.estimators.stock:make_dummy"),
        grid={},
        streamed=StreamedFit(
            place="headstart.heads.solvers.streamed.data:stream_dummy", params=frozenset({"strategy"})
        ),
    ),
    Head(
        name="centroid",
        summary="Nearest class mean on centred, unit-length features; strong with very few images a class.",
        make=_made_by("headstart.heads.estimators.centroid:make_centroid"),
        estimator="headstart.heads.estimators.centroid.NearestMeanClassifier",
        grid={},
        streamed=StreamedFit(place="headstart.heads.solvers.streamed.centroid:stream_centroid", params=frozenset()),
        views="told",
    ),
    Head(
        name="knn",
        summary="The k most similar images by cosine vote, nearer ones louder; no training.",
        make=_made_by("headstart.heads.estimators.neighbors:make_knn"),
        estimator="headstart.heads.estimators.neighbors.NearestImagesClassifier",
        grid={"n_neighbors": (1, 5, 20)},
        solver=GridSolver(
            place="headstart.heads.solvers.knn:solve_knn", params=frozenset({"n_neighbors", "metric"}), divisible=False
        ),
    ),
    Head(
        name="logreg",
        summary="Logistic regression, the usual linear probe, with good probabilities.",
        make=_made_by("headstart.heads.estimators.stock:make_logreg"),
        estimator="headstart.heads.estimators.stock.LogisticRegression",
        grid={"C": (0.001, 0.01, 0.1, 1.0, 10.0)},
        solver=GridSolver(
            place="headstart.heads.solvers.logistic.grid:solve_logreg",
            params=frozenset({"C", "class_weight"}),
            divisible=True,
            across_folds=True,
            threads_from=2**22,
        ),
        streamed=StreamedFit(
            place="headstart.heads.solvers.streamed.logreg:stream_logreg", params=frozenset({"C", "class_weight"})
        ),
        weighs=True,
    ),
    Head(
        name="ridge",
        summary="Least squares with an L2 penalty, solved exactly; the fastest linear head.",
        make=_made_by("headstart.heads.estimators.ridge:make_ridge"),
        estimator="headstart.heads.estimators.ridge.RidgeSoftmaxClassifier",
        grid={"alpha": (1.0, 10.0, 100.0, 1000.0, 10000.0)},
        solver=GridSolver(
            place="headstart.heads.solvers.ridge:solve_ridge",
            params=frozenset({"alpha", "views", "class_weight"}),
            divisible=False,
            across_folds=True,
        ),
        streamed=StreamedFit(
            place="headstart.heads.solvers.streamed.ridge:stream_ridge",
            params=frozenset({"alpha", "class_weight"}),
            needs_gram=True,
        ),
        views="told",
        weighs=True,
    ),
    Head(
        name="linear-svm",
        summary="Linear support vector machine; gives labels but no probabilities.",
        make=_made_by("headstart.heads.estimators.stock:make_linear_svm"),
        grid={"C": (0.00001, 0.0001, 0.001, 0.01)},
        weighs=True,
    ),
    Head(
        name="lda",
        summary="Linear discriminant analysis with a shrunk covariance.",
        make=_made_by("headstart.heads.estimators.lda:make_lda"),
        estimator="headstart.heads.estimators.lda.ShrunkDiscriminantClassifier",
        grid={"shrinkage": (0.1, 0.5, 0.9, 0.99)},
        solver=GridSolver(
            place="headstart.heads.solvers.lda:solve_lda",
            params=frozenset({"shrinkage", "class_weight"}),
            divisible=False,
        ),
        weighs=True,
    ),
    Head(
        name="linear-torch",
        summary="Softmax layer trained by SGD with a stepped learning rate, as in the transfer-learning tutorials.",
        make=_made_by("headstart.heads.neural.linear_torch:make_linear_torch"),
        estimator="headstart.heads.neural.linear_torch.TorchLinearClassifier",
        grid={"learning_rate": (0.01, 0.1)},
        solver=GridSolver(
            place="headstart.heads.neural.grid:solve_linear_torch", params=frozenset(_TRAINED), divisible=True
        ),
        views="told",
        on_device=True,
        weighs=True,
    ),
    Head(
        name="mlp",
        summary="One hidden layer with dropout, trained by Adam, stopped early.",
        make=_made_by("headstart.heads.neural.mlp:make_mlp"),
        estimator="headstart.heads.neural.mlp.TorchMLPClassifier",
        grid={"hidden_sizes": ((128,), (512,)), "dropout": (0.0, 0.5)},
        solver=GridSolver(
            place="headstart.heads.neural.grid:solve_mlp", params=frozenset({"hidden_sizes", *_TRAINED}), divisible=True
        ),
        views="told",
        on_device=True,
        weighs=True,
    ),
    Head(
        name="svm-rbf",
        summary="Support vector machine with an RBF kernel, for up to 20 000 images; labels but no probabilities.",
        make=_made_by("headstart.heads.estimators.svm:make_svm_rbf"),
        estimator="headstart.heads.estimators.svm.RbfSupportVectorClassifier",
        grid={"C": (1.0, 10.0), "gamma_factor": (0.3, 1.0)},
        weighs=True,
    ),
    Head(
        name="boosting",
        summary="Gradient-boosted trees, stopped early; slow on many features and classes.",
        make=_made_by("headstart.heads.estimators.boosting:make_boosting"),
        estimator="headstart.heads.estimators.boosting.BoostedTreesClassifier",
        grid={"min_samples_leaf": (5, 20)},
        views="none",
        weighs=True,
    ),
    Head(
        name="naive-bayes",
        summary="Gaussian naive Bayes with tempered probabilities; one pass over the images.",
        make=_made_by("headstart.heads.estimators.naive_bayes:make_naive_bayes"),
        estimator="headstart.heads.estimators.naive_bayes.GaussianBayesClassifier",
        grid={"var_smoothing": (0.01, 0.1, 1.0)},
        views="told",
        weighs=True,
    ),
    Head(
        name="cosine",
        summary="Softmax over scaled cosines (Baseline++): no class wins by longer weights.",
        make=_made_by("headstart.heads.estimators.cosine:make_cosine"),
        estimator="headstart.heads.estimators.cosine.CosineClassifier",
        grid={"C": (1.0, 10.0, 100.0, 1000.0)},
        weighs=True,
    ),
    Head(
        name="dummy",
        summary="Always the mean: the floor that every head has to beat.",
        make=_made_by("headstart.heads.estimators.stock:make_mean"),
        grid={},
        task="regress",
    ),
    Head(
        name="knn",
        summary="The mean of the k most similar images by cosine, nearer ones louder; no training.",
        make=_made_by("headstart.heads.estimators.neighbors:make_knn_regressor"),
        estimator="headstart.heads.estimators.neighbors.NearestImagesRegressor",
        grid={"n_neighbors": (1, 5, 20)},
        task="regress",
    ),
    Head(
        name="ridge",
        summary="Least squares with an L2 penalty, solved exactly; the fastest linear head.",
        make=_made_by("headstart.heads.estimators.ridge:make_ridge_regressor"),
        estimator="headstart.heads.estimators.ridge.RidgeRegressor",
        grid={"alpha": (1.0, 10.0, 100.0, 1000.0, 10000.0)},
        task="regress",
    ),
    Head(
        name="mlp",
        summary="One hidden layer with dropout, trained by Adam on squared errors, stopped early.",
        make=_made_by("headstart.heads.neural.mlp:make_mlp_regressor"),
        estimator="headstart.heads.neural.mlp.TorchMLPRegressor",
        grid={"hidden_sizes": ((128,), (512,)), "dropout": (0.0, 0.5)},
        task="regress",
        views="told",
        on_device=True,
    ),
    Head(
        name="boosting",
        summary="Gradient-boosted trees by squared error, stopped early; slow on many features.",
        make=_made_by("headstart.heads.estimators.boosting:make_boosting_regressor"),
        estimator="headstart.heads.estimators.boosting.BoostedTreesRegressor",
        grid={"min_samples_leaf": (5, 20)},
        task="regress",
        views="none",
    ),
):
    register(_head)
