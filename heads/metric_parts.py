"""What each image adds to a metric: metrics are functions of sums over images, and nearly linear in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.evaluate import SMALLEST_PROBABILITY, metrics_of_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

_KNOWN = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")  # what `gradient` has a branch for


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a candidate says of every image.

    Parameters
    ----------
    classes : int ndarray of shape (n_images,)
    probability : ndarray of shape (n_images, n_classes) or (n_images,), or None
        Of every class, or of the true class alone, which is all that a log-loss needs.
    """

    classes: NDArray[Any] = field(repr=False)
    probability: NDArray[Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class ScoredImages:
    """A candidate's predictions beside the true classes.

    Parameters
    ----------
    right, loss : float64 ndarray of shape (n_images,)
        1 where the class is right; minus the log probability of the true class, in nats, for the log-loss only.
    classes : int ndarray of shape (n_images,)
        The predicted ones.
    sums : float64 ndarray of shape (3 n_classes + 1,)
        As `heads.evaluate.metrics_of_sums` has them.
    """

    right: Doubles
    loss: Doubles
    classes: NDArray[Any]
    sums: Doubles

    def value(self, metric: str) -> float:
        """Return the metric over all images.

        Raises
        ------
        DataError
            The metric's parts are unknown.
        """
        _refuse_unknown(metric)
        return float(metrics_of_sums(self.sums[None], len(self.sums) // 3)[metric][0])

    def parts(self, y: NDArray[Any], slopes: Doubles) -> Doubles:
        """Return what each image (n_images,) adds to a metric with this `gradient` (3 n_classes + 1,)."""
        right, true, predicted = slopes[:-1].reshape(3, -1)
        return np.asarray(right[y] * self.right + true[y] + predicted[self.classes] + slopes[-1] * self.loss)


def score_images(metric: str, y: NDArray[Any], predictions: Predictions, n_classes: int) -> ScoredImages:
    """Put predictions beside the true classes `y` (n_images,).

    Raises
    ------
    DataError
        The metric's parts are unknown, there is no image, shapes do not agree, or a log-loss lacks probabilities.
    """
    _refuse_unknown(metric)
    classes, n_images = np.asarray(predictions.classes), len(y)
    if n_images == 0 or y.shape != (n_images,) or classes.shape != (n_images,):
        raise DataError(
            f"labels have shape {y.shape}, predictions {classes.shape}; expected (n_images,) of at least one"
        )
    loss = _losses(y, predictions.probability) if metric == "log_loss" else np.zeros(n_images)
    right = (classes == y).astype(np.float64)
    counts = [np.bincount(y, right, n_classes), np.bincount(y, None, n_classes), np.bincount(classes, None, n_classes)]
    return ScoredImages(right=right, loss=loss, classes=classes, sums=np.append(np.concatenate(counts), loss.sum()))


def _refuse_unknown(metric: str) -> None:
    if metric not in _KNOWN:
        raise _unknown(metric)


def _unknown(metric: str) -> DataError:
    return DataError(f"what an image adds to {metric!r} is unknown; expected one of {', '.join(_KNOWN)}")


def _losses(y: NDArray[Any], probability: NDArray[Any] | None) -> Doubles:
    if probability is None:
        raise DataError("a candidate without probabilities has no log_loss; compare it by another metric")
    of_true = np.asarray(probability, dtype=np.float64)
    if of_true.ndim not in (1, 2) or len(of_true) != len(y) or (of_true.ndim == 2 and of_true.shape[1] <= y.max()):
        raise DataError(f"probabilities have shape {of_true.shape}, expected ({len(y)}, n_classes) or ({len(y)},)")
    if of_true.ndim == 2:
        of_true = of_true[np.arange(len(y)), y]
    return np.asarray(-np.log(np.clip(of_true, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)))


def gradient(metric: str, sums: Doubles) -> Doubles:
    """Return the gradient of a metric in the sums (3 n_classes + 1,).

    No metric changes when all sums double, so over a candidate's own images the parts add up to 0 (Euler's theorem).

    Raises
    ------
    DataError
        The metric's parts are unknown.
    """
    right, true, predicted = sums[:-1].reshape(3, -1)
    n_images = true.sum()
    slopes = np.zeros((3, len(true)))
    if metric == "accuracy":
        slopes[0], slopes[1] = 1 / n_images, -right.sum() / n_images**2
    elif metric == "balanced_accuracy":
        there = true > 0
        slopes[0, there] = 1 / true[there] / there.sum()
        slopes[1, there] = -right[there] / true[there] ** 2 / there.sum()
    elif metric == "macro_f1":
        there = true + predicted > 0
        size = (true + predicted)[there]
        slopes[0, there] = 2 / size / there.sum()
        slopes[1:, there] = -2 * right[there] / size**2 / there.sum()
    elif metric == "log_loss":
        slopes[1] = -sums[-1] / n_images**2
    else:
        raise _unknown(metric)
    return np.append(slopes.ravel(), 1 / n_images if metric == "log_loss" else 0.0)
