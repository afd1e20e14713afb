"""Linear heads that are scikit-learn's own: logistic regression, support vector machine."""

from collections.abc import Mapping
from typing import Any

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


def make_logreg(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Return an unfitted multinomial logistic regression (L-BFGS) on standardised features."""
    return make_pipeline(StandardScaler(), LogisticRegression(**{"max_iter": 1000, "random_state": seed, **params}))


def make_linear_svm(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Return an unfitted one-against-rest linear support vector machine on standardised features.

    It gives no probabilities: fitting them needs images that the few-image case cannot spare.
    """
    return make_pipeline(StandardScaler(), LinearSVC(**{"max_iter": 5000, "random_state": seed, **params}))
