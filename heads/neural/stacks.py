"""Training many small torch heads as one: stacked layers, gradients by hand, one optimizer step for all of them.

Every model follows `torch_training.train`: the same hold-out, first weights, order, dropout draws, early stopping and
best epoch. Only models that share a seed are stacked, so that every batch is the same images for all of them.

Stacked layers have weights (n_models, n_out, n_in) and biases (n_models, n_out, 1); images are columns. So the first
layer of all models is one matrix product, and so is its gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from headstart.heads.neural.objectives import CountedClasses
from headstart.heads.neural.training import (
    epoch_stretch,
    first_layers,
    hold_out,
    shuffled_batches,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headstart.heads.neural.optimizers import MakeStackedOptimizer, StackedOptimizer
    from headstart.heads.neural.training import Recipe

    NumpyLayers = list[tuple[NDArray[np.float32], NDArray[np.float32]]]

Layers = list[tuple[Tensor, Tensor]]

_IMAGES_AT_ONCE = 1024
"""In validation: bounds the memory of all models' hidden layers."""


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """Settings that differ between the models of a stack.

    Parameters
    ----------
    rates, decays, dropouts : sequence of float, one for each model
        Learning rates, weight decays, and shares of the last layer's inputs that are set to zero. Without hidden
        layers the inputs are the images, which all models share: then all dropouts are equal.
    """

    rates: Sequence[float]
    decays: Sequence[float]
    dropouts: Sequence[float]


class _Stack:
    """The models that still train, in the order of `models`, their numbers."""

    def __init__(
        self, layers: Layers, knobs: Knobs, make_optimizer: MakeStackedOptimizer, stretch: float, device: str
    ) -> None:
        self.models = np.arange(len(knobs.rates))
        rates, decays, self.dropouts = (
            torch.tensor(values, dtype=torch.float32, device=device).view(-1, 1, 1)
            for values in (knobs.rates, knobs.decays, knobs.dropouts)
        )
        self.drops, self.drops_differ = any(knobs.dropouts), len(set(knobs.dropouts)) > 1
        # Contiguous, as all models' weights are used as one matrix.
        self.layers = [
            (weight.mT.repeat(len(rates), 1, 1), bias[:, None].repeat(len(rates), 1, 1)) for weight, bias in layers
        ]
        self.optimizer: StackedOptimizer = make_optimizer(self.parameters, rates, decays, stretch)

    @property
    def parameters(self) -> list[Tensor]:
        return [parameter for layer in self.layers for parameter in layer]

    def keep(self, going: NDArray[np.bool_]) -> None:
        """Drop the models that have stopped."""
        places = torch.from_numpy(np.flatnonzero(going)).to(self.dropouts.device)
        self.models = self.models[going]
        self.layers = [(weight[places], bias[places]) for weight, bias in self.layers]
        self.dropouts = self.dropouts[places]
        self.optimizer.keep(places, self.parameters)


class _Best:
    """Every model's layers at its best epoch so far."""

    def __init__(self, stack: _Stack) -> None:
        n_models = len(stack.models)
        self.layers = [(weight.clone(), bias.clone()) for weight, bias in stack.layers]
        self.epochs = np.zeros(n_models, dtype=int)
        self.losses = np.full(n_models, np.inf)
        self.diverged = np.zeros(n_models, dtype=bool)

    def update(self, epoch: int, stack: _Stack, losses: NDArray[np.float64], val_losses: NDArray[np.float64]) -> None:
        """Take over the models whose validation loss fell, or all where there are no validation images (no losses)."""
        finite = np.isfinite(losses)
        self.diverged[stack.models[~finite]] = True
        better = finite & (val_losses < self.losses[stack.models]) if len(val_losses) else finite
        models = stack.models[better]
        self.epochs[models] = epoch
        if len(val_losses):
            self.losses[models] = val_losses[better]
        places, into = torch.from_numpy(np.flatnonzero(better)), torch.from_numpy(models)
        for best_layer, layer in zip(self.layers, stack.layers, strict=True):
            for best, parameter in zip(best_layer, layer, strict=True):
                best[into] = parameter[places]

    def of_model(self, model: int) -> NumpyLayers | None:
        """Return weights (n_in, n_out) and biases (n_out,) of a model, or None where its training diverged."""
        if self.diverged[model]:
            return None
        return [(weight[model].mT.cpu().numpy(), bias[model, :, 0].cpu().numpy()) for weight, bias in self.layers]


def train_stacked(
    features: NDArray[np.float32],
    codes: NDArray[np.intp],
    sizes: Sequence[int],
    recipe: Recipe,
    knobs: Knobs,
    make_optimizer: MakeStackedOptimizer,
    weights: NDArray[np.float64] | None = None,
) -> list[NumpyLayers | None]:
    """Train models that differ in their knobs alone; return the layers of each at its best epoch.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
    codes : int ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1.
    sizes : sequence of int
        n_features, hidden…, n_classes.
    recipe : Recipe
        Of all the models; its optimizer and dropout are not looked at.
    knobs : Knobs
    make_optimizer : callable
    weights : float64 ndarray of shape (n_classes,), optional
        How much an image of each class counts.

    Returns
    -------
    list of (list of (float32 ndarray of shape (n_in, n_out), float32 ndarray of shape (n_out,))) or None
        None where the loss of a model was no longer finite; the others are not touched by that.
    """
    fit_rows, val_rows = hold_out(codes, recipe.validation_fraction, recipe.seed, recipe.views)
    X = torch.as_tensor(features, device=recipe.device)
    y = torch.tensor(codes, dtype=torch.int64, device=recipe.device)
    counted = CountedClasses.of(weights, codes, fit_rows, val_rows, recipe.device)
    order_generator = torch.Generator().manual_seed(recipe.seed)
    dropout_generator = torch.Generator(device=recipe.device).manual_seed(recipe.seed)
    stretch = epoch_stretch(len(fit_rows), recipe)
    with torch.inference_mode():
        X_val, y_val = X[val_rows], y[val_rows]
        stack = _Stack(
            first_layers(sizes, order_generator, recipe.device), knobs, make_optimizer, stretch, recipe.device
        )
        best = _Best(stack)
        for epoch in range(1, math.ceil(recipe.max_epochs * stretch) + 1):
            batches = shuffled_batches(fit_rows, recipe, order_generator)
            losses = _train_epoch(stack, X, y, batches, epoch, dropout_generator, counted.fitted)
            best.update(epoch, stack, losses, _validation_losses(stack, X_val, y_val, counted.chosen))
            going = np.isfinite(losses) & (epoch - best.epochs[stack.models] < recipe.patience * stretch)
            if not going.any():
                break
            if not going.all():
                stack.keep(going)
    return [best.of_model(model) for model in range(len(knobs.rates))]


def _train_epoch(
    stack: _Stack,
    X: Tensor,
    y: Tensor,
    batches: Sequence[Tensor],
    epoch: int,
    generator: torch.Generator,
    weights: Tensor | None,
) -> NDArray[np.float64]:
    """Take one step a batch of row numbers and return the sum of the losses of each model, (n_models,)."""
    totals = torch.zeros(len(stack.models), device=X.device)
    for rows in batches:
        totals += _train_batch(stack, X.index_select(0, rows), y.index_select(0, rows), generator, weights)
        stack.optimizer.step(epoch)
    return totals.double().cpu().numpy()


def _train_batch(stack: _Stack, X: Tensor, y: Tensor, generator: torch.Generator, weights: Tensor | None) -> Tensor:
    """Add the gradients of a batch to the optimizer's and return the sum of the losses of each model, (n_models,)."""
    kept = None
    if stack.drops:
        # One draw serves all models: each compares the same numbers with its own share, as it would alone.
        drawn = torch.rand(len(X), stack.layers[-1][0].shape[2], generator=generator, device=X.device)
        if len(stack.layers) == 1:
            X = X * (drawn >= stack.dropouts[0, 0, 0]) / (1.0 - stack.dropouts[0, 0, 0])
        else:
            shares = stack.dropouts if stack.drops_differ else stack.dropouts[:1]
            kept = torch.ge(drawn.T.contiguous(), shares) / (1.0 - shares)
    hiddens, scores = _forward(stack, X, kept)
    true = y.expand(len(scores), 1, -1)
    log_probability = torch.log_softmax(scores, dim=1)
    losses = _weighed_sum(-log_probability.gather(1, true), y, weights)
    slopes = log_probability.exp_()
    slopes.scatter_add_(1, true, slopes.new_full((), -1.0).expand_as(true)).div_(len(X))
    if weights is not None:
        slopes.mul_(weights[y])
    _backward(stack, X, hiddens, slopes)
    return losses


def _forward(stack: _Stack, X: Tensor, kept: Tensor | None) -> tuple[list[Tensor], Tensor]:
    """Return the hidden layers, each (n_models, n_out, n_images), and the scores (n_models, n_classes, n_images)."""
    (weight, bias), *others = stack.layers
    scores = torch.addmm(bias.view(-1, 1), weight.view(-1, X.shape[1]), X.T).view(len(weight), -1, len(X))
    hiddens: list[Tensor] = []
    for weight, bias in others:
        hidden = scores.clamp_(min=0)
        if kept is not None and len(hiddens) == len(others) - 1:
            hidden.mul_(kept)
        hiddens.append(hidden)
        scores = torch.baddbmm(bias, weight, hidden)
    return hiddens, scores


def _backward(stack: _Stack, X: Tensor, hiddens: list[Tensor], slopes: Tensor) -> None:
    """Add the gradients to the optimizer's, given those of the scores; the hidden layers' memory is used up."""
    momentum, gradients = stack.optimizer.momentum, stack.optimizer.gradients
    for number in range(len(hiddens), 0, -1):
        for_weight, for_bias = gradients[2 * number : 2 * number + 2]
        hidden = hiddens[number - 1]
        for_bias.mul_(momentum).add_(slopes.sum(dim=2, keepdim=True))
        for_weight.baddbmm_(slopes, hidden.mT, beta=momentum)
        if number == len(hiddens) and stack.drops:
            slopes = slopes / (1.0 - stack.dropouts)
        slopes = torch.bmm(stack.layers[number][0].mT, slopes)
        slopes.mul_(hidden.sign_())  # 1 where it is above 0: neither cut off by the ReLU nor dropped
    for_weight, for_bias = gradients[:2]
    for_bias.mul_(momentum).add_(slopes.sum(dim=2, keepdim=True))
    for_weight.view(-1, X.shape[1]).addmm_(slopes.flatten(0, 1), X, beta=momentum)


def _validation_losses(stack: _Stack, X: Tensor, y: Tensor, weights: Tensor | None) -> NDArray[np.float64]:
    """Return the mean loss of each model, (n_models,); empty where there are no validation images."""
    if len(X) == 0:
        return np.zeros(0)
    totals = torch.zeros(len(stack.models), device=X.device)
    for images, true in zip(torch.split(X, _IMAGES_AT_ONCE), torch.split(y, _IMAGES_AT_ONCE), strict=True):
        _, scores = _forward(stack, images, None)
        log_probability = torch.log_softmax(scores, dim=1)
        totals -= _weighed_sum(log_probability.gather(1, true.expand(len(scores), 1, -1)), true, weights)
    return totals.double().cpu().numpy() / len(X)


def _weighed_sum(values: Tensor, y: Tensor, weights: Tensor | None) -> Tensor:
    """Return the sums (n_models,) of values (n_models, 1, n_images), each times its class's weight."""
    return (values if weights is None else values * weights[y]).sum(dim=(1, 2))
