"""Optimizers that step many models at once, each at its own learning rate and weight decay.

Parameters are stacked, (n_models, …); every model moves as with torch's own optimizer, up to rounding.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.optim.adamw import adamw


class StackedOptimizer(Protocol):
    """Steps of all models at once.

    Attributes
    ----------
    gradients : list of Tensor
        Weights' and biases', layer by layer. Before each step they are multiplied by `momentum` and the gradients of
        the batch are added.
    momentum : float
    """

    gradients: list[Tensor]
    momentum: float

    def step(self, parameters: list[Tensor], epoch: int) -> None:
        """Change the parameters in place; epochs count from 1."""

    def keep(self, models: Tensor) -> None:
        """Forget all models but these, given by their places in the stack."""


class StackedSGD:
    """SGD with momentum, L2 penalty and stepped learning rates, as `torch.optim.SGD` with `StepLR` has them.

    Parameters
    ----------
    parameters : list of Tensor of shape (n_models, …)
    rates, decays : Tensor of shape (n_models, 1, 1)
        First learning rates, and weight decays.
    momentum, gamma : float
    step_size : int
        Epochs after which the rates are multiplied by `gamma`, again and again.
    """

    def __init__(
        self,
        parameters: list[Tensor],
        rates: Tensor,
        decays: Tensor,
        *,
        momentum: float,
        step_size: int,
        gamma: float,
    ) -> None:
        self.gradients = [torch.zeros_like(parameter) for parameter in parameters]
        self.momentum = momentum
        self._rates = rates
        self._decays = decays if bool(decays.any()) else None
        self._step_size = step_size
        self._gamma = gamma

    def step(self, parameters: list[Tensor], epoch: int) -> None:
        """Change the parameters in place, by the gradients and the rate of this epoch."""
        rates = -self._rates * self._gamma ** ((epoch - 1) // self._step_size)
        for parameter, gradient in zip(parameters, self.gradients, strict=True):
            if self._decays is not None:
                gradient.addcmul_(parameter, self._decays)
            parameter.addcmul_(gradient, rates)

    def keep(self, models: Tensor) -> None:
        """Forget all models but these places in the stack."""
        self.gradients = [gradient[models] for gradient in self.gradients]
        self._rates = self._rates[models]
        self._decays = None if self._decays is None else self._decays[models]


class StackedAdamW:
    """Adam with decoupled weight decay, as `torch.optim.AdamW` has it.

    Parameters
    ----------
    parameters : list of Tensor of shape (n_models, …)
    rates, decays : Tensor of shape (n_models, 1, 1)
        Learning rates and weight decays.
    """

    momentum = 0.0

    def __init__(self, parameters: list[Tensor], rates: Tensor, decays: Tensor) -> None:
        self.gradients = [torch.zeros_like(parameter) for parameter in parameters]
        self._first_moments = [torch.zeros_like(parameter) for parameter in parameters]
        self._second_moments = [torch.zeros_like(parameter) for parameter in parameters]
        self._steps = [torch.zeros((), device=parameter.device) for parameter in parameters]
        self._moves = [torch.zeros_like(parameter) for parameter in parameters]
        self._rates = rates
        self._shares = -rates * decays if bool(decays.any()) else None

    def step(self, parameters: list[Tensor], epoch: int) -> None:  # noqa: ARG002 - for schedules, and there is none here
        """Change the parameters in place, by the gradients."""
        # The fused step, one pass instead of six, knows a single rate: it moves zeros at a rate of 1, and each model
        # takes its own rate of that.
        for move in self._moves:
            move.zero_()
        adamw(
            self._moves,
            self.gradients,
            self._first_moments,
            self._second_moments,
            [],
            self._steps,
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=1.0,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
        for parameter, move in zip(parameters, self._moves, strict=True):
            if self._shares is not None:
                # Not multiplied by 1 - share: in float32 that loses most digits of a small share, at every step.
                parameter.addcmul_(parameter, self._shares)
            parameter.addcmul_(move, self._rates)

    def keep(self, models: Tensor) -> None:
        """Forget all models but these places in the stack."""
        self.gradients = [gradient[models] for gradient in self.gradients]
        self._first_moments = [moment[models] for moment in self._first_moments]
        self._second_moments = [moment[models] for moment in self._second_moments]
        self._moves = [move[models] for move in self._moves]
        self._rates = self._rates[models]
        self._shares = None if self._shares is None else self._shares[models]


MakeStackedOptimizer = Callable[[list[Tensor], Tensor, Tensor, float], StackedOptimizer]
"""The estimators' `stacked_optimizer`: parameters, rates, decays, stretch → the optimizer."""
