"""Training a tail on cached rows: a few at a time, the best epoch kept, and gone on with after a kill."""

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from headstart.heads.errors import DataError
from headstart.heads.finetuning.checkpoints import Checkpoint, Epoch, Progress
from headstart.heads.finetuning.schedules import Rates, Unfreeze, plan_phases

BatchNorm = Literal["eval", "train"]


class Rows(Protocol):
    """Rows that are read a few at a time: an array, or one that lies on a disk."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, numbers: NDArray[np.intp], /) -> NDArray[Any]:
        """Return some rows."""


@dataclass(frozen=True, kw_only=True)
class TailRecipe:
    """How a tail is trained; the parameters of `TailClassifier`."""

    rates: Rates
    optimizer: Literal["sgd", "adamw"]
    momentum: float
    weight_decay: float
    label_smoothing: float
    epochs: int
    batch_size: int
    patience: int
    unfreeze: Unfreeze
    batch_norm: BatchNorm
    views: int = 1
    seed: int


@dataclass(frozen=True)
class Trained:
    """Weights and buffers of the best epoch, by name, all epochs, and the number of the best, from 1."""

    weights: dict[str, torch.Tensor]
    history: list[Epoch]
    best_epoch: int


def make_optimizer(network: nn.Module, blocks: Sequence[str], recipe: TailRecipe) -> torch.optim.Optimizer:
    """Return an optimizer with a group for each block, in their order, with its rate at the beginning."""
    first = recipe.rates.at_first(blocks)
    groups = [
        {"params": [one for _, one in parameters_of(network, block)], "lr": first[block], "block": block}
        for block in blocks
    ]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(groups, momentum=recipe.momentum, weight_decay=recipe.weight_decay, lr=0.0)


def parameters_of(network: nn.Module, block: str) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters of a block by name."""
    for name, parameter in network.named_parameters():
        if name == block or name.startswith(f"{block}."):
            yield name, parameter


def take_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    rows: torch.Tensor,
    codes: torch.Tensor,
    *,
    label_smoothing: float = 0.0,
) -> float:
    """Take one step on a batch; returns its mean cross-entropy in nats before the step."""
    optimizer.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(network(rows), codes, label_smoothing=label_smoothing)
    loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
    optimizer.step()
    return float(loss.detach())


def as_batch(rows: NDArray[Any]) -> torch.Tensor:
    """Return rows as a float32 tensor, maps with their channels last in memory, which convolutions are fast at."""
    layout = torch.channels_last if rows.ndim == 4 else torch.contiguous_format
    return torch.from_numpy(rows).to(torch.float32, memory_format=layout)  # in one pass


def logits_of(network: nn.Module, X: Rows, rows: NDArray[np.intp], batch_size: int) -> torch.Tensor:
    """Return the network's outputs for some rows, in evaluation mode."""
    network.eval()
    with torch.no_grad():
        parts = [network(as_batch(X[some])) for some in _pieces(rows, batch_size)]
    return torch.cat(parts)


class Training:
    """One training of a tail; `run` goes on from a checkpoint of the same training.

    Parameters
    ----------
    network : torch.nn.Module
        Trained in place.
    blocks : sequence of str
        Its layers with parameters, the classifier last.
    X, codes : Rows, int array (n_images,)
        Rows, and classes from 0.
    fit_rows, val_rows : int arrays
        Which images are trained on, and which choose the epoch; the latter may be none.
    recipe : TailRecipe
    """

    def __init__(
        self,
        network: nn.Module,
        blocks: Sequence[str],
        X: Rows,
        codes: NDArray[np.intp],
        fit_rows: NDArray[np.intp],
        val_rows: NDArray[np.intp],
        recipe: TailRecipe,
    ) -> None:
        self._network, self._blocks, self._recipe = network, list(blocks), recipe
        self._X, self._codes, self._fit_rows, self._val_rows = X, torch.from_numpy(codes), fit_rows, val_rows
        self._history: list[Epoch] = []
        self._best_epoch, self._best_loss, self._best = 0, float("inf"), self._state()
        self._optimizer = make_optimizer(network, self._blocks, recipe)

    def run(self, checkpoint: Checkpoint | None = None, on_epoch: Callable[[Epoch], None] | None = None) -> Trained:
        """Train all phases.

        Raises
        ------
        DataError
            The loss is no longer finite; the message says in which epoch and at which rate.
        """
        self._go_on_from(checkpoint)
        for epoch, (number, phase, within) in enumerate(self._epochs(), 1):
            if epoch <= len(self._history):
                continue
            if within == 0 and number:  # moments of before would move what has just been unfrozen by other rates
                self._optimizer = make_optimizer(self._network, self._blocks, self._recipe)
            factor = self._recipe.rates.factor(within, phase.n_epochs, first=number == 0)
            one = self._run_epoch(epoch, number, phase.blocks, factor)
            if on_epoch:
                on_epoch(one)
            self._save(checkpoint)
            if self._is_over(epoch, last_phase=number == len(self._phases) - 1):
                break
        return Trained(self._best, self._history, self._best_epoch)

    @property
    def _phases(self) -> list[Any]:
        return plan_phases(self._blocks, self._recipe.epochs, self._recipe.unfreeze)

    def _epochs(self) -> Iterator[tuple[int, Any, int]]:
        for number, phase in enumerate(self._phases):
            yield from ((number, phase, within) for within in range(phase.n_epochs))

    def _run_epoch(self, epoch: int, number: int, trained: Sequence[str], factor: float) -> Epoch:
        first = self._recipe.rates.at_first(self._blocks)
        for group in self._optimizer.param_groups:
            group["lr"] = first[group["block"]] * factor
            for parameter in group["params"]:
                parameter.requires_grad_(group["block"] in trained)
                parameter.grad = None
        self._set_mode(trained)
        total = 0.0
        seen = self._views_of(epoch)
        for some in _pieces(self._shuffled(epoch), self._recipe.batch_size):
            batch, codes = as_batch(self._X[some * self._recipe.views + seen[some]]), self._codes[some]
            smoothing = self._recipe.label_smoothing
            loss = take_step(self._network, self._optimizer, batch, codes, label_smoothing=smoothing)
            if not np.isfinite(loss):
                raise DataError(
                    f"training diverged in epoch {epoch}: the loss is {loss} at a learning rate of "
                    f"{self._recipe.rates.learning_rate * factor:g}; lower --learning-rate"
                )
            total += loss * len(some)
        val_loss, val_accuracy = self._validate()
        one: Epoch = {
            "epoch": epoch,
            "phase": number + 1,
            "loss": total / len(self._fit_rows),
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "learning_rate": self._recipe.rates.learning_rate * factor,
        }
        self._history.append(one)
        if val_loss is None or val_loss < self._best_loss:
            self._best_epoch, self._best = epoch, self._state()
            self._best_loss = self._best_loss if val_loss is None else val_loss
        return one

    def _is_over(self, epoch: int, *, last_phase: bool) -> bool:
        return last_phase and epoch - self._best_epoch >= self._recipe.patience

    def _set_mode(self, trained: Sequence[str]) -> None:
        """Leave all in evaluation mode: dropout is off, and batch norms keep their statistics unless that is asked."""
        self._network.eval()
        if self._recipe.batch_norm == "train":
            for name, layer in self._network.named_modules():
                if isinstance(layer, nn.modules.batchnorm._BatchNorm) and _is_within(name, trained):  # noqa: SLF001 - torch has no public name for their base
                    layer.train()

    def _shuffled(self, epoch: int) -> NDArray[np.intp]:
        """Return the rows in an order that follows from seed and epoch alone, so that nothing drawn has to be kept."""
        order = np.random.default_rng([self._recipe.seed, epoch]).permutation(self._fit_rows)
        return np.asarray(order, dtype=np.intp)

    def _views_of(self, epoch: int) -> NDArray[np.intp]:
        """Return which view of each image an epoch is trained on: seed and epoch decide it, as they do the order."""
        generator = np.random.default_rng([self._recipe.seed, epoch, self._recipe.views])
        return np.asarray(generator.integers(self._recipe.views, size=len(self._codes)), dtype=np.intp)

    def _validate(self) -> tuple[float | None, float | None]:
        if not len(self._val_rows):
            return None, None
        logits = logits_of(self._network, self._X, self._val_rows * self._recipe.views, self._recipe.batch_size)
        codes = self._codes[self._val_rows]
        right = (logits.argmax(dim=1) == codes).double().mean()
        return float(functional.cross_entropy(logits, codes)), float(right)

    def _state(self) -> dict[str, torch.Tensor]:
        return copy.deepcopy(dict(self._network.state_dict()))

    def _digest(self) -> str:
        """Return a digest of all that decides the training, so that no other one is gone on with."""
        digest = hashlib.sha256(repr((asdict(self._recipe), self._blocks)).encode())
        for values in (self._codes.numpy(), self._fit_rows, self._val_rows):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def _save(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint:
            progress = Progress(self._history, self._best_epoch, self._best_loss, self._best)
            checkpoint.save(progress.as_arrays(self._network, self._optimizer, self._digest()))

    def _go_on_from(self, checkpoint: Checkpoint | None) -> None:
        arrays = checkpoint.load() if checkpoint else None
        if arrays is not None and str(arrays["of"]) == self._digest():
            found = Progress.restore(arrays, self._network, self._optimizer)
            self._history, self._best = found.history, found.best
            self._best_epoch, self._best_loss = found.best_epoch, found.best_loss


def _is_within(name: str, blocks: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{block}.") for block in blocks)


def _pieces(rows: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    for first in range(0, len(rows), size):
        yield rows[first : first + size]
