"""The tutorials' linear probe: a softmax layer trained by SGD with momentum and a stepped learning rate."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from headstart.heads.estimators import ClassWeight
from headstart.heads.neural.base import TorchClassifier
from headstart.heads.neural.optimizers import StackedSGD


class TorchLinearClassifier(TorchClassifier):
    """Softmax layer trained by SGD; the learning rate is multiplied by `gamma` every `step_size` epochs.

    Its defaults are those of the transfer-learning tutorials (0.001 at batches of 4) carried over to batches of 32,
    which take an eighth of the steps: the learning rate grows with the batch. The layer starts at zero.

    Parameters
    ----------
    learning_rate : float, default=0.01
        Of the first epochs.
    momentum : float, default=0.9
    weight_decay : float, default=0.0
        SGD's L2 penalty: weight_decay times each weight and bias is added to its gradient.
    step_size : int, default=7
        Epochs between two steps of the learning rate.
    gamma : float, default=0.1
        Factor of each step.
    dropout : float, default=0.0
        Share of the features set to zero in training, 0 ≤ dropout < 1.
    batch_size : int, default=32
        Images a step.
    max_epochs : int, default=25
    patience : int, default=10
        Epochs without a better validation loss after which training stops.
    min_steps : int, default=400
        Where `max_epochs` would take fewer steps, as with few images, epochs, step_size and patience grow in
        proportion.
    validation_fraction : float, default=0.1
        Share of the images, stratified, that choose the epoch; not used where that is under ten images. Groups are not
        looked at.
    views : int, default=1
        Rows of one image, which follow each other: all are trained on, or one chooses the epoch.
    class_weight : "balanced", mapping of label to float, or None, default=None
        How much an image of each class counts, in the loss that chooses the epoch, too.
    random_state : int, RandomState or None, default=None
    device : str, default="cpu"
        Where torch trains; prediction runs in numpy.

    References
    ----------
    Goyal et al., "Accurate, large minibatch SGD", 2017 (the learning rate and the batch).
    """

    _above_zero = ("learning_rate", "step_size", "gamma")

    def __init__(
        self,
        learning_rate: float = 0.01,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        step_size: int = 7,
        gamma: float = 0.1,
        dropout: float = 0.0,
        batch_size: int = 32,
        max_epochs: int = 25,
        patience: int = 10,
        min_steps: int = 400,
        validation_fraction: float = 0.1,
        views: int = 1,
        class_weight: ClassWeight = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
    ) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.step_size = step_size
        self.gamma = gamma
        self.dropout = dropout
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
        """Return no widths: there is no hidden layer."""
        return ()

    def _make_optimizer(
        self, parameters: list[torch.Tensor], stretch: float
    ) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
        optimizer = torch.optim.SGD(
            parameters, lr=self.learning_rate, momentum=self.momentum, weight_decay=self.weight_decay
        )
        step_size = math.ceil(self.step_size * stretch)
        return optimizer, torch.optim.lr_scheduler.StepLR(optimizer, step_size=step_size, gamma=self.gamma)

    def stacked_optimizer(
        self, parameters: list[torch.Tensor], rates: torch.Tensor, decays: torch.Tensor, stretch: float
    ) -> StackedSGD:
        """Return SGD for a stack of models; parameters as for the other torch heads."""
        step_size = math.ceil(self.step_size * stretch)
        return StackedSGD(parameters, rates, decays, momentum=self.momentum, step_size=step_size, gamma=self.gamma)


def make_linear_torch(params: Mapping[str, Any], seed: int) -> Pipeline:
    """Return an unfitted softmax layer on standardised features."""
    return make_pipeline(StandardScaler(), TorchLinearClassifier(**{"random_state": seed, **params}))
