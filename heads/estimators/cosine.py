"""A linear classifier of which only the angles count."""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, normalize

from headstart.heads.estimators.softmax import Floats, SoftmaxClassifier
from headstart.heads.estimators.weighting import ClassWeight

Doubles = NDArray[np.float64]


class CosineClassifier(SoftmaxClassifier):
    """Softmax over scale * cos(image, class weight): all classes have weights of one length, and no intercept.

    No class can win by a longer weight vector, as classes with many images do in logistic regression. It is
    Baseline++ without its random mini-batches: from the directions of the class means, L-BFGS minimises

        C * (sum of the images' cross-entropies) + n_classes * scale² / 2

    over the weights' directions and the scale. That is scikit-learn's objective of logistic regression, whose weights
    are all of length `scale`. It is not convex; the start decides, and is always the same.

    Parameters
    ----------
    C : float, default=10.0
        Weight of the images against the penalty on the scale, above 0.
    max_iter : int, default=500
        Iterations of L-BFGS, at least 1.
    class_weight : "balanced", mapping of label to float, or None, default=None
        How much an image of each class counts, as in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels seen by `fit`, sorted.
    directions_ : ndarray of shape (n_classes, n_features)
        The classes' weights, of unit length.
    scale_ : float
        What cosines are multiplied by.
    n_iter_ : int
        Iterations taken.
    temperature_ : float
        1: the scores are log-probabilities up to a constant.

    References
    ----------
    Chen, Liu, Kira, Wang & Huang, "A closer look at few-shot classification", ICLR 2019 (Baseline++).
    """

    directions_: Floats
    scale_: float

    def __init__(self, C: float = 10.0, *, max_iter: int = 500, class_weight: ClassWeight = None) -> None:
        self.C = C
        self.max_iter = max_iter
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features), rows of unit length, and labels `y` of shape (n_images,).

        Raises
        ------
        ValueError
            A parameter is out of its range, or `y` holds a single class.
        """
        if not self.C > 0:
            raise ValueError(f"C is {self.C!r}, expected a number above 0")
        if self.max_iter < 1:
            raise ValueError(f"max_iter is {self.max_iter!r}, expected at least 1")
        features, codes = self._checked_input(X, y, [np.float32, np.float64])
        shape = (len(self.classes_), features.shape[1])
        means = np.stack([features[codes == code].mean(axis=0, dtype=np.float64) for code in range(shape[0])])
        means[~means.any(axis=1)] = 1.0  # no direction at all: any will do
        weights = self._image_weights(codes)
        total = len(codes) if weights is None else float(weights.sum())
        found = minimize(
            _loss,
            np.append(normalize(means), 1.0),
            args=(features, codes, shape, shape[0] / (self.C * total), weights),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.max_iter, "gtol": 1e-5, "ftol": 1e-10},
        )
        if not found.success:
            warnings.warn(
                f"cosine: no minimum after {found.nit} iterations ({found.message.strip()}); raise max_iter or lower C",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.directions_ = normalize(found.x[:-1].reshape(shape)).astype(features.dtype)
        self.scale_, self.n_iter_ = float(found.x[-1]), max(1, int(found.nit))
        self.temperature_ = 1.0
        return self

    def _scores(self, X: Floats) -> Floats:
        return np.asarray(self.scale_ * (X @ self.directions_.T))


def _loss(
    variables: Doubles,
    features: Floats,
    codes: NDArray[np.intp],
    shape: tuple[int, int],
    penalty: float,
    weights: Doubles | None,
) -> tuple[float, Doubles]:
    """Return mean cross-entropy + penalty * scale² / 2 and its gradient.

    `variables` are the weights (n_classes, n_features), of which only the directions count, and the scale. The mean is
    weighed by `weights` (n_images,), where there are any.
    """
    rows, scale = variables[:-1].reshape(shape), float(variables[-1])
    lengths = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    directions = rows / lengths
    n_images = len(features)
    # The two products are what takes the time: they run in the features' own dtype, all else in float64.
    cosines = (features @ directions.T.astype(features.dtype)).astype(np.float64)
    log_probability = log_softmax(scale * cosines, axis=1)
    residual = np.exp(log_probability)
    residual[np.arange(n_images), codes] -= 1.0
    losses = -log_probability[np.arange(n_images), codes]
    if weights is not None:
        shares = weights / weights.mean()
        losses *= shares
        residual *= shares[:, None]
    loss = losses.mean() + 0.5 * penalty * scale**2
    along = scale / n_images * (residual.T.astype(features.dtype) @ features).astype(np.float64)
    across = (along - (along * directions).sum(axis=1, keepdims=True) * directions) / lengths
    return float(loss), np.append(across, (residual * cosines).sum() / n_images + penalty * scale)


def make_cosine(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted cosine classifier on features of unit length."""
    return make_pipeline(Normalizer(), CosineClassifier(**params))
