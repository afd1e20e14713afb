"""Embeddings of which some have a label, and what a classifier that was fitted on these says of all."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from headstart.heads.analysis import reduce_features
from headstart.heads.registry import find_head

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Rows = NDArray[np.intp]

NO_LABEL = -1


@dataclass(frozen=True, eq=False)
class PartlyLabelled:
    """Images of which some have a label.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
        Finite, see `heads.features.feature_matrix`.
    labels : int ndarray of shape (n_images,)
        Class of each image, `NO_LABEL` where it is not known.
    seed : int
        Of the classifier and of clusters.
    """

    features: NDArray[np.float32]
    labels: Rows
    seed: int = 0

    @cached_property
    def known(self) -> Rows:
        """Rows with a label."""
        return np.flatnonzero(self.labels != NO_LABEL)

    @property
    def n_classes(self) -> int:
        """Classes among the labels."""
        return len(np.unique(self.labels[self.known]))

    @cached_property
    def model(self) -> Any:
        """Logistic regression on the labelled rows: the head of that name, but that all images scale the columns.

        A column that is constant among a few images with a label would drown all others elsewhere.
        """
        model: Any = find_head("logreg").make({}, self.seed)
        scaled = model[:-1].fit_transform(self.features)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an order of doubt is not changed by the last digits
            model[-1].fit(scaled[self.known], self.labels[self.known])
        return model

    @cached_property
    def probability(self) -> Floats:
        """Probability of each class, (n_images, n_classes), in the order of the model's `classes_`."""
        return np.asarray(self.model.predict_proba(self.features))

    @cached_property
    def guess(self) -> Rows:
        """Likeliest class of each image, (n_images,)."""
        return np.asarray(self.model.classes_[self.probability.argmax(axis=1)])

    @cached_property
    def scaled(self) -> Floats:
        """Features as the classifier's last step takes them."""
        return np.asarray(self.model[:-1].transform(self.features))

    @cached_property
    def reduced(self) -> NDArray[np.float32]:
        """Features at unit length in few dimensions, for clusters."""
        return reduce_features(self.features, len(self.features), seed=self.seed)
