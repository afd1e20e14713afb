"""A linear head, scaler and all, is one matrix and one bias that say the same."""

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from headstart.heads.errors import HeadError
from headstart.heads.estimators import CosineClassifier, NearestMeanClassifier, make_logreg
from headstart.heads.finetuning import fold_linear
from headstart.heads.registry import find_head


def data(n_classes: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(n_classes)
    y = np.arange(60) % n_classes
    centres = generator.normal(size=(n_classes, 8)) * 1.5
    return (5.0 + centres[y] * 3.0 + generator.normal(size=(60, 8))).astype(np.float32), y


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", ["logreg", "ridge", "lda", "linear-torch"])
def test_the_softmax_of_a_folded_head_are_its_probabilities(name: str, n_classes: int) -> None:
    X, y = data(n_classes)
    model: Any = find_head(name).make({"max_epochs": 2} if name == "linear-torch" else {}, 0)
    model.fit(X, y)
    weights, bias = fold_linear(model, n_classes, name)
    np.testing.assert_allclose(softmax(X @ weights.T + bias, axis=1), model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_folded_support_vector_machine_keeps_its_classes(n_classes: int) -> None:
    X, y = data(n_classes)
    model: Any = find_head("linear-svm").make({"C": 0.01}, 0)
    model.fit(X, y)
    weights, bias = fold_linear(model, n_classes, "linear-svm")
    assert ((X @ weights.T + bias).argmax(axis=1) == model.predict(X)).all()


def test_a_projection_before_the_head_is_folded_too() -> None:
    X, y = data(3)
    model = make_pipeline(PCA(4, whiten=True, random_state=0), *(step for _, step in make_logreg({}, 0).steps)).fit(
        X, y
    )
    weights, bias = fold_linear(model, 3, "logreg")
    np.testing.assert_allclose(softmax(X @ weights.T + bias, axis=1), model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize(
    "steps",
    [
        (StandardScaler(with_std=False), NearestMeanClassifier()),
        (CosineClassifier(),),
        (MinMaxScaler(), LogisticRegression()),
        (RobustScaler(), MaxAbsScaler(), LinearDiscriminantAnalysis()),
        (StandardScaler(), TruncatedSVD(4, random_state=0), LogisticRegression()),
        (RobustScaler(), RidgeClassifier()),
    ],
    ids=lambda steps: "-".join(type(step).__name__ for step in steps),
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_whatever_is_linear_is_folded(steps: tuple[Any, ...], n_classes: int) -> None:
    X, y = data(n_classes)
    model = make_pipeline(*map(clone, steps)).fit(X, y)
    weights, bias = fold_linear(model, n_classes, "mine:MyHead")
    scores = X @ weights.T + bias
    assert (scores.argmax(axis=1) == model.predict(X)).all()
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(softmax(scores, axis=1), model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("step", [MinMaxScaler(clip=True), Normalizer(), QuantileTransformer(n_quantiles=10)])
def test_a_step_that_is_not_affine_is_refused_by_its_name(step: Any) -> None:
    X, y = data(2)
    model = make_pipeline(clone(step), LogisticRegression()).fit(X, y)
    with pytest.raises(HeadError, match=f"^mine:MyHead: a {type(step).__name__} is not linear in the features"):
        fold_linear(model, 2, "mine:MyHead")


def test_a_class_that_the_head_never_saw_gets_no_probability() -> None:
    X, y = data(3)
    weights, bias = fold_linear(make_logreg({}, 0).fit(X[y != 1], y[y != 1]), 3, "logreg")
    assert (softmax(X @ weights.T + bias, axis=1)[:, 1] == 0).all()


@pytest.mark.parametrize("name", ["knn", "centroid", "cosine", "naive-bayes", "mlp", "svm-rbf", "dummy"])
def test_a_head_that_is_not_linear_is_refused_by_its_name(name: str) -> None:
    X, y = data(2)
    params: dict[str, Any] = {"max_epochs": 1} if name == "mlp" else {}
    model: Any = find_head(name).make(params, 0)
    model.fit(X, y)
    with pytest.raises(HeadError, match=rf"^{name}: a \w+ is not linear in the features.*fit logreg"):
        fold_linear(model, 2, name)
