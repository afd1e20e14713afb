"""What the project's own heads share: one score per class, the highest wins, and a softmax makes probabilities."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

Floats = NDArray[np.floating[Any]]


class SoftmaxClassifier(ClassifierMixin, BaseEstimator):
    """Classifier whose fitted state gives a score per class; probabilities are softmax(scores / temperature).

    A subclass sets `classes_` and `temperature_` in `fit` and gives `_scores`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels seen by `fit`, sorted.
    temperature_ : float
        What the scores are divided by before the softmax.
    """

    classes_: NDArray[Any]
    temperature_: float

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and labels `y` of shape (n_images,)."""
        raise NotImplementedError

    def _scores(self, X: Floats) -> Floats:
        """Return the scores (n_images, n_classes) of checked features (n_images, n_features)."""
        raise NotImplementedError

    def decision_function(self, X: ArrayLike) -> Floats:
        """Return the scores, (n_images, n_classes); for two classes those of the second over the first, (n_images,)."""
        scores = self._checked_scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the label with the highest score, (n_images,)."""
        scores = self._checked_scores(X)
        return np.asarray(self.classes_[scores.argmax(axis=1)])

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return the probability of each class, (n_images, n_classes), in the order of `classes_`."""
        scores = self._checked_scores(X).astype(np.float64)
        return np.asarray(softmax(scores / self.temperature_, axis=1))

    def _checked_scores(self, X: ArrayLike) -> Floats:
        check_is_fitted(self)
        return self._scores(validate_data(self, X, reset=False, dtype=[np.float32, np.float64]))

    def _checked_input(self, X: ArrayLike, y: ArrayLike, dtype: Any) -> tuple[Floats, NDArray[np.intp]]:
        """Check what `fit` was given, set `classes_`, and return X in `dtype` and each image's class number."""
        features, labels = validate_data(self, X, y, dtype=dtype, order="C")
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes, found one class: {self.classes_[0]!r}")
        return features, codes


def fit_temperature(scores: Floats, codes: NDArray[np.intp]) -> float:
    """Return the temperature that makes softmax(scores / temperature) fit the classes best.

    It changes no prediction, only how sure each one is. The cross-entropy is convex in 1 / temperature, so a bounded
    one-dimensional search finds the minimum; targets are smoothed as in Platt's scaling, so that there is a finite one
    where every image is classified correctly.

    Parameters
    ----------
    scores : ndarray of shape (n_images, n_classes)
        Scores of images that were not fitted on (left out, or cross-validated).
    codes : int ndarray of shape (n_images,)
        True classes, 0 … n_classes - 1.

    Returns
    -------
    float
        Between a thousandth and a thousand times the scores' spread; 1.0 where the scores have none.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017.
    Platt, "Probabilistic outputs for support vector machines", 1999 (the smoothed targets, section 2.2).
    """
    n_images, n_classes = scores.shape
    spread = float((scores - scores.mean(axis=1, keepdims=True)).std()) if n_images else 0.0
    if spread == 0.0:
        return 1.0
    smoothed = np.full(scores.shape, 1.0 / (n_images + n_classes))
    smoothed[np.arange(n_images), codes] = (n_images + 1.0) / (n_images + n_classes)

    def cross_entropy(log_ratio: float) -> float:
        return float(-(smoothed * log_softmax(scores / (spread * np.exp(log_ratio)), axis=1)).sum() / n_images)

    search = minimize_scalar(cross_entropy, bounds=(np.log(1e-3), np.log(1e3)), method="bounded")
    return spread * float(np.exp(search.x))
