"""A shared trunk with an output for each label column: a committee of networks that differ by their seed."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.heads.errors import DataError, ModelFileError
from headstart.heads.isolation import openmp_threads
from headstart.heads.neural import MIN_VALIDATION_IMAGES, TorchMLPClassifier, forward, train_rows
from headstart.heads.row_by_row import ask_rows
from headstart.heads.transfer.multitask.losses import ColumnLosses

Doubles = NDArray[np.float64]
History = list[dict[str, float | int | None]]


class SharedColumns(BaseEstimator):
    """Hidden layers that all label columns share, and a softmax or a number for each.

    One column alone is the head `mlp` of that column.

    Parameters
    ----------
    n_classes : sequence of int
        Of each column; 0 of numbers.
    seeds : sequence of int
        One network for each; the mean of their answers counts.
    weighting : {"label", "column"}
        See `heads.transfer.multitask.losses.ColumnLosses`.
    training : mapping of str to Any, optional
        Parameters of `heads.neural.mlp.Perceptron`: ``hidden_sizes``, ``dropout``, ``learning_rate`` and the like.

    Attributes
    ----------
    number_means_, number_scales_ : float64 ndarray of shape (n_columns,)
        Of numbers as they are trained on; 0 and 1 of classes.
    coefs_, intercepts_ : list of list of float32 ndarray
        The layers of each network at its best epoch.
    histories_ : list of list of dict
        One a network: its epochs, with each column's loss as a share of the prior's in ``val_column_0``, ….
    best_epochs_ : list of int
    """

    def __init__(
        self,
        n_classes: Sequence[int] = (),
        *,
        seeds: Sequence[int] = (0,),
        weighting: str = "label",
        training: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.n_classes = n_classes
        self.seeds = seeds
        self.weighting = weighting
        self.training = training

    def fit(self, X: ArrayLike, y: ArrayLike, choosing: Sequence[NDArray[np.bool_]] | None = None) -> Self:
        """Fit on `X` (n_images, n_features), standardised best, and labels `y` (n_images, n_columns).

        Parameters
        ----------
        X : array
        y : array
            Class numbers or numbers, NaN where missing.
        choosing : sequence of bool ndarray of shape (n_images,), optional
            For each network the images that choose its epoch. A column with fewer than ten labels among them has no
            say, and all of its labels are trained on.

        Raises
        ------
        DataError
            A column has not two different labels, shapes do not agree, or training diverged.
        ValueError
            A parameter of the training is out of its range.
        """
        features = np.asarray(validate_data(self, X, dtype=np.float32, order="C"))
        labels = np.asarray(y, dtype=np.float64)
        if labels.shape != (len(features), len(self.n_classes)) or not labels.shape[1]:
            raise DataError(f"labels have shape {labels.shape}, expected {(len(features), len(self.n_classes))}")
        numbers = np.array(self.n_classes) == 0
        self.number_means_, self.number_scales_ = _scale_of(labels, numbers)
        targets = ((labels - self.number_means_) / self.number_scales_).astype(np.float32)
        masks = choosing or [np.zeros(len(features), dtype=bool)] * len(self.seeds)
        with openmp_threads(1):
            trained = [self._train(features, targets, seed, mask) for seed, mask in zip(self.seeds, masks, strict=True)]
        self.coefs_, self.intercepts_ = [one.coefs for one in trained], [one.intercepts for one in trained]
        self.histories_, self.best_epochs_ = [one.history for one in trained], [one.best_epoch for one in trained]
        return self

    def answers(self, X: ArrayLike) -> list[Doubles]:
        """Return for each column every class's probability (n_images, n_classes), or the number (n_images,)."""
        each = self.answers_by_seed(X)
        return [np.mean([one[column] for one in each], axis=0) for column in range(len(self.n_classes))]

    def answers_by_seed(self, X: ArrayLike) -> list[list[Doubles]]:
        """Return the answers of each network, as `answers` does of all together."""
        check_is_fitted(self)
        features = validate_data(self, X, reset=False, dtype=[np.float32, np.float64])
        ends = np.cumsum([0, *(n or 1 for n in self.n_classes)])
        found = []
        for coefs, intercepts in zip(self.coefs_, self.intercepts_, strict=True):
            outputs = ask_rows(partial(forward, list(zip(coefs, intercepts, strict=True))), features)
            found.append(
                [
                    softmax(outputs[:, start:end], axis=1) if n else outputs[:, start] * scale + mean
                    for (start, end), n, mean, scale in zip(
                        pairwise(ends), self.n_classes, self.number_means_, self.number_scales_, strict=True
                    )
                ]
            )
        return found

    def predict(self, X: ArrayLike) -> Doubles:
        """Return the most probable class, or the number, of each image and column, (n_images, n_columns)."""
        return np.column_stack([one.argmax(axis=1) if one.ndim == 2 else one for one in self.answers(X)])

    def check_fitted_state(self) -> None:
        """Refuse a state that training never leaves; what is loaded may come from anywhere.

        Raises
        ------
        ModelFileError
            Layers and columns do not go together.
        """
        widths = [n or 1 for n in self.n_classes]
        sound = bool(widths) and len(self.coefs_) == len(self.intercepts_) > 0
        sound = sound and np.shape(self.number_means_) == np.shape(self.number_scales_) == (len(widths),)
        for coefs, intercepts in zip(self.coefs_, self.intercepts_, strict=False):
            sizes = [self.n_features_in_, *(len(one) for one in intercepts)]
            shapes = [np.shape(one) for one in coefs]
            sound = sound and shapes == list(pairwise(sizes)) and sizes[-1] == sum(widths)
        if not sound:
            raise ModelFileError("holds a shared trunk whose layers and columns do not go together")

    def _train(self, features: NDArray[np.float32], targets: NDArray[np.float32], seed: int, mask: Any) -> Any:
        recipe = TorchMLPClassifier(**{**self.training, "random_state": seed}).recipe()
        hidden = TorchMLPClassifier(**self.training).hidden_widths()
        votes = _have_a_say(targets, mask)
        # Labels that have a say are not trained on, and those that have none are: also of the images that choose.
        fitted = np.where(mask[:, None] & votes, np.float32(np.nan), targets)
        chosen = np.where(mask[:, None] & votes, targets, np.float32(np.nan))
        fit_rows, val_rows = (np.flatnonzero((~np.isnan(some)).any(axis=1)) for some in (fitted, chosen))
        # An image that has labels of both kinds stands in two rows.
        X = np.concatenate([features[fit_rows], features[val_rows]])
        y = np.concatenate([fitted[fit_rows], chosen[val_rows]])
        rows = (np.arange(len(fit_rows)), np.arange(len(fit_rows), len(y)))
        outputs = sum(n or 1 for n in self.n_classes)
        objective = ColumnLosses(y[rows[0]], self.n_classes, self.weighting)
        return train_rows(X, y, [X.shape[1], *hidden, outputs], recipe, rows, objective)


def _have_a_say(targets: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell which columns have labels enough among the images that choose, and are left two different ones to fit."""
    enough = (~np.isnan(targets[mask])).sum(axis=0) >= MIN_VALIDATION_IMAGES
    left = np.array([len(np.unique(own[~np.isnan(own)])) > 1 for own in targets[~mask].T])
    return np.asarray(enough & left)


def _scale_of(labels: Doubles, numbers: NDArray[np.bool_]) -> tuple[Doubles, Doubles]:
    """Return mean and standard deviation of each column of numbers; 0 and 1 of classes, and where nothing varies."""
    means, scales = np.zeros(len(numbers)), np.ones(len(numbers))
    for column in np.flatnonzero(numbers):
        own = labels[~np.isnan(labels[:, column]), column]
        if len(own):
            means[column], scales[column] = own.mean(), own.std() or 1.0
    return means, scales
