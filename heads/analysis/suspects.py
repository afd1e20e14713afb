"""Labels that are probably wrong, and images unlike all others: what a person should look at first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from headstart.heads.errors import DataError
from headstart.heads.features import feature_matrix

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Suspect:
    """An image whose label is probably wrong.

    Attributes
    ----------
    row : int
        Of what was given.
    given, suggested : int
        Its class, and the most probable one.
    score : float
        Probability of the given class less that of the suggested one: from -1, surely wrong, to 0.
    probability : float
        Of the suggested class.
    """

    row: int
    given: int
    suggested: int
    score: float
    probability: float


@dataclass(frozen=True)
class Outlier:
    """An image far from all others.

    Attributes
    ----------
    row : int
        Of what was given.
    score : float
        Its mean distance (1 - cosine) to its nearest images, by the median of all images': 3 is three times as far as
        usual.
    """

    row: int
    score: float


def find_suspects(y: ArrayLike, oof_probability: ArrayLike) -> list[Suspect]:
    """Return images whose labels are probably wrong, worst first: confident learning, by cleanlab.

    How many there are is counted by cleanlab: images as sure of another class as that class's own images are on
    average. That many are returned, those with the lowest margin between the given class and the next best.

    Parameters
    ----------
    y : int array of shape (n_images,)
        Given classes, 0 … n_classes - 1.
    oof_probability : array of shape (n_images, n_classes)
        Of a head that was not fitted on the image, nor on copies of it: a head that was believes the wrong label.
        Best tempered (`heads.analysis.temper`), but for neighbours' votes: a head that is too sure accuses too many.

    Raises
    ------
    DataError
        Shapes do not agree, there is a single class, or probabilities are not such.

    References
    ----------
    Northcutt, Jiang & Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70, 2021.
    """
    labels, probability = np.asarray(y), np.asarray(oof_probability, dtype=np.float64)
    if probability.ndim != 2 or labels.shape != probability.shape[:1] or not len(labels):
        raise DataError(
            f"labels have shape {labels.shape}, probabilities {probability.shape}; expected (n_images,) of at least "
            "one and (n_images, n_classes)"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= probability.shape[1]:
        raise DataError(f"labels are not whole numbers from 0 to {probability.shape[1] - 1}, one for each probability")
    if labels.min() == labels.max():
        raise DataError("labels hold a single class; an error can be suspected where there are at least two")
    if not ((probability >= 0) & (probability <= 1)).all():  # also where not finite
        raise DataError("probabilities are not between 0 and 1; use a head that gives some")
    # Its other ways to filter keep the probabilities in global variables and start processes.
    rows = find_label_issues(
        labels,
        probability,
        filter_by="low_normalized_margin",
        return_indices_ranked_by="normalized_margin",
        n_jobs=1,
    )
    suggested = probability[rows].argmax(axis=1)
    likely = probability[rows, suggested]
    columns = rows, labels[rows], suggested, probability[rows, labels[rows]] - likely, likely
    return [Suspect(*one) for one in zip(*(column.tolist() for column in columns), strict=True)]


def find_outliers(
    features: ArrayLike, *, most: int = 20, n_neighbors: int = 10, n_compared: int = 2000, seed: int = 0
) -> list[Outlier]:
    """Return the images farthest from their nearest images, farthest first; some image always is.

    Parameters
    ----------
    features : array-like of shape (n_images, n_features)
        Any float dtype.
    most : int
        Images returned.
    n_neighbors : int
        Nearest images that count, or all others where there are fewer: a handful of copies do not hide an outlier.
    n_compared, seed : int
        All images are compared with so many, drawn by seed: with all of them, time would grow with their square, and
        what is far from everything is found as well by a sample (Sugiyama & Borgwardt).

    Raises
    ------
    DataError
        Features are no matrix of finite numbers, there are fewer than 2 images, or a number is below 1.

    References
    ----------
    Ramaswamy, Rastogi & Shim, "Efficient algorithms for mining outliers from large data sets", SIGMOD 2000; Angiulli &
    Pizzuti, "Fast outlier detection in high dimensional spaces", PKDD 2002 (the mean distance to the nearest).
    Sugiyama & Borgwardt, "Rapid distance-based outlier detection via sampling", NIPS 2013.
    """
    X = feature_matrix(features, len(np.asarray(features)))
    if len(X) < 2 or most < 1 or n_neighbors < 1:
        raise DataError(
            f"{len(X)} images, most {most!r} and n_neighbors {n_neighbors!r} were given; expected at least 2, 1 and 1"
        )
    drawn = np.arange(len(X))
    if len(X) > n_compared:
        drawn = np.sort(np.random.default_rng(seed).choice(len(X), n_compared, replace=False))
    units = normalize(X)
    n_wanted = min(n_neighbors, len(drawn) - 1)
    nearest = NearestNeighbors(n_neighbors=n_wanted + 1, algorithm="brute").fit(units[drawn])
    distances, found = nearest.kneighbors(units)
    # No image is its own neighbour: the others among the nearest count, which are one more where it was not drawn.
    distances[drawn[found] == np.arange(len(X))[:, None]] = np.inf
    # Of unit lengths |a - b|² = 2 (1 - cosine), the 2 cancels below, and for Euclidean distances scikit-learn has a
    # blocked search that never holds the whole matrix.
    distance = (np.sort(distances, axis=1)[:, :n_wanted] ** 2).mean(axis=1)
    usual = float(np.median(distance))
    if usual <= 0:  # most images are copies of each other
        usual = float(distance.mean()) or 1.0
    order = np.argsort(-distance, kind="stable")[:most]
    return [Outlier(int(row), float(distance[row] / usual)) for row in order]
