"""The tail of a network as a scikit-learn estimator over cached rows, of any number of axes."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from headstart.heads.errors import DataError, ModelFileError
from headstart.heads.estimators import ClassWeight, make_logreg, weights_of_counts
from headstart.heads.finetuning.checkpoints import Checkpoint, Epoch
from headstart.heads.finetuning.folding import fold_linear
from headstart.heads.finetuning.held_out import hold_out_whole
from headstart.heads.finetuning.recipe import TailRecipe, recipe_of
from headstart.heads.finetuning.rows import Rows, logits_of
from headstart.heads.finetuning.training import Training


class TailClassifier(ClassifierMixin, BaseEstimator):
    """Upper layers of a network, trained from the weights that they had, and its new classifier.

    Parameters
    ----------
    network : torch.nn.Module
        Takes rows (n_images, …) and gives logits (n_images, n_classes); it is copied. A saved head has none: `bind`
        gives it one.
    blocks : sequence of str
        Its layers with parameters, in their order, the classifier last.
    start : {"fresh", "linear"}
        Whether the classifier begins as it is in `network`, or as a logistic regression on what it takes, fitted on
        the images that are trained on.
    optimizer, learning_rate, momentum, weight_decay, label_smoothing, epochs, batch_size, patience
        As usual; `momentum` is of "sgd".
    schedule, step_size, gamma, warmup, layer_decay, block_rates
        See `heads.finetuning.schedules.Rates`.
    unfreeze : {"all", "progressive"}
        See `heads.finetuning.schedules.plan_phases`.
    batch_norm : {"eval", "train"}
        Whether batch norms keep the statistics of the pretraining, or follow the images.
    min_steps : int
        Steps at least, over all epochs: an epoch goes over few images several times.
    precision : {"fp32", "bf16"}
        What layers compute in while they are trained.
    device : str
        Where they are trained, and then predict until they are saved; what is loaded predicts where its network is.
    class_weight : "balanced", mapping of int to float, or None
        How much an image of each class counts in the loss, by the images that are trained on; see
        `heads.estimators.weights_by_class`.
    guide : mapping of str to float32 ndarray, optional
        Share of each step that each weight takes, by the parameter's name; what is not named takes whole steps.
    validation_fraction : float
        Share of the images that choose the epoch.
    views : int
        Rows of each image in what `fit` is given, one after another: of these one is drawn for each image and epoch,
        and the first is looked at where the image chooses the epoch.
    random_state : int
    checkpoint : Checkpoint, optional
        Where `fit` leaves off after each epoch, and goes on.
    on_epoch : callable, optional
        Called with each epoch of `history_`.

    Attributes
    ----------
    classes_ : int ndarray of shape (n_classes,)
    names_ : list of str
        Of the weights and buffers.
    weights_ : list of ndarray
        At the best epoch.
    history_ : list of dict
        See `heads.finetuning.checkpoints.Epoch`.
    best_epoch_ : int
        From 1.
    n_passes_ : int
        How often an epoch went over the images.
    stopped_ : str
        Why training ended early, where its loss was no longer finite.
    """

    def __init__(
        self,
        network: nn.Module | None = None,
        blocks: Sequence[str] = (),
        *,
        start: str = "fresh",
        optimizer: str = "sgd",
        learning_rate: float = 0.003,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        label_smoothing: float = 0.0,
        epochs: int = 25,
        batch_size: int = 32,
        patience: int = 10,
        schedule: str = "step",
        step_size: int = 7,
        gamma: float = 0.1,
        warmup: int = 0,
        layer_decay: float = 1.0,
        block_rates: Mapping[str, float] | None = None,
        unfreeze: str = "all",
        batch_norm: str = "eval",
        min_steps: int = 0,
        precision: str = "fp32",
        device: str = "cpu",
        class_weight: ClassWeight = None,
        guide: Mapping[str, NDArray[np.float32]] | None = None,
        validation_fraction: float = 0.1,
        views: int = 1,
        random_state: int = 0,
        checkpoint: Checkpoint | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
    ) -> None:
        self.network, self.blocks, self.start, self.optimizer = network, blocks, start, optimizer
        self.learning_rate, self.momentum, self.weight_decay = learning_rate, momentum, weight_decay
        self.label_smoothing, self.epochs, self.batch_size = label_smoothing, epochs, batch_size
        self.patience, self.schedule, self.step_size, self.gamma = patience, schedule, step_size, gamma
        self.warmup, self.layer_decay, self.block_rates = warmup, layer_decay, block_rates
        self.unfreeze, self.batch_norm, self.min_steps, self.precision = unfreeze, batch_norm, min_steps, precision
        self.class_weight, self.guide, self.device = class_weight, guide, device
        self.validation_fraction, self.views, self.random_state = validation_fraction, views, random_state
        self.checkpoint, self.on_epoch = checkpoint, on_epoch

    def fit(self, X: Rows, y: Any, groups: Any = None) -> Self:
        """Train on rows `X` (n_images, …), which are read a few at a time, and classes `y` (n_images,), 0, 1, ….

        Images of one of `groups` (n_images,) are all trained on, or choose the epoch. With views, `X` has so
        many rows for each image.

        Raises
        ------
        DataError
            A parameter is out of its range, there are fewer than two classes or more than the network tells apart, or
            the first loss is not finite.
        """
        recipe = self.recipe()
        codes = np.asarray(y).astype(np.intp)
        if len(X) != len(codes) * self.views:
            raise DataError(f"{len(X)} rows of {len(codes)} images, expected {self.views} of each")
        network = copy.deepcopy(self._bound()).float()
        fit_rows, val_rows = hold_out_whole(codes, groups, self.validation_fraction, self.random_state)
        n_classes = _n_outputs(network, X)
        if len(np.unique(codes)) < 2:
            raise DataError("a tail needs images of at least two classes, found one; label others too")
        if codes.max() >= n_classes:
            raise DataError(f"class {codes.max()} of a network that tells {n_classes} apart; give it a new classifier")
        if self.start == "linear":
            self._start_linear(network, X, codes, fit_rows, n_classes)
        counts = np.bincount(codes[fit_rows], minlength=n_classes)
        weights = weights_of_counts(self.class_weight, counts[None])
        trained = Training(
            network, self.blocks, X, codes, fit_rows, val_rows, recipe, None if weights is None else weights[0]
        ).run(self.checkpoint, self.on_epoch, _checked_guide(self.guide, network))
        self.classes_ = np.arange(n_classes)
        self.names_ = list(trained.weights)
        self.weights_ = [values.numpy() for values in trained.weights.values()]
        self.history_, self.best_epoch_, self.stopped_ = trained.history, trained.best_epoch, trained.stopped
        self.n_passes_ = recipe.n_passes(len(fit_rows))
        network.load_state_dict(trained.weights)
        self._network = network.eval()
        return self

    def recipe(self) -> TailRecipe:
        """Return how `fit` trains.

        Raises
        ------
        DataError
            A parameter is out of its range.
        """
        return recipe_of(self)

    def predict_proba(self, X: Rows) -> NDArray[np.float64]:
        """Return the probability of each class, (n_images, n_classes)."""
        check_is_fitted(self)
        if not len(X):
            return np.empty((0, len(self.classes_)))
        logits = logits_of(self._bound_weights(), X, np.arange(len(X)), self.batch_size)
        return np.asarray(softmax(logits.double().numpy(), axis=1))

    def predict(self, X: Rows) -> NDArray[np.intp]:
        """Return the most probable class of each image, (n_images,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def state(self) -> dict[str, torch.Tensor]:
        """Return weights and buffers by the names that they have in the network."""
        return {
            name: torch.from_numpy(np.array(values)) for name, values in zip(self.names_, self.weights_, strict=True)
        }

    def bind(self, network: nn.Module) -> Self:
        """Give a head that was loaded the network that its weights are of.

        Raises
        ------
        ModelFileError
            They are of another one.
        """
        try:
            network.load_state_dict(self.state())
        except RuntimeError as error:
            first = str(error).partition("\n")[2].strip().partition("\n")[0]
            raise ModelFileError(
                f"the weights of this tail are of another network ({first}); fine-tune again"
            ) from error
        self._network = network.eval()
        return self

    def without_network(self) -> "TailClassifier":
        """Return a copy to be saved: plain parameters and arrays."""
        kept = {name: value for name, value in self.get_params(deep=False).items() if name not in _NOT_KEPT}
        saved = TailClassifier(**kept)
        saved.classes_, saved.names_, saved.weights_ = self.classes_, self.names_, self.weights_
        saved.history_, saved.best_epoch_ = self.history_, self.best_epoch_
        return saved

    def check_fitted_state(self) -> None:
        """Refuse a state that training never leaves; what is loaded may come from anywhere.

        Raises
        ------
        ModelFileError
            Names and arrays do not go together.
        """
        sound = len(self.names_) == len(self.weights_) and all(isinstance(name, str) for name in self.names_)
        if not sound or not all(isinstance(values, np.ndarray) for values in self.weights_):
            raise ModelFileError("holds a tail whose weights and names do not go together")

    def _bound(self) -> nn.Module:
        if self.network is None:
            raise DataError("a tail needs its network; headstart.flows gives it one, or bind() does")
        return self.network

    def _bound_weights(self) -> nn.Module:
        found: nn.Module | None = getattr(self, "_network", None)
        if found is None:
            raise DataError("this tail was loaded without its network; bind() gives it one")
        return found

    def _start_linear(
        self, network: nn.Module, X: Rows, codes: NDArray[np.intp], rows: NDArray[np.intp], n_classes: int
    ) -> None:
        name = self.blocks[-1]
        classifier = network.get_submodule(name)
        before = copy.deepcopy(network)
        before.set_submodule(name, nn.Identity())
        features = logits_of(before, X, rows * self.views, self.batch_size).numpy()
        if not isinstance(classifier, nn.Linear) or features.ndim != 2:
            raise DataError(_NO_LINEAR_START.format(f"{name} is no linear layer on one row an image"))
        if classifier.bias is None:
            raise DataError(_NO_LINEAR_START.format(f"{name} has no bias, which a linear head needs"))
        linear = make_logreg({"class_weight": self.class_weight}, self.random_state).fit(features, codes[rows])
        weights, bias = fold_linear(linear, n_classes, "logreg")
        with torch.no_grad():
            classifier.weight.copy_(torch.from_numpy(weights))
            classifier.bias.copy_(torch.from_numpy(bias))


_NO_LINEAR_START = "{}, so that it cannot start linear; start fresh"

_NOT_KEPT = ("network", "checkpoint", "on_epoch", "block_rates", "class_weight", "guide", "device")


def _checked_guide(
    guide: Mapping[str, NDArray[np.float32]] | None, network: nn.Module
) -> Mapping[str, NDArray[np.float32]]:
    """Refuse a guide of other parameters.

    Raises
    ------
    DataError
        One is not in the network, or has another shape there.
    """
    own = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    for name, share in (guide or {}).items():
        if own.get(name) != share.shape:
            here = f"has shape {own[name]} here" if name in own else "is none here"
            raise DataError(
                f"the guide has shares for {name!r} of shape {share.shape}, which {here}; take a guide that was made "
                "for this network, from this layer or an earlier one"
            )
    return guide or {}


def _n_outputs(network: nn.Module, X: Rows) -> int:
    return int(logits_of(network, X, np.arange(1), 1).shape[1])
