"""The nearest class mean, with probabilities that agree with its labels."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from headstart.heads.estimators.softmax import Floats, SoftmaxClassifier, fit_temperature
from headstart.heads.views import refuse_torn


class NearestMeanClassifier(SoftmaxClassifier):
    """The class whose mean is nearest; a score is the negative squared distance to a class's mean.

    scikit-learn's `NearestCentroid` scales its probabilities by another metric than its labels and so can contradict
    them, and it divides by zero with one image a class. Here one score serves both; its temperature is fitted on
    leave-one-out distances (an image's own part in its class's mean is taken out, which is exact and free).
    Groups are not known here: where images have near copies, what is left out is not new and probabilities are too
    sure.

    Parameters
    ----------
    views : int, default=1
        Rows of one image, which follow each other: they are left out together.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels seen by `fit`, sorted.
    means_ : ndarray of shape (n_classes, n_features)
        The classes' means.
    temperature_ : float
        What the scores are divided by before the softmax; 1.0 where every class has a single image.
    """

    means_: Floats

    def __init__(self, views: int = 1) -> None:
        self.views = views

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and labels `y` of shape (n_images,).

        Raises
        ------
        ValueError
            `y` holds a single class, or the rows are no images of `views` rows each.
        """
        features, codes = self._checked_input(X, y, [np.float32, np.float64])
        refuse_torn(len(codes), self.views)
        counts = np.bincount(codes)
        self.means_ = np.stack([features[codes == code].mean(axis=0) for code in range(len(self.classes_))])
        rows = np.flatnonzero(counts[codes] > self.views)
        scores = self.left_out_scores(features[rows], codes[rows], counts) if len(rows) else np.empty((0, len(counts)))
        self.temperature_ = fit_temperature(scores, codes[rows])
        return self

    def _scores(self, X: Floats) -> Floats:
        return np.asarray(-euclidean_distances(X, self.means_, squared=True))

    def left_out_scores(self, features: Floats, codes: NDArray[np.intp], counts: NDArray[np.intp]) -> Floats:
        """Return the scores of images of classes of two or more, each without its own part in its class's mean."""
        scores, sizes = self._scores(features), counts[codes]
        if self.views > 1:
            own = features.reshape(-1, self.views, features.shape[1]).sum(axis=1).repeat(self.views, axis=0)
            means = (sizes[:, None] * self.means_[codes] - own) / (sizes - self.views)[:, None]
            scores[np.arange(len(codes)), codes] = -np.square(features - means).sum(axis=1)
            return scores
        # Without x the mean m of a class of n becomes (n m - x) / (n - 1), which is n / (n - 1) times as far from x.
        scores[np.arange(len(codes)), codes] *= (sizes / (sizes - 1)) ** 2
        return scores


def make_centroid(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted nearest-mean head on centred features of unit length.

    References
    ----------
    Wang, Chao, Weinberger & van der Maaten, "SimpleShot: revisiting nearest-neighbor classification for few-shot
    learning", 2019 (CL2N).
    """
    return make_pipeline(StandardScaler(with_std=False), Normalizer(), NearestMeanClassifier(**params))
