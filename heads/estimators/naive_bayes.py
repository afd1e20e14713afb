"""Gaussian naive Bayes, with probabilities that are not sure beyond reason."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.heads.estimators.softmax import Floats, SoftmaxClassifier, fit_temperature
from headstart.heads.estimators.weighting import ClassWeight, weights_by_class
from headstart.heads.views import refuse_torn

Doubles = NDArray[np.float64]


class GaussianBayesClassifier(SoftmaxClassifier):
    """Every class a Gaussian whose features are independent; a score is the log of prior and density.

    Its labels are those of scikit-learn's `GaussianNB`. The features of an embedding are far from independent, so that
    the same evidence is counted many times and GaussianNB's probabilities are nearly all 0 or 1: here the scores are
    divided by a temperature, fitted on leave-one-out scores. These are exact but for the smoothing and the priors,
    which one image hardly moves.
    Groups are not known here: where images have near copies, what is left out is not new and probabilities are too
    sure.

    Parameters
    ----------
    var_smoothing : float, default=0.1
        What is added to every variance, in units of the largest variance of a feature; at least 0.
    views : int, default=1
        Rows of one image, which follow each other: they are left out together.
    class_weight : "balanced", mapping of label to float, or None, default=None
        How much an image of each class counts, as in scikit-learn.: here by
        the priors alone, for within a class all count alike.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels seen by `fit`, sorted.
    means_, variances_ : float64 ndarray of shape (n_classes, n_features)
        Of each class; the variances with what was added.
    log_priors_ : float64 ndarray of shape (n_classes,)
        Logarithms of the classes' shares.
    temperature_ : float
        What the scores are divided by before the softmax; 1.0 where every class has a single image.
    """

    means_: Doubles
    variances_: Doubles
    log_priors_: Doubles

    def __init__(self, var_smoothing: float = 0.1, *, views: int = 1, class_weight: ClassWeight = None) -> None:
        self.var_smoothing = var_smoothing
        self.views = views
        self.class_weight = class_weight

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and labels `y` of shape (n_images,).

        Raises
        ------
        ValueError
            `var_smoothing` is below 0, `y` holds a single class, or the rows are no images of `views` rows each.
        """
        if not self.var_smoothing >= 0:
            raise ValueError(f"var_smoothing is {self.var_smoothing!r}, expected a number of at least 0")
        features, codes = self._checked_input(X, y, np.float64)
        refuse_torn(len(codes), self.views)
        counts = np.bincount(codes)
        rows_of = [features[codes == code] for code in range(len(counts))]
        self.means_ = np.stack([rows.mean(axis=0) for rows in rows_of])
        # Where nothing varies, or no smoothing is asked, a class of equal images has no variance to divide by.
        smoothing = self.var_smoothing * float(features.var(axis=0).max()) or 1e-12
        self.variances_ = np.stack([rows.var(axis=0) for rows in rows_of]) + smoothing
        weights = weights_by_class(self.class_weight, self.classes_, codes)
        shares = counts if weights is None else counts * weights
        self.log_priors_ = np.log(shares / shares.sum())
        rows = np.flatnonzero(counts[codes] > self.views)
        leave_out = self._left_out_scores if self.views == 1 else self._left_out_together
        left_out = leave_out(features[rows], codes[rows], counts, smoothing)
        self.temperature_ = fit_temperature(left_out, codes[rows])
        return self

    def _scores(self, X: Floats) -> Doubles:
        """Return the log densities by (x - m)² = x² - 2 x m + m², from a centre near the data: no digits are lost."""
        centre = self.means_.mean(axis=0)
        means, rows, precisions = self.means_ - centre, X - centre, 1.0 / self.variances_
        distances = rows**2 @ precisions.T - 2.0 * (rows @ (means * precisions).T) + (means**2 * precisions).sum(axis=1)
        return np.asarray(self.log_priors_ - 0.5 * (np.log(2.0 * np.pi * self.variances_).sum(axis=1) + distances))

    def _left_out_scores(
        self, features: Floats, codes: NDArray[np.intp], counts: NDArray[np.intp], smoothing: float
    ) -> Doubles:
        """Return the scores of images of classes of two or more, each without its own part in its class's Gaussian.

        Without x, the mean of a class of n moves by d / (n - 1) away from x and its variance v becomes
        (v - d² / (n - 1)) n / (n - 1), where d = x - mean.
        """
        scores = self._scores(features)
        for code in np.unique(codes):
            rows, size = np.flatnonzero(codes == code), counts[code]
            squares = (features[rows] - self.means_[code]) ** 2
            variances = (self.variances_[code] - smoothing - squares / (size - 1)) * size / (size - 1)
            variances = np.maximum(variances, 0.0) + smoothing
            distances = squares * (size / (size - 1)) ** 2 / variances
            scores[rows, code] = self.log_priors_[code] - 0.5 * (np.log(2.0 * np.pi * variances) + distances).sum(
                axis=1
            )
        return scores

    def _left_out_together(
        self, features: Floats, codes: NDArray[np.intp], counts: NDArray[np.intp], smoothing: float
    ) -> Doubles:
        """Return the same of images of several rows, each without all of its own: sums and squares less theirs."""
        scores, size = self._scores(features), counts[codes][:, None]
        rows = features.reshape(-1, self.views, features.shape[1])
        own, squares = (part.sum(axis=1).repeat(self.views, axis=0) for part in (rows, np.square(rows)))
        means = (size * self.means_[codes] - own) / (size - self.views)
        whole = size * (self.variances_[codes] - smoothing + np.square(self.means_[codes]))
        variances = np.maximum((whole - squares) / (size - self.views) - np.square(means), 0.0) + smoothing
        densities = np.log(2.0 * np.pi * variances) + np.square(features - means) / variances
        scores[np.arange(len(codes)), codes] = self.log_priors_[codes] - 0.5 * densities.sum(axis=1)
        return scores


def make_naive_bayes(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted Gaussian naive Bayes on standardised features, so that smoothing means the same for each."""
    return make_pipeline(StandardScaler(), GaussianBayesClassifier(**params))
