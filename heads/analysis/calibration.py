"""How far probabilities can be taken at their word, and the temperature that mends them."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from headstart.heads.errors import DataError
from headstart.heads.estimators import SoftmaxClassifier, fit_temperature
from headstart.heads.scoring import SMALLEST_PROBABILITY, quantile, wilson

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Images of like confidence, the probability of the predicted class.

    Attributes
    ----------
    confidence, accuracy : float
        Means over the bin's images.
    count : int
    low, high : float
        Wilson's 95 % interval of the accuracy.
    """

    confidence: float
    accuracy: float
    count: int
    low: float
    high: float


@dataclass(frozen=True)
class CalibrationError:
    """The expected calibration error, and what of it is chance.

    Attributes
    ----------
    value : float
        Σ count / n_images · |accuracy - confidence| over bins of equally many images.
    by_chance : float
        The same, on average, of a head whose probabilities are exactly right. |…| never averages to 0, so that `value`
        is too large by up to this much, and more with few images or many bins; one near it says nothing against a head.
    """

    value: float
    by_chance: float


def reliability(y: ArrayLike, probability: ArrayLike, n_bins: int = BINS) -> list[Bin]:
    """Return bins of equally many images, least confident first.

    Images of one confidence share a bin, so that there can be fewer bins, and less even ones: k neighbours vote in
    k + 1 ways only.

    Parameters
    ----------
    y : int array of shape (n_images,)
        Classes, 0 … n_classes - 1.
    probability : array of shape (n_images, n_classes)
        Of images that were not fitted on; rows sum to 1.
    n_bins : int
        At least 1.

    Raises
    ------
    DataError
        Shapes do not agree, there is no image, or `n_bins` is out of range.
    """
    confidence, right = _confidence(y, probability)
    numbers, counts = _binned(confidence, n_bins)
    means = np.bincount(numbers, confidence) / counts, np.bincount(numbers, right) / counts
    ends = [wilson(share, count, quantile()) for share, count in zip(means[1].tolist(), counts.tolist(), strict=True)]
    columns = zip(means[0].tolist(), means[1].tolist(), counts.tolist(), ends, strict=True)
    return [Bin(sure, share, count, min(low, share), max(high, share)) for sure, share, count, (low, high) in columns]


def expected_calibration_error(
    y: ArrayLike, probability: ArrayLike, n_bins: int = BINS, *, seed: int = 0, n_resamples: int = 200
) -> CalibrationError:
    """Return the expected calibration error of the predicted class, and how much of it is chance.

    Parameters
    ----------
    y, probability, n_bins
        As for `reliability`.
    seed, n_resamples : int
        Of drawing, from the probabilities themselves, which images are right: that is a head that is calibrated.

    References
    ----------
    Nguyen & O'Connor, "Posterior calibration and exploratory analysis for natural language processing models", EMNLP
    2015 (bins of equally many). Bröcker & Smith, "Increasing the reliability of reliability diagrams", Weather and
    Forecasting 22, 2007 (drawing from the probabilities). Roelofs et al., "Mitigating bias in calibration error
    estimation", AISTATS 2022 (the bias).
    """
    confidence, right = _confidence(y, probability)
    numbers, _ = _binned(confidence, n_bins)

    def error(is_right: NDArray[Any]) -> float:
        return float(np.abs(np.bincount(numbers, is_right - confidence)).sum() / len(confidence))

    generator = np.random.default_rng(seed)
    drawn = [error(generator.random(len(confidence)) < confidence) for _ in range(n_resamples)]
    return CalibrationError(error(right), float(np.mean(drawn)))


def fit_temperature_on_oof(y: ArrayLike, probability: ArrayLike) -> float:
    """Return the temperature T that makes p ** (1 / T), scaled to sum to 1, fit the classes best.

    Above 1 the head was too sure, below 1 not sure enough. Fitted on the probabilities that chose the head, it holds
    for the head fitted on all of train, whose scores on its own images would say nothing.

    Parameters
    ----------
    y, probability
        As for `reliability`, of images that were not fitted on: those of all folds together, or of val. What is below
        2.2e-16 counts as that, as in the log-loss.
    """
    _confidence(y, probability)
    return fit_temperature(_logarithms(probability), np.asarray(y).astype(np.intp))


def temper(probability: ArrayLike, temperature: float) -> Doubles:
    """Return p ** (1 / temperature), scaled to sum to 1 in each row; the predicted classes stay."""
    return np.asarray(softmax(_logarithms(probability) / temperature, axis=1))


def with_temperature(model: Any, temperature: float) -> Any:
    """Return a copy of a fitted head whose probabilities are `temper`'s of its own; its classes stay.

    Its scores are divided by the temperature where they are made, in the weights of logistic regression and in the
    `temperature_` of the project's own heads: no type is added, and what is saved is as before.

    Parameters
    ----------
    model : fitted scikit-learn classifier
        Or a pipeline that ends in one.
    temperature : float
        Above 0.

    Raises
    ------
    DataError
        The head has no scores to divide, as with neighbours that vote; `temper` its probabilities instead.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - whoever draws a diagram need not wait for it

    scaled = copy.deepcopy(model)
    head = scaled[-1] if hasattr(scaled, "steps") else scaled
    if not temperature > 0:
        raise DataError(f"temperature is {temperature!r}, expected above 0")
    if isinstance(head, SoftmaxClassifier):
        head.temperature_ = head.temperature_ * temperature
    elif isinstance(head, LogisticRegression):
        head.coef_ = head.coef_ / temperature
        head.intercept_ = head.intercept_ / temperature
    else:
        raise DataError(f"{type(head).__name__} has no scores that a temperature could divide; temper() its output")
    return scaled


def _confidence(y: ArrayLike, probability: ArrayLike) -> tuple[Doubles, Doubles]:
    """Return the probability of the predicted class, and 1 where it is the true one, (n_images,) each."""
    labels, columns = np.asarray(y), np.asarray(probability, dtype=np.float64)
    if columns.ndim != 2 or labels.shape != columns.shape[:1] or not len(labels) or not np.isfinite(columns).all():
        raise DataError(
            f"labels have shape {labels.shape}, probabilities {columns.shape}; expected (n_images,) of at least one "
            "and finite (n_images, n_classes)"
        )
    predicted = columns.argmax(axis=1)
    return columns[np.arange(len(labels)), predicted], (predicted == labels).astype(np.float64)


def _binned(confidence: Doubles, n_bins: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the bin of each image, those without images left out, and the images in each bin."""
    if n_bins < 1:
        raise DataError(f"n_bins is {n_bins!r}, expected at least 1")
    first = np.sort(confidence)[len(confidence) * np.arange(1, n_bins) // n_bins]  # of each bin but the lowest
    places = np.searchsorted(first, confidence, side="right")
    _, numbers, counts = np.unique(places, return_inverse=True, return_counts=True)
    return numbers, counts


def _logarithms(probability: ArrayLike) -> Doubles:
    return np.log(np.maximum(np.asarray(probability, dtype=np.float64), SMALLEST_PROBABILITY))
