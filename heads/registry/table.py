"""The registry of heads: a name, one line for people, how to make it, and the hyper-parameters worth trying."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from headstart.heads.errors import DuplicateHeadError, UnknownHeadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sklearn.base import BaseEstimator

    from headstart.heads.registry.candidates import Grid


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


def find_head(name: str) -> Head:
    """Return the head of this name: a registered one, one that an installed package brings, or `module:Class`.

    Raises
    ------
    UnknownHeadError
        There is none; the message names the nearest ones.
    DuplicateHeadError
        Installed packages bring two heads of one name.
    OwnHeadError
        The module of a head of a user's own cannot be imported, or holds no classifier.
    """
    if name in HEADS:
        return HEADS[name]
    from headstart.heads.registry import (  # noqa: PLC0415 - it imports this module, and looks through what is installed
        own_heads,
    )

    if ":" in name:
        return own_heads.named_head(name)
    installed = own_heads.installed_heads()
    if name in installed:
        return own_heads.installed_head(installed[name])
    known = sorted({*HEADS, *installed})
    near = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known heads: {', '.join(known)}"
    raise UnknownHeadError(f"no head is called {name!r}; {hint}, or module:Class for one of your own")


def all_heads() -> dict[str, Head]:
    """Return every registered head and every head that an installed package brings, by name.

    Raises
    ------
    DuplicateHeadError, OwnHeadError
        As `find_head`.
    """
    from headstart.heads.registry import own_heads  # noqa: PLC0415 - as in find_head

    return {**HEADS, **{name: own_heads.installed_head(entry) for name, entry in own_heads.installed_heads().items()}}


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
