"""Linear discriminant analysis with a shrunk covariance, by one factorisation of the smaller Gram matrix."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.heads.estimators.softmax import Floats, SoftmaxClassifier
from headstart.heads.estimators.weighting import ClassWeight, weights_by_class

Doubles = NDArray[np.float64]


class ShrunkDiscriminantClassifier(SoftmaxClassifier):
    """Gaussian classes of one covariance S, shrunk to (1 - s) S + s m I, where m is the mean of S's diagonal.

    Its probabilities are those of scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr", shrinkage=s)`, which solves
    by a singular value decomposition of the features' covariance: with 3000 features that takes minutes, and with
    fewer images than features no such matrix is needed.

    Parameters
    ----------
    shrinkage : float, default=0.5
        s, above 0 and at most 1.
    class_weight : "balanced", mapping of label to float, or None, default=None
        How much an image of each class counts, as in scikit-learn. by their priors
        and the parts of S: as scikit-learn does where the weighed shares are its `priors`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels seen by `fit`, sorted.
    coef_ : ndarray of shape (n_features, n_classes)
        Weights.
    intercept_ : ndarray of shape (n_classes,)
        The score where every feature is 0.
    temperature_ : float
        1: the scores are log-probabilities up to a constant.

    References
    ----------
    Friedman, "Regularized discriminant analysis", JASA 84, 1989 (the shrunk covariance). Hastie, Tibshirani & Friedman,
    "The elements of statistical learning", 2nd ed., section 4.3 (the scores).
    """

    coef_: Doubles
    intercept_: Doubles

    def __init__(self, shrinkage: float = 0.5, *, class_weight: ClassWeight = None) -> None:
        self.shrinkage = shrinkage
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and labels `y` of shape (n_images,).

        Raises
        ------
        ValueError
            `shrinkage` is out of its range, or `y` holds a single class.
        """
        self.check_shrinkage()
        features, codes = self._checked_input(X, y, np.float64)
        counts = np.bincount(codes)
        means = np.stack([features[codes == code].mean(axis=0) for code in range(len(counts))])
        weights = self.relative_weights(counts)
        centred = features - means[codes]
        if self.class_weight is not None:
            centred *= np.sqrt(weights)[codes, None]
        self.coef_ = _solve(centred, means.T, self.shrinkage)
        self.intercept_ = np.log(weights * counts / len(codes)) - 0.5 * np.einsum("ij,ji->i", means, self.coef_)
        self.temperature_ = 1.0
        return self

    def relative_weights(self, counts: NDArray[np.intp]) -> Doubles:
        """Return the classes' weights (n_classes,), of which an image has 1 on average; `classes_` are known."""
        weights = weights_by_class(self.class_weight, self.classes_, np.repeat(np.arange(len(counts)), counts))
        return np.ones(len(counts)) if weights is None else weights * counts.sum() / (weights @ counts)

    def check_shrinkage(self) -> None:
        """Raise ValueError where `shrinkage` is out of its range."""
        if not 0 < self.shrinkage <= 1:
            raise ValueError(f"shrinkage is {self.shrinkage!r}, expected above 0 and at most 1")

    def _scores(self, X: Floats) -> Doubles:
        return np.asarray(X @ self.coef_ + self.intercept_)


def _solve(centred: Doubles, means: Doubles, shrinkage: float) -> Doubles:
    """Return W (n_features, n_classes) of ((1 - s) S + s m I) W = means, where S = ZᵀZ / n_images of the centred Z.

    With fewer images than features by Woodbury: (bI + a ZᵀZ)⁻¹ = (I - Zᵀ (b/a I + ZZᵀ)⁻¹ Z) / b, an
    n_images × n_images system.
    """
    n_images, n_features = centred.shape
    scale = float(np.einsum("ij,ij->", centred, centred)) / n_images / n_features
    # With one image a class, or copies alone, nothing varies within: any ridge gives the direction of the means.
    ridge = shrinkage * scale or 1.0
    weight = (1.0 - shrinkage) / n_images
    if n_features <= n_images:
        covariance = weight * (centred.T @ centred) + ridge * np.eye(n_features)
        return np.asarray(cho_solve(cho_factor(covariance), means))
    inner = weight * (centred @ centred.T) + ridge * np.eye(n_images)
    return np.asarray((means - weight * (centred.T @ cho_solve(cho_factor(inner), centred @ means))) / ridge)


def make_lda(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted discriminant analysis on standardised features, with a covariance shrunk to the identity."""
    return make_pipeline(StandardScaler(), ShrunkDiscriminantClassifier(**params))
