"""Optimizers that step many models at once, each at its own learning rate and weight decay.

Parameters are stacked, (n_models, …); every model moves as with torch's own optimizer, up to rounding.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


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

    def step(self, epoch: int) -> None:
        """Change the parameters in place; epochs count from 1."""

    def keep(self, models: Tensor, parameters: list[Tensor]) -> None:
        """Forget all models but these, given by their places in the stack; the parameters are theirs."""


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
        self._parameters = parameters
        self._rates = rates
        self._decays = decays if bool(decays.any()) else None
        self._step_size = step_size
        self._gamma = gamma

    def step(self, epoch: int) -> None:
        """Change the parameters in place, by the gradients and the rate of this epoch."""
        rates = -self._rates * self._gamma ** ((epoch - 1) // self._step_size)
        for parameter, gradient in zip(self._parameters, self.gradients, strict=True):
            if self._decays is not None:
                gradient.addcmul_(parameter, self._decays)
            parameter.addcmul_(gradient, rates)

    def keep(self, models: Tensor, parameters: list[Tensor]) -> None:
        """Forget all models but these places in the stack."""
        self._parameters = parameters
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
        self._moments = [[torch.zeros_like(parameter) for parameter in parameters] for _ in range(2)]
        self._n_steps = torch.zeros((), device=parameters[0].device)
        self._knobs = list(zip(rates.flatten().tolist(), decays.flatten().tolist(), strict=True))
        self._models = self._by_model(parameters)

    def step(self, epoch: int) -> None:  # noqa: ARG002 - for schedules, and there is none here
        """Change the parameters in place, by the gradients."""
        self._n_steps += 1
        for (rate, decay), (parameters, gradients, first, second) in zip(self._knobs, self._models, strict=True):
            # One pass over a model, while it is in the processor's cache; torch.optim.AdamW(fused=True) calls the same,
            # and takes longer to get there than this takes.
            torch._fused_adamw_(
                parameters,
                gradients,
                first,
                second,
                [],
                [self._n_steps] * len(parameters),
                lr=rate,
                beta1=0.9,
                beta2=0.999,
                weight_decay=decay,
                eps=1e-8,
                amsgrad=False,
                maximize=False,
            )

    def keep(self, models: Tensor, parameters: list[Tensor]) -> None:
        """Forget all models but these places in the stack."""
        self.gradients = [gradient[models] for gradient in self.gradients]
        self._moments = [[moment[models] for moment in moments] for moments in self._moments]
        self._knobs = [self._knobs[model] for model in models.tolist()]
        self._models = self._by_model(parameters)

    def _by_model(self, parameters: list[Tensor]) -> list[list[list[Tensor]]]:
        """Return views of each model's parameters, gradients and moments."""
        return [
            [[tensor[model] for tensor in tensors] for tensors in (parameters, self.gradients, *self._moments)]
            for model in range(len(self._knobs))
        ]


MakeStackedOptimizer = Callable[[list[Tensor], Tensor, Tensor, float], StackedOptimizer]
"""The estimators' `stacked_optimizer`: parameters, rates, decays, stretch → the optimizer."""
