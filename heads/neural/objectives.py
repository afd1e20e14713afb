"""Objectives of training: a loss to be made small, and what is measured on the images that choose the epoch."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Objective(Protocol):
    """Loss that training makes small, and what is measured of it on the images that choose the epoch."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, a number whose gradient is taken."""

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float | None]:
        """Return values for the history; the lowest `val_loss` is the best epoch's."""


class CountedClasses(NamedTuple):
    """Weights of the classes (n_classes,), of which an image has 1 on average: among those fitted, and those held out.

    None where all count alike.
    """

    fitted: Tensor | None
    chosen: Tensor | None

    @classmethod
    def of(
        cls,
        weights: NDArray[np.float64] | None,
        codes: NDArray[Any],
        fit_rows: NDArray[np.intp],
        val_rows: NDArray[np.intp],
        device: str,
    ) -> "CountedClasses":
        """Scale weights by class, so that learning rates mean the same with and without them."""
        if weights is None:
            return cls(None, None)
        means = (float(weights[codes[rows]].mean()) if len(rows) else 1.0 for rows in (fit_rows, val_rows))
        fitted, chosen = (torch.tensor(weights / mean, dtype=torch.float32, device=device) for mean in means)
        return cls(fitted, chosen)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of a batch that is trained on."""
        return _loss(outputs, targets, self.fitted)

    def measure(self, outputs: Tensor, targets: Tensor) -> dict[str, float | None]:
        """Return the mean loss, and the accuracy of classes."""
        right = None if targets.is_floating_point() else float((outputs.argmax(dim=1) == targets).float().mean())
        return {"val_loss": float(_loss(outputs, targets, self.chosen)), "val_accuracy": right}


def _loss(outputs: Tensor, y: Tensor, weights: Tensor | None) -> Tensor:
    if y.is_floating_point():
        return torch.nn.functional.mse_loss(outputs[:, 0], y)
    if weights is not None:  # torch's own weighted mean would count a batch with few rare images as much as any
        return torch.nn.functional.cross_entropy(outputs, y, weights, reduction="sum") / len(y)
    return torch.nn.functional.cross_entropy(outputs, y)
