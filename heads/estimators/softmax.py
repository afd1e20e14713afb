"""Common part of the project's own heads: one score per class, the highest wins, and a softmax makes probabilities."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.heads.estimators.weighting import ClassWeight, weights_by_class
from headstart.heads.row_by_row import ask_rows

Floats = NDArray[np.floating[Any]]

Doubles = NDArray[np.float64]

LIKELY_SHARPNESS = 3.0  # spread / temperature of a head that knows something
ROOT_TOLERANCE = 1e-5  # of a temperature's logarithm; Newton's last step leaves about its square
SCORES_AT_ONCE = 160_000  # they and as many weights are 1.3 MB of float32


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
    class_weight: ClassWeight = None  # also of models that were saved before there were weights

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and labels `y` of shape (n_images,)."""
        raise NotImplementedError

    def _scores(self, X: Floats) -> Floats:
        """Return the scores (n_images, n_classes) of checked features (n_images, n_features)."""
        raise NotImplementedError

    def decision_function(self, X: ArrayLike) -> Doubles:
        """Return the scores, (n_images, n_classes); for two classes those of the second over the first, (n_images,)."""
        scores = self._checked_scores(X)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the label with the highest score, (n_images,)."""
        scores = self._checked_scores(X)
        return np.asarray(self.classes_[scores.argmax(axis=1)])

    def predict_proba(self, X: ArrayLike) -> Doubles:
        """Return the probability of each class, (n_images, n_classes), in the order of `classes_`."""
        return np.asarray(softmax(self._checked_scores(X) / self.temperature_, axis=1))

    def _checked_scores(self, X: ArrayLike) -> Doubles:
        check_is_fitted(self)
        return ask_rows(self._scores, validate_data(self, X, reset=False, dtype=[np.float32, np.float64]))

    def _checked_input(self, X: ArrayLike, y: ArrayLike, dtype: Any) -> tuple[Floats, NDArray[np.intp]]:
        """Check what `fit` was given, set `classes_`, and return X in `dtype` and each image's class number."""
        features, labels = validate_data(self, X, y, dtype=dtype, order="C")
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes, found one class: {self.classes_[0]!r}")
        return features, codes

    def _image_weights(self, codes: NDArray[np.intp]) -> Doubles | None:
        """Return how much each image counts by its class number, (n_images,); None where all count alike."""
        of_class = weights_by_class(self.class_weight, self.classes_, codes)
        return None if of_class is None else of_class[codes]


def fit_temperature(scores: Floats, codes: NDArray[np.intp], n_known: int | None = None) -> float:
    """Return the temperature that makes softmax(scores / temperature) fit the classes best.

    It changes no prediction, only how sure each one is. The cross-entropy is convex in 1 / temperature, so that it is
    least where its derivative is 0; targets are smoothed as in Platt's scaling, so that there is such a place where
    every image is classified correctly.

    Parameters
    ----------
    scores : ndarray of shape (n_images, n_classes)
        Scores of images that were not fitted on (left out, or cross-validated).
    codes : int ndarray of shape (n_images,)
        True classes, 0 … n_classes - 1.
    n_known : int or None
        Images that these are a sample of: it is their number that smooths the targets. None where these are all.

    Returns
    -------
    float
        Between a thousandth and a thousand times the scores' spread; 1.0 where the scores have none.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017.
    Platt, "Probabilistic outputs for support vector machines", 1999 (the smoothed targets, section 2.2).
    """
    return float(fit_temperatures(scores.T[None], codes, n_known)[0])


def fit_temperatures(scores: Floats, codes: NDArray[np.intp], n_known: int | None = None) -> Doubles:
    """Return the temperature, as `fit_temperature`'s, of each of many sets of scores of the same images, (n_sets,).

    Parameters
    ----------
    scores : ndarray of shape (n_sets, n_classes, n_images)
        Classes before images: sums over a handful of classes then run along memory.
    codes : int ndarray of shape (n_images,)
    n_known : int or None
    """
    n_sets, n_classes, n_images = scores.shape
    # A few sets at a time, for they stay in the processor's cache; one at a time, the steps would be so short that
    # threads beside each other spend as long on handing over the interpreter.
    at_once = max(1, SCORES_AT_ONCE // max(1, n_classes * n_images))
    return np.concatenate(
        [_fit_some(scores[at : at + at_once], codes, n_known or n_images) for at in range(0, n_sets, at_once)]
    )


def _fit_some(scores: Floats, codes: NDArray[np.intp], n_known: int) -> Doubles:
    n_sets, n_classes, n_images = scores.shape
    temperatures = np.ones(n_sets)
    if n_images == 0:
        return temperatures
    logits = np.array(scores, order="C")
    logits -= logits.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.square(logits).mean(axis=(1, 2), dtype=np.float64))
    has_spread = spread > 0
    logits, spread = logits[has_spread], spread[has_spread]
    logits -= logits.max(axis=1, keepdims=True)
    logits /= spread.astype(logits.dtype)[:, None, None]
    # The smoothed target of a true class is (n_known + 1) / (n_known + n_classes), of any other 1 over the same.
    of_true = logits[:, codes, np.arange(n_images)].sum(axis=1, dtype=np.float64)
    wanted = (logits.sum(axis=(1, 2), dtype=np.float64) + n_known * of_true) / n_images / (n_known + n_classes)
    room = np.empty_like(logits)
    start = np.full(len(logits), LIKELY_SHARPNESS)
    sharpness = _positive_roots(lambda tried: _excess(logits, tried, wanted, room), start, 1e-3, 1e3)
    temperatures[has_spread] = spread / sharpness
    return temperatures


def _excess(logits: Floats, sharpness: Doubles, wanted: Doubles, room: Floats) -> tuple[Doubles, Doubles]:
    """Return log(wanted / found) and its derivative by the sharpness: `found` is the mean score the softmax expects.

    found - wanted is the cross-entropy's derivative; both are below 0. The logarithm of what decays like a power or an
    exponential is nearly a straight line, which Newton's method likes.

    Parameters
    ----------
    logits : ndarray of shape (n_sets, n_classes, n_images)
        At most 0.
    sharpness, wanted : ndarray of shape (n_sets,)
    room : ndarray of shape (n_sets, n_classes, n_images)
        Overwritten: fresh memory would cost more than the sums.
    """
    np.multiply(logits, sharpness.astype(logits.dtype)[:, None, None], out=room)
    np.exp(room, out=room)
    total = room.sum(axis=1)
    room *= logits
    mean = room.sum(axis=1) / total
    room *= logits
    variance = room.sum(axis=1) / total - mean * mean
    found = np.minimum(mean.mean(axis=1, dtype=np.float64), -1e-300)
    return np.log(wanted / found), variance.mean(axis=1, dtype=np.float64) / -found


def _positive_roots(
    function: Callable[[Doubles], tuple[Doubles, Doubles]], start: Doubles, low: float, high: float
) -> Doubles:
    """Return where growing functions are 0, or the end of [low, high] that is nearest to there.

    Newton's steps in the logarithm, with a bisection where one leaves the bracket or they do not halve in two.

    Parameters
    ----------
    function : callable
        Gives the functions' values and derivatives, each at its own place.
    start : ndarray of shape (n_functions,)
        Where to begin, between `low` and `high`.
    low, high : float
        Above 0.

    References
    ----------
    Press, Teukolsky, Vetterling & Flannery, "Numerical recipes", 3rd ed., section 9.4.
    """
    bottom, top = np.full(len(start), np.log(low)), np.full(len(start), np.log(high))
    place, last, before = np.log(start), top - bottom, top - bottom
    while (searching := np.abs(last) > ROOT_TOLERANCE).any():
        at = np.exp(place)
        value, slope = function(at)
        bottom, top = np.where(value < 0, place, bottom), np.where(value < 0, top, place)
        step = -value / np.maximum(at * slope, 1e-300)
        outside = (place + step < bottom) | (place + step > top)
        step = np.where(outside | (np.abs(step) > 0.5 * np.abs(before)), 0.5 * (bottom + top) - place, step)
        step = np.where(searching, step, 0.0)
        place, last, before = place + step, step, last
    return np.exp(place)
