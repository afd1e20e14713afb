"""The floor: a head that never looks at the features."""

from collections.abc import Mapping
from typing import Any

from sklearn.dummy import DummyClassifier


def make_dummy(params: Mapping[str, Any], seed: int) -> DummyClassifier:
    """Return an unfitted classifier that gives the most frequent class and the class shares as probabilities."""
    return DummyClassifier(random_state=seed, **params)
