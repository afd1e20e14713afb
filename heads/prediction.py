"""Predictions of a fitted head: numbers, or classes with one probability column each whatever its fold held."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from headstart.heads.errors import DataError


def predict(model: Any, features: Any, n_classes: int) -> tuple[NDArray[np.intp], NDArray[np.float64] | None]:
    """Return the predicted classes and, where the head gives them, every class's probability.

    Parameters
    ----------
    model : fitted scikit-learn classifier
        Fitted on class numbers 0 … n_classes - 1, though not necessarily on all of them.
    features : ndarray of shape (n_images, n_features)
        Any float dtype; of a tail, maps (n_images, …), or what reads them by row numbers.
    n_classes : int
        Columns wanted; a class that the model never saw has probability 0.

    Returns
    -------
    classes : int ndarray of shape (n_images,)
    probability : float64 ndarray of shape (n_images, n_classes), or None
        None for heads without `predict_proba`, such as linear-svm.
    """
    # Maps that lie on a disk are no array: a tail reads them a few at a time.
    X: Any = np.ascontiguousarray(features, dtype=np.float32) if isinstance(features, np.ndarray) else features
    classes = np.asarray(model.predict(X)).astype(np.intp)
    if not hasattr(model, "predict_proba"):
        return classes, None
    return classes, widen_classes(model.predict_proba(X), np.asarray(model.classes_).astype(np.intp), n_classes)


def class_scores(model: Any, features: Any, n_classes: int) -> NDArray[np.float64] | None:
    """Return scores of all classes, (n_images, n_classes), each row summing to 1: probabilities, where there are any.

    Of decisions the softmax, which orders classes and images as they do and is no probability; None of a head that
    says nothing but a class. Parameters as for `predict`.
    """
    X: Any = np.ascontiguousarray(features, dtype=np.float32) if isinstance(features, np.ndarray) else features
    if hasattr(model, "predict_proba"):
        found = model.predict_proba(X)
    elif hasattr(model, "decision_function"):
        decisions = np.asarray(model.decision_function(X), dtype=np.float64)
        found = softmax(np.column_stack([-decisions, decisions]) if decisions.ndim == 1 else decisions, axis=1)
    else:
        return None
    return widen_classes(found, np.asarray(model.classes_).astype(np.intp), n_classes)


def widen_classes(probability: NDArray[Any], present: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """Return a column for each of all classes, float64 (n_images, n_classes), from those of the classes `present`."""
    widened = np.zeros((len(probability), n_classes))
    widened[:, present] = probability
    return widened


def predict_numbers(model: Any, features: NDArray[Any]) -> NDArray[np.float64]:
    """Return the number (n_images,) that a fitted scikit-learn regressor predicts from features (n_images, n_features).

    Raises
    ------
    DataError
        A number is not finite.
    """
    numbers = np.asarray(model.predict(np.ascontiguousarray(features, dtype=np.float32)), dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise DataError(
            f"{int((~np.isfinite(numbers)).sum())} of {len(numbers)} predicted numbers are not finite; try other "
            "hyper-parameters"
        )
    return numbers
