"""Steps of an optimizer of which each weight takes a share of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where the lowest parameters of a stack of layers begin, and which share of each step their weights take.

    Parameters
    ----------
    values : sequence of float32 ndarray
        Weights (n_in, n_out) and biases (n_out,), layer by layer from the lowest; layers above begin as drawn.
    guide : sequence of float32 ndarray, optional
        Shares, in the shapes of `values`; without them every step is taken whole.
    """

    values: Sequence[NDArray[np.float32]]
    guide: Sequence[NDArray[np.float32]] = ()

    @property
    def shares(self) -> list[Tensor]:
        """The guide, for the first parameters."""
        return [torch.tensor(values) for values in self.guide]

    def copy_into(self, parameters: Sequence[Tensor]) -> None:
        """Give the first parameters these values."""
        with torch.no_grad():
            for parameter, values in zip(parameters, self.values, strict=False):
                parameter.copy_(torch.tensor(values))


def share_steps(optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor], shares: Sequence[Tensor]) -> None:
    """Let each weight take a share of every later step: p ← before + share · (p - before).

    The step is shared and not the gradient: Adam divides the gradient by its own size, so that a scaled one moves the
    weight as far, and weight decay would go past it. A share of 1 leaves a step as it is and 0 undoes it, to the bit.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Of any kind.
    parameters : sequence of Tensor
        Some or all of its own.
    shares : sequence of Tensor
        Of the first parameters, each of its parameter's shape; the others take whole steps.
    """
    shared = [
        (parameter.detach(), torch.empty_like(parameter).copy_(share), torch.empty_like(parameter))
        for parameter, share in zip(parameters, shares, strict=False)
        if bool((share != 1).any())  # the others cost nothing
    ]

    def remember(*_: Any) -> None:
        for parameter, _share, before in shared:
            before.copy_(parameter)

    def share(*_: Any) -> None:
        for parameter, part, before in shared:
            torch.lerp(before, parameter, part, out=parameter)

    if shared:
        optimizer.register_step_pre_hook(remember)
        optimizer.register_step_post_hook(share)
