"""Ridge regression: on class targets, with probabilities calibrated on its exact leave-one-out scores; on numbers."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data

from headstart.heads.estimators.softmax import Floats, SoftmaxClassifier, fit_temperature
from headstart.heads.estimators.weighting import ClassWeight
from headstart.heads.views import Views, refuse_torn

Doubles = NDArray[np.float64]

MOST_LEFT_OUT = 4096
"""Images that a temperature is fitted on; one number needs no more."""


class RidgeSoftmaxClassifier(SoftmaxClassifier):
    """Least squares on targets -1 and +1 with an L2 penalty, and probabilities.

    Its labels are those of scikit-learn's `RidgeClassifier`. A squared loss knows no probabilities: here a softmax at
    one fitted temperature gives them. The temperature is fitted on leave-one-out scores, which for ridge regression
    follow from a single fit.
    Groups are not known here: where images have near copies, what is left out is not new and probabilities are too
    sure.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty, above 0; features are best standardised.
    views : int, default=1
        Rows of one image, which follow each other: they are left out together.
    class_weight : "balanced", mapping of label to float, or None, default=None
        How much an image of each class counts, as in scikit-learn.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels seen by `fit`, sorted.
    coef_ : ndarray of shape (n_features, n_classes)
        Weights; for two classes the columns are each other's negative.
    intercept_ : ndarray of shape (n_classes,)
        The score where every feature is 0.
    temperature_ : float
        What the scores are divided by before the softmax.

    References
    ----------
    Hastie, Tibshirani & Friedman, "The elements of statistical learning", 2nd ed., sections 3.4.1 and 7.10.1
    (leave-one-out of a linear smoother).
    """

    coef_: Doubles
    intercept_: Doubles

    def __init__(self, alpha: float = 1.0, *, views: int = 1, class_weight: ClassWeight = None) -> None:
        self.alpha = alpha
        self.views = views
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and labels `y` of shape (n_images,).

        Raises
        ------
        ValueError
            `alpha` is not above 0, `y` holds a single class, or the rows are no images of `views` rows each.
        """
        self.check_alpha()
        features, codes = self._checked_input(X, y, np.float64)
        targets = class_targets(codes, len(self.classes_))
        weights = self._image_weights(codes)
        feature_mean, target_mean = (np.average(each, axis=0, weights=weights) for each in (features, targets))
        centred, wanted = features - feature_mean, targets - target_mean
        if weights is not None:
            centred, wanted = (np.sqrt(weights)[:, None] * each for each in (centred, wanted))
        rows = left_out_rows(len(codes), self.views)
        self.coef_, leverage = _solve(centred, wanted, self.alpha, rows, self.views)
        self.intercept_ = target_mean - feature_mean @ self.coef_
        leave_out = left_out_scores if self.views == 1 else left_out_together
        leverage = leverage + intercept_leverage(weights, rows, len(codes), self.views)
        left_out = leave_out(targets[rows].T, self._scores(features[rows]).T, leverage).T
        self.temperature_ = fit_temperature(left_out, codes[rows], len(codes))
        return self

    def check_alpha(self) -> None:
        """Raise ValueError where `alpha` is not above 0."""
        if not self.alpha > 0:
            raise ValueError(f"alpha is {self.alpha!r}, expected a number above 0")

    def _scores(self, X: Floats) -> Doubles:
        return np.asarray(X @ self.coef_ + self.intercept_)


def class_targets(codes: NDArray[np.intp], n_classes: int) -> Doubles:
    """Return the targets of the scores, (n_images, n_classes): 1 for an image's own class, -1 for the others."""
    return np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)


def intercept_leverage(weights: Doubles | None, rows: NDArray[np.intp], n_rows: int, views: int) -> Any:
    """Return the part of an unpenalised intercept in the leverages of some rows, or of images of several `views`."""
    if weights is None:
        return 1.0 / n_rows
    own = weights[rows] / weights.sum()
    return own if views == 1 else own[::views, None, None]


def left_out_rows(n_rows: int, views: int = 1) -> NDArray[np.intp]:
    """Return the rows of the images that a temperature is fitted on, ascending, the same for the same number.

    Raises
    ------
    ValueError
        They are no images of `views` rows each.
    """
    refuse_torn(n_rows, views)
    n_images, most = n_rows // views, MOST_LEFT_OUT // views
    if n_images <= most:
        return np.arange(n_rows)
    # Drawn, for an even step could meet a period in the order of the images.
    return Views(views).to_fit(np.sort(np.random.default_rng(0).choice(n_images, most, replace=False)))


def left_out_scores(targets: Floats, scores: Floats, leverage: Floats) -> Floats:
    """Return the scores that each image has from a fit without it, given those of the fit with it.

    Parameters
    ----------
    targets : ndarray of shape (n_classes, n_images)
    scores : ndarray of shape (..., n_classes, n_images)
    leverage : ndarray of shape (..., n_images)
        That of centred features, and the intercept's: 1 / the number of images that were fitted on.
    """
    left = np.maximum(1.0 - leverage, 1e-10)  # with a tiny alpha one image can fix its own score: nothing is left
    return np.asarray(targets - (targets - scores) / left[..., None, :])


def left_out_together(targets: Floats, scores: Floats, leverages: Floats) -> Floats:
    """Return the scores that the rows of each image have from a fit without all of them.

    Of residuals r of an image and its block H of the smoother, those without it are (I - H)⁻¹ r.

    Parameters
    ----------
    targets : ndarray of shape (n_classes, n_images * views)
    scores : ndarray of shape (..., n_classes, n_images * views)
    leverages : ndarray of shape (..., n_images, views, views)
        Of the rows of each image on each other, the intercept's included.
    """
    n_images, views = leverages.shape[-3:-1]
    gaps = np.moveaxis((targets - scores).reshape(*scores.shape[:-1], n_images, views), -3, -1)
    # Never quite singular: with a tiny alpha one image can fix its own scores.
    solved = np.linalg.solve((1.0 + 1e-10) * np.eye(views) - leverages, gaps)
    return np.asarray(targets - np.moveaxis(solved, -1, -3).reshape(scores.shape))


def _solve(
    features: Doubles, targets: Doubles, alpha: float, rows: NDArray[np.intp], views: int
) -> tuple[Doubles, Doubles]:
    """Return ridge weights (n_features, n_classes) and the leverages of some rows (n_rows,), for centred input.

    With several views of each image, leverages are (n_images, views, views): those of its rows on each other.
    The leverage is the diagonal of X (XᵀX + aI)⁻¹ Xᵀ. The smaller of the two Gram matrices is factorised:
    (XᵀX + aI)⁻¹ Xᵀ = Xᵀ (XXᵀ + aI)⁻¹.
    """
    n_images, n_features = features.shape
    if n_features <= n_images:
        inverse = _inverse(features.T @ features, alpha)
        weights = inverse @ (features.T @ targets)
        if views > 1:
            known = features[rows].reshape(-1, views, n_features)
            return weights, (known @ inverse) @ known.swapaxes(1, 2)
        return weights, np.einsum("ij,ij->i", features[rows] @ inverse, features[rows])
    inverse = _inverse(features @ features.T, alpha)
    weights = features.T @ (inverse @ targets)
    if views > 1:
        own = rows.reshape(-1, views)
        return weights, np.eye(views) - alpha * inverse[own[:, :, None], own[:, None, :]]
    return weights, 1.0 - alpha * np.diagonal(inverse)[rows]


def _inverse(gram: Doubles, alpha: float) -> Doubles:
    identity = np.eye(len(gram))
    return np.asarray(cho_solve(cho_factor(gram + alpha * identity), identity))


class RidgeRegressor(Ridge):
    """scikit-learn's `Ridge`, fitted in float64: in float32 it would round the targets, which may lie far from 0.

    Parameters
    ----------
    alpha : float, default=1.0
        Strength of the penalty; features are best standardised.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha)

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and numbers `y` of shape (n_images,).

        Raises
        ------
        ValueError
            `alpha` is below 0.
        """
        features, numbers = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
        super().fit(features, numbers)
        self.n_iter_ = 1  # solved directly; scikit-learn's None is no number of iterations
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False  # embeddings are dense
        return tags


def make_ridge(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted ridge head on standardised features."""
    return make_pipeline(StandardScaler(), RidgeSoftmaxClassifier(**params))


def make_ridge_regressor(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted ridge regression on standardised features."""
    return make_pipeline(StandardScaler(), RidgeRegressor(**params))
