"""A support vector machine with an RBF kernel: scikit-learn's libsvm fits it, numpy predicts."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import gen_batches
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.heads.errors import DataError
from headstart.heads.estimators.weighting import ClassWeight, weights_by_class

Doubles = NDArray[np.float64]

_KERNEL_VALUES = 4_000_000
"""Kernel values held at once in prediction: 32 MB."""


class RbfSupportVectorClassifier(ClassifierMixin, BaseEstimator):
    """One-against-one support vector machines with the kernel exp(-gamma |a - b|²).

    Its labels are those of scikit-learn's `SVC(break_ties=True)`. It gives none of SVC's probabilities: libsvm fits
    them by a cross-validation of its own, five more fits, and they can contradict the labels.
    Prediction is a few matrix products here: libsvm takes several times as long, and reads memory by numbers that a
    saved model would bring along.

    Parameters
    ----------
    C : float, default=1.0
        Weight of the errors against the width of the margin, above 0.
    gamma_factor : float, default=1.0
        gamma in units of scikit-learn's "scale", which is 1 / (n_features * variance of X); above 0.
    max_images : int, default=20000
        More images than this are refused: time grows with nearly the square of their number, and with 8000 of 512
        features one fit takes some 10 s already.
    class_weight : "balanced", mapping of label to float, or None, default=None
        How much an image of each class counts, as in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels seen by `fit`, sorted.
    gamma_ : float
    support_vectors_ : ndarray of shape (n_support, n_features)
        Class by class, in the dtype of the features fitted.
    n_support_ : int ndarray of shape (n_classes,)
        Support vectors of each class.
    dual_coef_ : float64 ndarray of shape (n_classes - 1, n_support)
        A support vector's weight against each of the other classes, in their order.
    intercept_ : float64 ndarray of shape (n_classes * (n_classes - 1) / 2,)
        Of the pairs (0, 1), (0, 2), …, (1, 2), …; a positive decision is for the first of a pair.

    References
    ----------
    Chang & Lin, "LIBSVM: a library for support vector machines", 2011 (section 7: one against one).
    """

    class_weight: ClassWeight = None  # also of models that were saved before there were weights

    def __init__(
        self,
        C: float = 1.0,
        *,
        gamma_factor: float = 1.0,
        max_images: int = 20_000,
        class_weight: ClassWeight = None,
    ) -> None:
        self.C = C
        self.gamma_factor = gamma_factor
        self.max_images = max_images
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features), standardised best, and labels `y` of shape (n_images,).

        Raises
        ------
        ValueError
            A parameter is out of its range, or `y` holds a single class.
        DataError
            There are more images than `max_images`.
        """
        features, labels = validate_data(self, X, y, dtype=[np.float32, np.float64], order="C")
        check_classification_targets(labels)
        if not self.gamma_factor > 0:
            raise ValueError(f"gamma_factor is {self.gamma_factor!r}, expected a number above 0")
        if len(features) > self.max_images:
            raise DataError(
                f"svm-rbf: {len(features)} images, expected at most {self.max_images}, because its time grows with "
                "nearly the square of their number; use linear-svm or logreg, or raise max_images"
            )
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes, found one class: {self.classes_[0]!r}")
        spread = float(features.var(dtype=np.float64))
        self.gamma_ = self.gamma_factor / (features.shape[1] * (spread or 1.0))
        weights = weights_by_class(self.class_weight, self.classes_, codes)
        of_codes = None if weights is None else dict(enumerate(weights.tolist()))
        fitted = SVC(C=self.C, gamma=self.gamma_, class_weight=of_codes).fit(features, codes)
        sign = -1.0 if len(self.classes_) == 2 else 1.0  # for two classes alone scikit-learn counts for the second
        self.support_vectors_ = np.asarray(fitted.support_vectors_, dtype=features.dtype)
        self.n_support_ = np.asarray(fitted.n_support_)
        self.dual_coef_, self.intercept_ = sign * fitted.dual_coef_, sign * fitted.intercept_
        return self

    def decision_function(self, X: ArrayLike) -> Doubles:
        """Return each class's won duels, ties told apart by their sums, (n_images, n_classes).

        For two classes the decision for the second, (n_images,).
        """
        check_is_fitted(self)
        features = validate_data(self, X, reset=False, dtype=np.float64)
        n_classes = len(self.classes_)
        rows = max(1, _KERNEL_VALUES // max(len(self.support_vectors_), n_classes**2))
        parts = [self._duels(features[part]) for part in gen_batches(len(features), rows)]
        if n_classes == 2:
            return np.concatenate([duels[:, 1, 0] for duels in parts])
        return np.concatenate([_scores(duels) for duels in parts])

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the label that wins most duels, (n_images,)."""
        scores = self.decision_function(X)
        return np.asarray(self.classes_[scores.argmax(axis=1) if scores.ndim == 2 else (scores > 0).astype(int)])

    def _duels(self, X: Doubles) -> Doubles:
        """Return the decision for class i against class j, (n_images, n_classes, n_classes); i against i is 0."""
        n_classes = len(self.classes_)
        kernel = rbf_kernel(X, self.support_vectors_.astype(np.float64), gamma=self.gamma_)
        ends = np.cumsum(self.n_support_)
        shares = np.zeros((len(X), n_classes, n_classes))
        for code, (start, end) in enumerate(zip(ends - self.n_support_, ends, strict=True)):
            others = np.flatnonzero(np.arange(n_classes) != code)
            shares[:, code, others] = kernel[:, start:end] @ self.dual_coef_[:, start:end].T
        first, second = np.triu_indices(n_classes, k=1)
        decisions = shares[:, first, second] + shares[:, second, first] + self.intercept_
        duels = np.zeros_like(shares)
        duels[:, first, second], duels[:, second, first] = decisions, -decisions
        return duels


def _scores(duels: Doubles) -> Doubles:
    """Return won duels plus a share below a half that orders classes of equally many."""
    sums = duels.sum(axis=2)
    return np.asarray((duels > 0).sum(axis=2) + sums / (3.0 * (np.abs(sums) + 1.0)))


def make_svm_rbf(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted support vector machine with an RBF kernel on standardised features."""
    return make_pipeline(StandardScaler(), RbfSupportVectorClassifier(**params))
