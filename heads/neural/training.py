"""Training a small stack of linear layers with torch: batches, early stopping, the best epoch kept, numpy out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor

from headstart.heads.errors import DataError
from headstart.heads.neural.objectives import CountedClasses, Objective
from headstart.heads.neural.shares import Start, share_steps
from headstart.heads.views import Views, refuse_torn

MIN_VALIDATION_IMAGES = 10
"""With fewer, the validation loss says more about which images were drawn than about the epoch."""

Layer = tuple[Tensor, Tensor]
MakeOptimizer = Callable[
    [list[Tensor], float], tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler | None]
]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train; the estimators' parameters of the same names.

    Parameters
    ----------
    make_optimizer : callable
        Parameters, stretch → (optimizer, scheduler stepped once an epoch, or None); the scheduler's epochs are to be
        multiplied by the stretch.
    dropout : float
        Share of the last layer's inputs set to zero in training, 0 ≤ dropout < 1.
    batch_size, max_epochs, patience : int
        Images a step; most epochs; epochs without a better validation loss after which training stops.
    min_steps : int
        Where `max_epochs` would take fewer steps, all that counts epochs is stretched to take as many.
    validation_fraction : float
        Share of the images, stratified by class where there are classes, that choose the epoch; 0 turns it off.
    views : int
        Rows of each image.
    seed : int
        Of the first weights, the validation images, the batches' order and the dropout.
    device : str
        Where torch trains, such as "cpu" or "cuda".
    """

    make_optimizer: MakeOptimizer
    dropout: float
    batch_size: int
    max_epochs: int
    patience: int
    min_steps: int
    validation_fraction: float
    views: int = 1
    seed: int
    device: str


@dataclass(frozen=True, kw_only=True)
class Training:
    """Outcome of training, without any torch object.

    Parameters
    ----------
    coefs : list of float32 ndarray of shape (n_in, n_out)
    intercepts : list of float32 ndarray of shape (n_out,)
        The layers at the best epoch.
    history : list of dict
        One a trained epoch: `epoch` (from 1), `loss` (mean cross-entropy in nats, or squared error, while training),
        `val_loss`, `val_accuracy` (None without validation images, the latter also for numbers).
    best_epoch : int
        The one with the lowest validation loss; the last one without validation images.
    """

    coefs: list[NDArray[np.float32]]
    intercepts: list[NDArray[np.float32]]
    history: list[dict[str, float | int | None]]
    best_epoch: int


def train(
    features: NDArray[np.float32],
    targets: NDArray[Any],
    sizes: Sequence[int],
    recipe: Recipe,
    weights: NDArray[np.float64] | None = None,
    start: Start | None = None,
) -> Training:
    """Train layers of `sizes` (n_features, hidden…, n_classes or 1) with ReLU between them.

    It draws from generators of its own: torch's global random state and thread settings stay as they are.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
    targets : ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1, which train by cross-entropy; or numbers in float32, by squared error.
    weights : float64 ndarray of shape (n_classes,), optional
        How much an image of each class counts.
    start : Start, optional
        Where the lowest layers begin, and which share of each step their weights take.

    Raises
    ------
    DataError
        The loss is no longer finite.
    """
    fit_rows, val_rows = hold_out(targets, recipe.validation_fraction, recipe.seed, recipe.views)
    counted = CountedClasses.of(weights, targets, fit_rows, val_rows, recipe.device)
    return train_rows(features, targets, sizes, recipe, (fit_rows, val_rows), counted, start)


def train_rows(
    features: NDArray[np.float32],
    targets: NDArray[Any],
    sizes: Sequence[int],
    recipe: Recipe,
    rows: tuple[NDArray[np.intp], NDArray[np.intp]],
    objective: Objective,
    start: Start | None = None,
) -> Training:
    """Train as `train` does, on rows of one's own choice: those to fit, and those that choose the epoch, maybe none.

    Parameters
    ----------
    targets : ndarray of shape (n_images, …)
        Whatever the objective takes.
    rows : (int ndarray, int ndarray)
    objective : Objective
    start : Start, optional

    Raises
    ------
    DataError
        The loss is no longer finite.
    """
    fit_rows, val_rows = rows
    X = torch.tensor(features, device=recipe.device)
    y = torch.tensor(targets, device=recipe.device)
    order_generator = torch.Generator().manual_seed(recipe.seed)
    dropout_generator = torch.Generator(device=recipe.device).manual_seed(recipe.seed)
    X_val, y_val = X[val_rows], y[val_rows]
    stretch = epoch_stretch(len(fit_rows), recipe)
    layers = [
        (weight.requires_grad_(True), bias.requires_grad_(True))
        for weight, bias in first_layers(sizes, order_generator, recipe.device)
    ]
    parameters = [parameter for layer in layers for parameter in layer]
    optimizer, scheduler = recipe.make_optimizer(parameters, stretch)
    if start:
        start.copy_into(parameters)
        share_steps(optimizer, parameters, start.shares)
    history: list[dict[str, float | int | None]] = []
    best_epoch, best_loss, best = 0, float("inf"), _copies(layers)
    for epoch in range(1, math.ceil(recipe.max_epochs * stretch) + 1):
        batches = shuffled_batches(fit_rows, recipe, order_generator)
        loss = _train_epoch(layers, optimizer, X, y, batches, recipe.dropout, dropout_generator, objective)
        _refuse_divergence(loss, epoch)
        if scheduler is not None:
            scheduler.step()
        measured = _measure(layers, X_val, y_val, objective)
        history.append({"epoch": epoch, "loss": loss, **measured})
        val_loss = measured["val_loss"]
        if val_loss is None or val_loss < best_loss:
            best_epoch, best = epoch, _copies(layers)
            best_loss = best_loss if val_loss is None else val_loss
        if epoch - best_epoch >= recipe.patience * stretch:
            break
    coefs, intercepts = ([array.cpu().numpy() for array in arrays] for arrays in zip(*best, strict=True))
    return Training(coefs=coefs, intercepts=intercepts, history=history, best_epoch=best_epoch)


def _refuse_divergence(loss: float, epoch: int) -> None:
    if not np.isfinite(loss):
        raise DataError(
            f"training diverged in epoch {epoch}: the loss is {loss}; standardise the features or lower learning_rate"
        )


def _measure(layers: Sequence[Layer], X: Tensor, y: Tensor, objective: Objective) -> dict[str, float | None]:
    """Return the validation's loss and accuracy, None without images."""
    if not len(X):
        return {"val_loss": None, "val_accuracy": None}
    with torch.no_grad():
        return objective.measure(forward(layers, X), y)


def hold_out(
    targets: NDArray[Any], fraction: float, seed: int, views: int = 1
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return (rows to fit, rows that choose the epoch), stratified by class; none choose where the images are too few.

    Where rows are several views of each image, one after another, view 0 of images that are not trained on chooses.
    Groups are not known here: near copies can be on both sides, which keeps a later epoch than new images would.
    They are too few where the fraction is under `MIN_VALIDATION_IMAGES` or the number of classes, or a class has one.
    """
    if views > 1:
        refuse_torn(len(targets), views)
        fitted, chosen = hold_out(targets[::views], fraction, seed)
        return Views(views).to_fit(fitted), Views(views).to_score(chosen)
    rows = np.arange(len(targets))
    n_validation = round(fraction * len(targets))
    # Numbers are drawn as if they were all of one class.
    codes = np.zeros(len(targets), dtype=np.intp) if targets.dtype.kind == "f" else targets
    counts = np.bincount(codes)
    if n_validation < max(MIN_VALIDATION_IMAGES, len(counts)) or counts.min() < 2:
        return rows, rows[:0]
    fit_rows, val_rows = train_test_split(rows, test_size=n_validation, stratify=codes, random_state=seed)
    return fit_rows, val_rows


def forward(layers: Sequence[tuple[Any, Any]], X: Any) -> Any:
    """Return the scores (n_images, n_classes) of `X` (n_images, n_features); numpy in, numpy out, and so with torch."""
    for weight, bias in layers[:-1]:
        # Not maximum(): torch's and numpy's take different arguments; clip is the same in both.
        X = (X @ weight + bias).clip(min=0)
    weight, bias = layers[-1]
    return X @ weight + bias


def epoch_stretch(n_fit: int, recipe: Recipe) -> float:
    """Return the factor, at least 1, of all that counts epochs, so that `n_fit` images give `min_steps` steps."""
    return max(1.0, recipe.min_steps / (math.ceil(n_fit / recipe.batch_size) * recipe.max_epochs))


def shuffled_batches(fit_rows: NDArray[np.intp], recipe: Recipe, generator: torch.Generator) -> Sequence[Tensor]:
    """Return the row numbers of one epoch, a tensor for each batch, in an order drawn from the generator."""
    order = torch.tensor(fit_rows)[torch.randperm(len(fit_rows), generator=generator)].to(recipe.device)
    return torch.split(order, recipe.batch_size)


def first_layers(sizes: Sequence[int], generator: torch.Generator, device: str) -> list[Layer]:
    """Draw weights and biases uniformly within ±1 / √n_in, as torch's own linear layer does; a single layer is zero.

    A softmax layer's loss is convex: no symmetry has to be broken, and what is drawn would have to be unlearned.
    """
    if len(sizes) == 2:
        return [(torch.zeros(*sizes, device=device), torch.zeros(sizes[1], device=device))]
    layers = []
    for n_in, n_out in pairwise(sizes):
        bound = n_in**-0.5
        drawn = (torch.rand(n_in + 1, n_out, generator=generator) * 2 - 1) * bound
        layers.append((drawn[:-1].to(device).clone(), drawn[-1].to(device).clone()))
    return layers


def _train_epoch(
    layers: list[Layer],
    optimizer: torch.optim.Optimizer,
    X: Tensor,
    y: Tensor,
    batches: Sequence[Tensor],
    dropout: float,
    generator: torch.Generator,
    objective: Objective,
) -> float:
    """Take one step a batch of row numbers and return the mean loss an image."""
    total = torch.zeros((), device=X.device)
    for rows in batches:
        hidden = forward(layers[:-1], X[rows]).clip(min=0) if len(layers) > 1 else X[rows]
        if dropout:
            # torch.nn.functional.dropout draws from the global generator, which is not ours to advance.
            kept = torch.rand(hidden.shape, generator=generator, device=X.device) >= dropout
            hidden = hidden * kept / (1.0 - dropout)
        loss = objective.loss(forward(layers[-1:], hidden), y[rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch annotates no return
        optimizer.step()
        total += loss.detach() * len(rows)
    return float(total) / sum(map(len, batches))


def _copies(layers: list[Layer]) -> list[Layer]:
    return [(weight.detach().clone(), bias.detach().clone()) for weight, bias in layers]
