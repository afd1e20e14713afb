"""A multi-layer perceptron with dropout, trained by Adam."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.heads.estimators import ClassWeight
from headstart.heads.neural.base import TorchClassifier, TorchLayers, TorchRegressor
from headstart.heads.neural.optimizers import StackedAdamW


class Perceptron(TorchLayers):
    """Hidden ReLU layers, trained by Adam.

    Parameters
    ----------
    hidden_sizes : sequence of int, default=(128,)
        Widths of the hidden layers; an empty one makes it a softmax layer.
    dropout : float, default=0.5
        Share of the last layer's inputs set to zero in training, 0 ≤ dropout < 1.
    learning_rate : float, default=0.001
    weight_decay : float, default=0.0
        Decoupled (AdamW): before each step every weight and bias is multiplied by 1 - learning_rate * weight_decay.
    batch_size : int, default=64
        Images a step.
    max_epochs : int, default=50
    patience : int, default=5
        Epochs without a better validation loss after which training stops.
    min_steps : int, default=400
        Where `max_epochs` would take fewer steps, as with few images, epochs and patience grow in proportion.
    validation_fraction : float, default=0.1
        Share of the images, stratified by class where there are classes, that choose the epoch; not used where that is
        under ten images. Groups are not looked at.
    views : int, default=1
        Rows of one image, which follow each other: all are trained on, or one chooses the epoch.
    class_weight : "balanced", mapping of label to float, or None, default=None
        How much an image of each class counts, in the loss that chooses the epoch, too; None of numbers.
    random_state : int, RandomState or None, default=None
    device : str, default="cpu"
        Where torch trains; prediction runs in numpy.
    """

    def __init__(
        self,
        hidden_sizes: Sequence[int] = (128,),
        *,
        dropout: float = 0.5,
        learning_rate: float = 0.001,
        weight_decay: float = 0.0,
        batch_size: int = 64,
        max_epochs: int = 50,
        patience: int = 5,
        min_steps: int = 400,
        validation_fraction: float = 0.1,
        views: int = 1,
        class_weight: ClassWeight = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
    ) -> None:
        self.hidden_sizes = hidden_sizes
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.min_steps = min_steps
        self.validation_fraction = validation_fraction
        self.views = views
        self.class_weight = class_weight
        self.random_state = random_state
        self.device = device

    def hidden_widths(self) -> Sequence[int]:
        """Return `hidden_sizes`, checked."""
        if any(size < 1 for size in self.hidden_sizes):
            raise ValueError(f"hidden_sizes is {self.hidden_sizes!r}, expected widths of at least 1")
        return self.hidden_sizes

    def _make_optimizer(
        self,
        parameters: list[torch.Tensor],
        stretch: float,  # noqa: ARG002 - for schedulers, and this optimizer has none
    ) -> tuple[torch.optim.Optimizer, None]:
        # fused: one pass over the weights instead of ten, which halves the time of a step on a CPU
        return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay, fused=True), None

    def stacked_optimizer(
        self,
        parameters: list[torch.Tensor],
        rates: torch.Tensor,
        decays: torch.Tensor,
        stretch: float,  # noqa: ARG002 - for schedulers, and this optimizer has none
    ) -> StackedAdamW:
        """Return Adam for a stack of models; parameters as for the other torch heads."""
        return StackedAdamW(parameters, rates, decays)


class TorchMLPClassifier(Perceptron, TorchClassifier):
    """Hidden ReLU layers and a softmax, trained by Adam; parameters are those of `Perceptron`."""


class TorchMLPRegressor(Perceptron, TorchRegressor):
    """Hidden ReLU layers and one number, trained by Adam; parameters are those of `Perceptron`."""


def make_mlp(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Return an unfitted perceptron on standardised features."""
    return make_pipeline(StandardScaler(), TorchMLPClassifier(**{"random_state": seed, **params}))


def make_mlp_regressor(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Return an unfitted perceptron that predicts a number from standardised features."""
    return make_pipeline(StandardScaler(), TorchMLPRegressor(**{"random_state": seed, **params}))
