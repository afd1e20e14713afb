"""Linear heads that are scikit-learn's own: logistic regression, support vector machine."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import linear_model
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


class LogisticRegression(linear_model.LogisticRegression):
    """scikit-learn's `LogisticRegression`, predicting in float64 also where float32 was fitted.

    scikit-learn takes the weights' dtype from the features, and with float32 for both an image's probabilities would
    depend on how many others are asked about (see `heads.row_by_row`). It has scikit-learn's name, because a pipeline
    calls its step by it.
    """

    coef_: NDArray[Any]
    intercept_: NDArray[Any]

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit on `X` of shape (n_images, n_features), in its own dtype, and labels `y` of shape (n_images,)."""
        super().fit(X, y, sample_weight)
        self.coef_, self.intercept_ = self.coef_.astype(np.float64), self.intercept_.astype(np.float64)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = False  # what is fitted becomes numpy's float64
        return tags


def make_logreg(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Return an unfitted multinomial logistic regression (L-BFGS) on standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(**{"max_iter": 1000, "random_state": seed, **params}))


def make_linear_svm(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Return an unfitted one-against-rest linear support vector machine on standardised features.

    It gives no probabilities: fitting them needs images that the few-image case cannot spare.
    """
    return make_pipeline(StandardScaler(), LinearSVC(**{"max_iter": 5000, "random_state": seed, **params}))


def make_dummy(params: Mapping[str, Any], seed: int) -> DummyClassifier:
    """Return an unfitted classifier that gives the most frequent class and the class shares as probabilities."""
    return DummyClassifier(random_state=seed, **params)


def make_mean(params: Mapping[str, Any], seed: int) -> DummyRegressor:  # noqa: ARG001 - every factory takes a seed; the mean draws nothing
    """Return an unfitted regressor that gives the mean of the numbers it was fitted on."""
    return DummyRegressor(**params)
