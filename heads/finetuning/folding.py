"""A linear head, scaler and all, as one matrix and one bias: what a network's own classifier can hold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import LinearSVC

from headstart.heads.errors import HeadError
from headstart.heads.estimators import (
    CosineClassifier,
    NearestMeanClassifier,
    RidgeSoftmaxClassifier,
    ShrunkDiscriminantClassifier,
)

Doubles = NDArray[np.float64]

_AFFINE = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PCA, IncrementalPCA, TruncatedSVD)


def fold_linear(model: Any, n_classes: int, name: str) -> tuple[Doubles, Doubles]:
    """Return weights and bias of a linear layer that says what a fitted head says.

    Parameters
    ----------
    model : fitted scikit-learn classifier
        A linear head, alone or behind a `StandardScaler` or a linear projection.
    n_classes : int
        Rows wanted; a class that the head never saw gets no probability.
    name : str
        Of the head, for the message.

    Returns
    -------
    weights : float64 ndarray of shape (n_classes, n_features)
    bias : float64 ndarray of shape (n_classes,)
        The softmax of ``features @ weights.T + bias`` are the head's probabilities; of heads without probabilities, the
        largest is the head's class.

    Raises
    ------
    HeadError
        The head is not linear in the features.
    """
    *before, last = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    weights, bias = _linear_part(last, name)
    for step in reversed(before):
        matrix, shift = _affine_part(step, name)
        bias = bias + weights @ shift
        weights = weights @ matrix
    present = np.asarray(last.classes_).astype(np.intp)
    whole, offset = np.zeros((n_classes, weights.shape[1])), np.full(n_classes, -1e4)
    whole[present], offset[present] = weights, bias
    return whole, offset


def _linear_part(head: Any, name: str) -> tuple[Doubles, Doubles]:
    """Return weights (n_classes, n_features) and bias of the last step."""
    if isinstance(head, RidgeSoftmaxClassifier | ShrunkDiscriminantClassifier):
        weights, bias = head.coef_.T, head.intercept_
    elif isinstance(head, LogisticRegression | LinearDiscriminantAnalysis | LinearSVC | RidgeClassifier):
        weights, bias = np.atleast_2d(head.coef_), np.ravel(head.intercept_)
    elif isinstance(head, NearestMeanClassifier):  # -|x - mean|², less the |x|² that all classes have
        weights = 2 * np.asarray(head.means_, np.float64)
        bias = np.einsum("ij,ij->i", weights, weights) / -4
    elif isinstance(head, CosineClassifier):
        weights = head.scale_ * np.asarray(head.directions_, np.float64)
        bias = np.zeros(len(weights))
    elif hasattr(head, "coefs_") and len(head.coefs_) == 1:  # one layer that torch has trained
        weights, bias = head.coefs_[0].T, head.intercepts_[0]
    else:
        raise _refused(head, name)
    scale = 1.0 / float(getattr(head, "temperature_", 1.0))
    weights, bias = scale * np.asarray(weights, np.float64), scale * np.asarray(bias, np.float64)
    if len(weights) == 1:  # of two classes, the score of the second over the first
        return np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return weights, bias


def _affine_part(step: Any, name: str) -> tuple[Doubles, Doubles]:
    """Return matrix and shift of a step that comes before: ``matrix @ features + shift``."""
    if not isinstance(step, _AFFINE) or getattr(step, "clip", False):
        raise _refused(step, name)
    basis = np.eye(step.n_features_in_)
    shift = np.asarray(step.transform(np.zeros_like(basis[:1])), np.float64)
    return (step.transform(basis) - shift).T, shift[0]


def _refused(part: Any, name: str) -> HeadError:
    return HeadError(
        f"{name}: a {type(part).__name__} is not linear in the features, so that no classifier of a network says the "
        "same; fit logreg, ridge, linear-svm, lda or linear-torch"
    )
