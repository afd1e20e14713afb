"""Scores of all classes, those without an image among them, from features and class vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from headstart.heads.errors import ModelFileError
from headstart.heads.estimators import SoftmaxClassifier
from headstart.heads.transfer.zero_shot.solution import Solution, eszsl_targets, score_classes
from headstart.heads.transfer.zero_shot.vectors import standardise, unit

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

METHODS = {
    "eszsl": "ESZSL",
    "ridge": "semantic ridge",
    "clip": "100 · cosine of image and class vector",
}
"""Titles of the methods by name; `clip` learns nothing, and its class vectors lie in the space of the features."""

SCALE = 100.0  # of CLIP's cosines


class ZeroShotClassifier(SoftmaxClassifier):
    """Linear map from features to class vectors, and the class whose vector fits best.

    Features are centred and brought to unit length, vectors are standardised, both over what is fitted on; `clip` takes
    the features' and the vectors' directions as they are.

    Parameters
    ----------
    vectors : float ndarray of shape (n_classes, n_attributes), optional
        Of every class, by its number: 0 … n_classes - 1, also of those that no image is of. By default each class in
        `y` has an attribute of its own.
    method : {"eszsl", "ridge", "clip"}, default="eszsl"
        See `METHODS`.
    gamma, lam : float, default=1.0
        Penalties on features and on attributes, above 0; ridge has the first alone, and `clip` none.
    constant : float, default=0.0
        What is subtracted from the scores of classes that are fitted on (calibrated stacking).
    temperature : float, default=1.0
        What scores are divided by before the softmax.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    mean_ : float64 ndarray of shape (n_features,)
    projection_ : float64 ndarray of shape (n_features, n_attributes)
    vectors_ : float64 ndarray of shape (n_classes, n_attributes)
        Standardised; of `clip` each class is an attribute.
    offsets_ : float64 ndarray of shape (n_classes,)
        What each class's score is reduced by.
    temperature_ : float

    References
    ----------
    Romera-Paredes & Torr, "An embarrassingly simple approach to zero-shot learning", ICML 2015.
    Chao, Changpinyo, Gong & Sha, "An empirical study and analysis of generalized zero-shot learning for object
    recognition in the wild", ECCV 2016 (calibrated stacking).
    """

    mean_: Doubles
    projection_: Doubles
    vectors_: Doubles
    offsets_: Doubles

    def __init__(
        self,
        vectors: Doubles | None = None,
        *,
        method: str = "eszsl",
        gamma: float = 1.0,
        lam: float = 1.0,
        constant: float = 0.0,
        temperature: float = 1.0,
    ) -> None:
        self.vectors = vectors
        self.method = method
        self.gamma = gamma
        self.lam = lam
        self.constant = constant
        self.temperature = temperature

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features) and labels `y` of shape (n_images,), numbers of classes.

        Raises
        ------
        ValueError
            A parameter is out of its range, `y` holds a single class or one without a vector, or the vectors do not
            fit the features.
        """
        features, codes = self._checked_input(X, y, [np.float32, np.float64])
        seen = np.arange(len(self.classes_))
        if self.vectors is not None:
            seen = np.asarray(self.classes_).astype(np.intp)
            self.classes_ = np.arange(len(self.vectors))
            if seen.min() < 0 or seen.max() >= len(self.vectors):
                raise ValueError(f"there are {len(self.vectors)} vectors, and y holds the classes {seen.tolist()}")
        self._check_parameters(features.shape[1])
        given = np.eye(len(seen)) if self.vectors is None else np.asarray(self.vectors, np.float64)
        self._solve(features, codes, seen, given)
        self.offsets_ = np.zeros(len(given))
        self.offsets_[seen] = self.constant
        self.temperature_ = float(self.temperature)
        return self

    def of_texts(self) -> Self:
        """Make it ready without an image: `clip` learns nothing."""
        given = np.asarray(self.vectors, np.float64)
        n_classes, self.n_features_in_ = given.shape
        self.classes_ = np.arange(n_classes)
        self._take_directions(given)
        self.offsets_, self.temperature_ = np.zeros(n_classes), float(self.temperature)
        return self

    def class_scores(self, X: ArrayLike) -> Doubles:
        """Return the scores of all classes, (n_images, n_classes), also of two."""
        return self._checked_scores(X)

    def among(self, classes: NDArray[np.intp]) -> Self:
        """Tell these classes alone from now on, whose numbers are then 0 … n - 1."""
        self.vectors_, self.offsets_ = self.vectors_[classes], self.offsets_[classes]
        self.classes_ = np.arange(len(classes))
        return self

    def check_fitted_state(self) -> None:
        """Tell of arrays that do not fit together, as a planted file may hold them.

        Raises
        ------
        ModelFileError
            They do not.
        """
        n_classes = len(self.classes_)
        wide = self.vectors_.shape[1]
        found = self.mean_.shape, self.projection_.shape, self.vectors_.shape, self.offsets_.shape
        if found != ((self.n_features_in_,), (self.n_features_in_, wide), (n_classes, wide), (n_classes,)):
            raise ModelFileError(f"holds a zero-shot model whose arrays do not fit together: {found}")

    def _check_parameters(self, n_features: int) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}, expected one of {', '.join(METHODS)}")
        if not (self.gamma > 0 and self.lam > 0 and self.temperature > 0):
            raise ValueError("gamma, lam and temperature are numbers above 0")
        if self.method == "clip" and (self.vectors is None or self.vectors.shape[1] != n_features):
            raise ValueError(f"method 'clip' needs vectors of {n_features} numbers, as the features have")

    def _solve(self, features: Any, codes: NDArray[np.intp], seen: NDArray[np.intp], given: Doubles) -> None:
        if self.method == "clip":
            self._take_directions(given)
            return
        self.mean_ = np.asarray(features.mean(axis=0, dtype=np.float64))
        self.vectors_ = given if self.vectors is None else standardise(given, seen)
        targets = self.vectors_[seen] if self.method == "ridge" else eszsl_targets(self.vectors_[seen], self.lam)
        solution = Solution(unit(features - self.mean_), codes, len(seen))
        self.projection_ = solution.weights(self.gamma, targets)

    def _take_directions(self, given: Doubles) -> None:
        """Take the classes themselves for attributes: an image's are its cosines with their vectors."""
        self.mean_, self.projection_ = np.zeros(given.shape[1]), SCALE * unit(given).T
        self.vectors_ = np.eye(len(given))

    def _scores(self, X: NDArray[Any]) -> Doubles:
        projected = unit(X - self.mean_) @ self.projection_
        return score_classes(projected, self.vectors_, cosine=self.method == "ridge") - self.offsets_
