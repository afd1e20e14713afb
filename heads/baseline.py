"""The floor: a head that never looks at the features."""

from collections.abc import Mapping
from typing import Any

from sklearn.dummy import DummyClassifier, DummyRegressor


def make_dummy(params: Mapping[str, Any], seed: int) -> DummyClassifier:
    """Return an unfitted classifier that gives the most frequent class and the class shares as probabilities."""
    return DummyClassifier(random_state=seed, **params)


def make_mean(params: Mapping[str, Any], seed: int) -> DummyRegressor:  # noqa: ARG001 - every factory takes a seed; the mean draws nothing
    """Return an unfitted regressor that gives the mean of the numbers it was fitted on."""
    return DummyRegressor(**params)
