"""Gradient-boosted trees: scikit-learn's histogram boosting fits them, numpy predicts."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.heads.estimators.boosted_trees import BoostedTrees
from headstart.heads.estimators.softmax import Floats, SoftmaxClassifier
from headstart.heads.estimators.weighting import refuse_weights, weights_by_class

Doubles = NDArray[np.float64]

_FEWEST_HELD_BACK = 10  # images; fewer say more about which were drawn than about the round


class BoostedTreesClassifier(BoostedTrees, SoftmaxClassifier):
    """scikit-learn's `HistGradientBoostingClassifier`, with defaults for embeddings, as plain arrays once fitted.

    Parameters and attributes are those of `BoostedTrees`. The images that stop training are stratified, and there are
    none where they would be fewer than there are classes, or a class has one image.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels seen by `fit`, sorted.
    temperature_ : float
        1: the scores are log-probabilities up to a constant.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and labels `y` of shape (n_images,).

        Raises
        ------
        ValueError
            A parameter is out of its range, or `y` holds a single class.
        """
        features, codes = self._checked_input(X, y, [np.float32, np.float64])
        weights = weights_by_class(self.class_weight, self.classes_, codes)
        of_codes = None if weights is None else dict(enumerate(weights.tolist()))
        can_hold_back = self._can_hold_back(codes)
        self.grow(HistGradientBoostingClassifier, features, codes, early_stopping=can_hold_back, class_weight=of_codes)
        self.temperature_ = 1.0
        return self

    def _can_hold_back(self, codes: NDArray[np.intp]) -> bool:
        held_back = int(self.validation_fraction * len(codes))
        return held_back >= max(_FEWEST_HELD_BACK, len(self.classes_)) and bool(np.bincount(codes).min() > 1)

    def _scores(self, X: Floats) -> Doubles:
        raw = self.add_up(X)
        # With two classes there is one tree a round, which speaks for the second.
        return np.column_stack([np.zeros(len(raw)), raw]) if raw.shape[1] == 1 else raw

    def check_fitted_state(self) -> None:
        """Check what was read from a file.

        Raises
        ------
        ModelFileError
            See `BoostedTrees.check_trees`.
        """
        self.check_trees(len(self.classes_) if len(self.classes_) > 2 else 1)


class BoostedTreesRegressor(BoostedTrees, RegressorMixin, BaseEstimator):
    """scikit-learn's `HistGradientBoostingRegressor` by squared error, as plain arrays once fitted.

    Parameters and attributes are those of `BoostedTrees`.
    """

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and numbers `y` of shape (n_images,).

        Raises
        ------
        ValueError
            A parameter is out of its range.
        """
        refuse_weights(self.class_weight)
        features, numbers = validate_data(self, X, y, dtype=[np.float32, np.float64], order="C", y_numeric=True)
        can_hold_back = int(self.validation_fraction * len(numbers)) >= _FEWEST_HELD_BACK
        self.grow(HistGradientBoostingRegressor, features, numbers, early_stopping=can_hold_back)
        return self

    def predict(self, X: ArrayLike) -> Doubles:
        """Return the number of each image, (n_images,)."""
        check_is_fitted(self)
        return self.add_up(validate_data(self, X, reset=False, dtype=[np.float32, np.float64]))[:, 0]

    def check_fitted_state(self) -> None:
        """Check what was read from a file.

        Raises
        ------
        ModelFileError
            See `BoostedTrees.check_trees`.
        """
        self.check_trees(1)


def make_boosting(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Return unfitted boosted trees; scaling the features would not change them."""
    return make_pipeline(BoostedTreesClassifier(**{"random_state": seed, **params}))


def make_boosting_regressor(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Return unfitted boosted trees that predict a number."""
    return make_pipeline(BoostedTreesRegressor(**{"random_state": seed, **params}))
