"""Common base of the torch heads as scikit-learn estimators: torch trains, numpy arrays stay, numpy predicts."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from headstart.heads.estimators import (
    ClassWeight,
    Doubles,
    Floats,
    SoftmaxClassifier,
    refuse_weights,
    weights_by_class,
)
from headstart.heads.isolation import openmp_threads
from headstart.heads.neural.optimizers import StackedOptimizer
from headstart.heads.neural.shares import Start
from headstart.heads.neural.training import Recipe, forward, train
from headstart.heads.row_by_row import ask_rows

_AT_LEAST: dict[str, float] = {
    "batch_size": 1,
    "max_epochs": 1,
    "patience": 1,
    "min_steps": 0,
    "weight_decay": 0,
    "dropout": 0,
    "validation_fraction": 0,
    "views": 1,
}
_BELOW: dict[str, float] = {"dropout": 1, "validation_fraction": 1}


class TorchLayers:
    """Linear layers trained by torch; a subclass gives its parameters, its hidden layers and its optimizer.

    Attributes
    ----------
    coefs_, intercepts_ : list of float32 ndarray
        The layers' weights (n_in, n_out) and biases (n_out,) at the best epoch.
    history_ : list of dict
        `epoch`, `loss`, `val_loss`, `val_accuracy` of each epoch trained.
    best_epoch_ : int
        The epoch kept, from 1.
    """

    dropout: float
    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    patience: int
    min_steps: int
    validation_fraction: float
    views: int
    random_state: int | np.random.RandomState | None
    device: str

    _above_zero: ClassVar[Sequence[str]] = ("learning_rate",)

    def train_layers(
        self,
        features: NDArray[np.float32],
        targets: NDArray[Any],
        n_outputs: int,
        weights: Doubles | None = None,
        start: Start | None = None,
    ) -> None:
        """Train on features (n_images, n_features) and targets (n_images,): classes, or numbers as float32.

        `weights` (n_classes,) are the classes' own; the lowest layers begin at `start`.
        """
        recipe = self.recipe()
        sizes = [features.shape[1], *self.hidden_widths(), n_outputs]
        # Batches are too small to share out: on a busy machine, waiting for the other threads takes most of the time.
        # One thread also gives the same weights on any number of cores.
        with openmp_threads(1):
            trained = train(features, targets, sizes, recipe, weights, start)
        self.coefs_, self.intercepts_ = trained.coefs, trained.intercepts
        self.history_, self.best_epoch_ = trained.history, trained.best_epoch

    def outputs(self, X: Floats) -> Doubles:
        """Return the layers' outputs for features, (n_images, n_outputs), in float64."""
        return ask_rows(partial(forward, list(zip(self.coefs_, self.intercepts_, strict=True))), X)

    def recipe(self) -> Recipe:
        """Return how `fit` trains, the seed drawn from `random_state`.

        Raises
        ------
        ValueError
            A parameter is out of its range.
        """
        self._check_parameters()
        return Recipe(
            make_optimizer=self._make_optimizer,
            dropout=self.dropout,
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            patience=self.patience,
            min_steps=self.min_steps,
            validation_fraction=self.validation_fraction,
            views=self.views,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            device=self.device,
        )

    def hidden_widths(self) -> Sequence[int]:
        """Return the widths of the hidden layers."""
        raise NotImplementedError

    def stacked_optimizer(
        self, parameters: list[torch.Tensor], rates: torch.Tensor, decays: torch.Tensor, stretch: float
    ) -> StackedOptimizer:
        """Return `_make_optimizer`'s counterpart for stacked models, each with its own learning rate and weight decay.

        Parameters
        ----------
        parameters : list of Tensor of shape (n_models, …)
        rates, decays : Tensor of shape (n_models, 1, 1)
        stretch : float
            Multiplies the epochs of a schedule.
        """
        raise NotImplementedError

    def _make_optimizer(
        self, parameters: list[torch.Tensor], stretch: float
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler | None]:
        """Return the optimizer, and the scheduler that is stepped once an epoch, its epochs multiplied by `stretch`."""
        raise NotImplementedError

    def _check_parameters(self) -> None:
        for name, least in _AT_LEAST.items():
            value = getattr(self, name)
            if not (least <= value < _BELOW.get(name, float("inf"))):
                limit = f" and below {_BELOW[name]}" if name in _BELOW else ""
                raise ValueError(f"{name} is {value!r}, expected at least {least}{limit}")
        for name in self._above_zero:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}, expected a number above 0")


class TorchClassifier(TorchLayers, SoftmaxClassifier):
    """Layers that end in a softmax, trained by its cross-entropy.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels seen by `fit`, sorted.
    """

    temperature_: float = 1.0

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features), standardised best, and labels `y` of shape (n_images,).

        Raises
        ------
        ValueError
            A parameter is out of its range, or `y` holds a single class.
        DataError
            Training diverged.
        """
        self._check_parameters()
        features, codes = self._checked_input(X, y, np.float32)
        weights = weights_by_class(self.class_weight, self.classes_, codes)
        self.train_layers(features, codes, len(self.classes_), weights)
        return self

    def _scores(self, X: Floats) -> Doubles:
        return self.outputs(X)


class TorchRegressor(TorchLayers, RegressorMixin, BaseEstimator):
    """Layers that end in one number, trained by its squared error; targets are standardised while it is trained.

    Attributes
    ----------
    target_mean_, target_scale_ : float
        Of the numbers seen by `fit`.
    """

    target_mean_: float
    target_scale_: float
    class_weight: ClassWeight = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit on `X` of shape (n_images, n_features), standardised best, and numbers `y` of shape (n_images,).

        Raises
        ------
        ValueError
            A parameter is out of its range.
        DataError
            Training diverged.
        """
        self._check_parameters()
        refuse_weights(self.class_weight)
        features, given = validate_data(self, X, y, dtype=np.float32, order="C", y_numeric=True)
        numbers = np.asarray(given, dtype=np.float64)
        self.target_mean_, self.target_scale_ = float(numbers.mean()), float(numbers.std()) or 1.0
        self.train_layers(features, ((numbers - self.target_mean_) / self.target_scale_).astype(np.float32), 1)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the number of each image, (n_images,)."""
        check_is_fitted(self)
        outputs = self.outputs(validate_data(self, X, reset=False, dtype=[np.float32, np.float64]))
        return np.asarray(outputs[:, 0] * self.target_scale_ + self.target_mean_)
