"""Heads that keep the images they were shown."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Normalizer
from sklearn.utils import check_array
from sklearn.utils.extmath import row_norms

from headstart.heads.errors import DataError, ModelFileError

METRICS = ("cosine", "euclidean")
"""Measures of nearness that `make_knn` knows."""

ROUNDING = 5e-7
"""Distances below this share of an image's length are a few roundings of its float32 features, and count as 0."""


class NearestImages:
    """Common part of the nearest-neighbour classifier and regressor; it stands before scikit-learn's in their bases."""

    def kneighbors(self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True) -> Any:
        """Return the distances and row numbers of the nearest fitted images, (n_images, k) each.

        Copies are at distance 0. scikit-learn takes |a - b|² from |a|² - 2 a·b + |b|², so that some of them come out at
        1e-8 instead: of two copies that disagree one would then have all of the vote.
        """
        own: Any = self  # what is asked for here is in scikit-learn's part of it
        nearest: Any = super()
        if hasattr(own, "n_samples_fit_"):
            # Asked about the fitted images themselves, scikit-learn leaves each one out of its own neighbours.
            n_others = own.n_samples_fit_ - (X is None)
            n_neighbors = min(own.n_neighbors if n_neighbors is None else n_neighbors, n_others)
        if not return_distance:
            return nearest.kneighbors(X, n_neighbors, return_distance=False)
        distances, rows = nearest.kneighbors(X, n_neighbors)
        lengths = row_norms(own._fit_X if X is None else check_array(X, accept_sparse="csr"))  # noqa: SLF001 - its own
        return without_rounding(distances, lengths), rows


class NearestImagesClassifier(NearestImages, KNeighborsClassifier):
    """The k nearest images vote, weighed by 1 / distance; where fewer were fitted, all of them vote.

    Parameters
    ----------
    n_neighbors : int, default=5
        k. scikit-learn refuses to predict where k is above the number of images fitted, which one fold of a small set
        can reach.
    """

    def __init__(self, n_neighbors: int = 5) -> None:
        super().__init__(n_neighbors, weights="distance", algorithm="brute")

    def check_fitted_state(self) -> None:
        """Check what was read from a file, for scikit-learn's compiled search reads memory by these numbers.

        Raises
        ------
        ModelFileError
            A label is out of range, arrays do not fit together, or the settings are not this class's.
        """
        _check_search(self)
        y = np.asarray(self._y)
        if y.shape != (len(self._fit_X),) or y.dtype.kind not in "iu" or not len(y):
            raise ModelFileError(
                f"knn holds labels of shape {y.shape} and dtype {y.dtype} for {len(self._fit_X)} images"
            )
        if y.min() < 0 or y.max() >= len(self.classes_):
            raise ModelFileError(f"knn holds labels {y.min()}…{y.max()} for {len(self.classes_)} classes")


class NearestImagesRegressor(NearestImages, KNeighborsRegressor):
    """The mean of the k nearest images' numbers, weighed by 1 / distance; where fewer were fitted, of all of them.

    Parameters
    ----------
    n_neighbors : int, default=5
        k.
    """

    def __init__(self, n_neighbors: int = 5) -> None:
        super().__init__(n_neighbors, weights="distance", algorithm="brute")

    def check_fitted_state(self) -> None:
        """Check what was read from a file, for scikit-learn's compiled search reads memory by these numbers.

        Raises
        ------
        ModelFileError
            Arrays do not fit together, or the settings are not this class's.
        """
        _check_search(self)
        y = np.asarray(self._y)
        if y.shape != (len(self._fit_X),) or y.dtype.kind not in "iuf" or not len(y):
            raise ModelFileError(
                f"knn holds numbers of shape {y.shape} and dtype {y.dtype} for {len(self._fit_X)} images"
            )


def _check_search(model: Any) -> None:
    X = np.asarray(model._fit_X)  # noqa: SLF001 - scikit-learn keeps the images there
    settings = (model.weights, model.algorithm, model._fit_method, model.effective_metric_)  # noqa: SLF001 - likewise
    if settings != ("distance", "brute", "brute", "euclidean") or model.effective_metric_params_ != {}:
        raise ModelFileError(f"knn has the settings {settings!r}, expected distance, brute, brute, euclidean")
    expected = (model.n_samples_fit_, model.n_features_in_)
    if X.shape != expected or X.dtype not in (np.float32, np.float64):
        raise ModelFileError(f"knn holds images of shape {X.shape} and dtype {X.dtype}, expected {expected} floats")
    if not isinstance(model.n_neighbors, int) or model.n_neighbors < 1:
        raise ModelFileError(f"knn asks {model.n_neighbors!r} neighbours, expected at least 1")


def without_rounding(distances: NDArray[Any], lengths: NDArray[Any]) -> NDArray[Any]:
    """Return distances (n_images, k) with 0 where rounding alone is left of them, for images of these lengths."""
    return np.where(distances < ROUNDING * lengths[:, None], 0.0, distances)


def split_metric(params: Mapping[str, Any]) -> tuple[str, NearestImagesClassifier]:
    """Return the metric among the hyper-parameters of `make_knn`, and the classifier that the others make.

    Raises
    ------
    DataError
        The metric is unknown.
    """
    others = dict(params)
    metric = others.pop("metric", METRICS[0])
    if metric not in METRICS:
        raise DataError(f"head 'knn': metric is {metric!r}, expected {' or '.join(METRICS)}")
    return metric, NearestImagesClassifier(**others)


def make_knn(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted k-nearest-neighbour classifier by one of two metrics.

    "cosine", the default: on unit-length rows the Euclidean order is the cosine order (|a - b|² = 2 - 2 a·b), and
    scikit-learn has a blocked top-k for the former alone: the full matrix of distances is never held.
    "euclidean" takes the features as they are. They are one layer's and share a unit; at unit variance each, those that
    hardly ever fire would count as much as those that carry the image.

    Parameters
    ----------
    params : mapping of str to object
        `metric`, and hyper-parameters of `NearestImagesClassifier`.
    seed : int

    Raises
    ------
    DataError
        The metric is unknown.
    """
    metric, classifier = split_metric(params)
    return make_pipeline(Normalizer(), classifier) if metric == "cosine" else make_pipeline(classifier)


def make_knn_regressor(params: Mapping[str, Any], seed: int) -> Pipeline:  # noqa: ARG001 - every factory takes a seed; this head draws nothing
    """Return an unfitted k-nearest-neighbour regression by the cosine."""
    return make_pipeline(Normalizer(), NearestImagesRegressor(**params))
