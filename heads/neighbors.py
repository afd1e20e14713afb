"""Heads that keep the images they were shown."""

from collections.abc import Mapping
from typing import Any

from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer


def make_knn(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted k-nearest-neighbour classifier by cosine similarity.

    On unit-length rows the Euclidean order is the cosine order (|a - b|² = 2 - 2 a·b), and scikit-learn has a blocked
    top-k for the former alone: the full matrix of distances is never held. Votes weigh by 1 / distance.
    """
    defaults = {"n_neighbors": 5, "weights": "distance", "algorithm": "brute"}
    return make_pipeline(Normalizer(), KNeighborsClassifier(**{**defaults, **params}))
