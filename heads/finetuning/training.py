"""Training a tail on cached rows: a few at a time, the best epoch kept, and gone on with after a kill."""

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from headstart.heads.errors import DataError
from headstart.heads.finetuning.checkpoints import Checkpoint, Epoch, Progress
from headstart.heads.finetuning.recipe import Precision, TailRecipe
from headstart.heads.finetuning.rows import Rows, as_batch, exact_convolutions, logits_of, pieces_of
from headstart.heads.finetuning.schedules import plan_phases
from headstart.heads.neural import CountedClasses, share_steps


@dataclass(frozen=True)
class Trained:
    """Weights and buffers of the best epoch, by name, all epochs, and the number of the best, from 1.

    `stopped` says why training ended in an epoch that none of these is, if it did.
    """

    weights: dict[str, torch.Tensor]
    history: list[Epoch]
    best_epoch: int
    stopped: str = ""


class Step(NamedTuple):
    """Mean loss of a batch in nats before a step, and how many of its images were right."""

    loss: float
    n_right: int


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
    precision: Precision = "fp32",
    counted: torch.Tensor | None = None,
) -> Step:
    """Take one step on a batch; weights, loss and step are in float32 whatever the layers compute in.

    `counted` (n_classes,) is how much an image of each class counts.
    """
    optimizer.zero_grad(set_to_none=True)
    with exact_convolutions(rows.device):
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = network(rows)
        loss = loss_of(logits.float(), codes, counted, label_smoothing)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
    optimizer.step()
    return Step(float(loss.detach()), int((logits.detach().argmax(dim=1) == codes).sum()))


def loss_of(
    logits: torch.Tensor, codes: torch.Tensor, counted: torch.Tensor | None, label_smoothing: float = 0.0
) -> torch.Tensor:
    """Return the mean loss of a batch in nats, each image counted by its class."""
    if counted is None:
        return functional.cross_entropy(logits, codes, label_smoothing=label_smoothing)
    # torch's own weighted mean would count a batch with few rare images as much as any
    whole = functional.cross_entropy(logits, codes, counted, label_smoothing=label_smoothing, reduction="sum")
    return whole / len(codes)


class Training:
    """One training of a tail; `run` goes on from a checkpoint of the same training.

    Parameters
    ----------
    network : torch.nn.Module
        Trained in place, on the recipe's device.
    blocks : sequence of str
        Its layers with parameters, the classifier last.
    X, codes : Rows, int array (n_images,)
        Rows, and classes from 0.
    fit_rows, val_rows : int arrays
        Which images are trained on, and which choose the epoch; the latter may be none.
    recipe : TailRecipe
    weights : float64 array (n_classes,), optional
        How much an image of each class counts.
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
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        device = recipe.device
        self._weights, self._counted = weights, CountedClasses.of(weights, codes, fit_rows, val_rows, device)
        self._network, self._blocks, self._recipe = network.to(device), list(blocks), recipe
        self._X, self._codes, self._fit_rows, self._val_rows = X, torch.from_numpy(codes).to(device), fit_rows, val_rows
        self._history: list[Epoch] = []
        self._best_epoch, self._best_loss, self._best = 0, float("inf"), self._state()
        self._stopped = ""
        self._optimizer, self._guide = make_optimizer(network, self._blocks, recipe), dict[str, NDArray[np.float32]]()

    def run(
        self,
        checkpoint: Checkpoint | None = None,
        on_epoch: Callable[[Epoch], None] | None = None,
        guide: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> Trained:
        """Train all phases; of each step, a weight takes the share that a guide gives it by the parameter's name.

        Raises
        ------
        DataError
            The loss of the first epoch is not finite; the message says at which rate. That of a later one ends the
            training, and those before are kept.
        """
        self._guide = dict(guide or {})
        self._share_steps()
        self._go_on_from(checkpoint)
        for epoch, (number, phase, within) in enumerate(self._epochs(), 1):
            if epoch <= len(self._history):
                continue
            if within == 0 and number:  # moments of before would move what has just been unfrozen by other rates
                self._optimizer = make_optimizer(self._network, self._blocks, self._recipe)
                self._share_steps()
            factor = self._recipe.rates.factor(within, phase.n_epochs, first=number == 0)
            one = self._run_epoch(epoch, number, phase.blocks, factor)
            if one is None:
                break
            if on_epoch:
                on_epoch(one)
            self._save(checkpoint)
            if number == len(self._phases) - 1 and epoch - self._best_epoch >= self._recipe.patience:
                break
        weights = {name: values.cpu() for name, values in self._best.items()}
        return Trained(weights, self._history, self._best_epoch, self._stopped)

    def _share_steps(self) -> None:
        shares = [torch.from_numpy(share).to(self._recipe.device) for share in self._guide.values()]
        share_steps(self._optimizer, [self._network.get_parameter(name) for name in self._guide], shares)

    @property
    def _phases(self) -> list[Any]:
        return plan_phases(self._blocks, self._recipe.epochs, self._recipe.unfreeze)

    def _epochs(self) -> Iterator[tuple[int, Any, int]]:
        for number, phase in enumerate(self._phases):
            yield from ((number, phase, within) for within in range(phase.n_epochs))

    def _run_epoch(self, epoch: int, number: int, trained: Sequence[str], factor: float) -> Epoch | None:
        first = self._recipe.rates.at_first(self._blocks)
        for group in self._optimizer.param_groups:
            group["lr"] = first[group["block"]] * factor
            for parameter in group["params"]:
                parameter.requires_grad_(group["block"] in trained)
                parameter.grad = None
        self._set_mode(trained)
        rate, done = self._recipe.rates.learning_rate * factor, list[tuple[int, Step]]()
        for some, seen in self._batches(epoch):
            done.append((len(some), self._take_step(some, seen)))
            if not np.isfinite(done[-1][1].loss):
                self._diverge(epoch, done[-1][1].loss, rate)
                return None
        val_loss, val_accuracy = self._validate()
        if val_loss is not None and not np.isfinite(val_loss):
            self._diverge(epoch, val_loss, rate)
            return None
        n_seen = sum(n for n, _ in done)
        one: Epoch = {
            "epoch": epoch,
            "phase": number + 1,
            "loss": sum(n * step.loss for n, step in done) / n_seen,
            "accuracy": sum(step.n_right for _, step in done) / n_seen,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
            "learning_rate": rate,
        }
        self._history.append(one)
        if val_loss is None or val_loss < self._best_loss:
            self._best_epoch, self._best = epoch, self._state()
            self._best_loss = self._best_loss if val_loss is None else val_loss
        return one

    def _take_step(self, some: NDArray[np.intp], seen: NDArray[np.intp]) -> Step:
        how = self._recipe
        return take_step(
            self._network,
            self._optimizer,
            as_batch(self._X[some * how.views + seen], how.device),
            self._codes[some],
            label_smoothing=how.label_smoothing,
            precision=how.precision,
            counted=self._counted.fitted,
        )

    def _diverge(self, epoch: int, loss: float, rate: float) -> None:
        """End the training before this epoch.

        Raises
        ------
        DataError
            There is none before.
        """
        what = f"training diverged in epoch {epoch}: the loss is {loss} at a learning rate of {rate:g}"
        if not self._best_epoch:
            raise DataError(f"{what}; lower --learning-rate")
        self._stopped = f"{what}; the epochs before are kept, epoch {self._best_epoch} of them; lower --learning-rate"

    def _set_mode(self, trained: Sequence[str]) -> None:
        """Leave all in evaluation mode: dropout is off, and batch norms keep their statistics unless that is asked."""
        self._network.eval()
        if self._recipe.batch_norm == "train":
            for name, layer in self._network.named_modules():
                within = any(f"{name}.".startswith(f"{block}.") for block in trained)
                if within and isinstance(layer, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - torch has no public name for their base
                    layer.train()

    def _batches(self, epoch: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield images and views of each step; of a batch norm that follows the images, none has one image alone."""
        for number in range(self._recipe.n_passes(len(self._fit_rows))):
            batches = list(pieces_of(self._shuffled(epoch, number), self._recipe.batch_size))
            if self._recipe.batch_norm == "train" and len(batches) > 1 and len(batches[-1]) == 1:
                batches[-2:] = [np.concatenate(batches[-2:])]
            seen = self._views_of(epoch, number)
            yield from ((some, seen[some]) for some in batches)

    def _shuffled(self, epoch: int, number: int) -> NDArray[np.intp]:
        """Return the rows in an order that follows from seed, epoch and pass alone: nothing drawn has to be kept."""
        of = [self._recipe.seed, epoch, *([number] if number else [])]
        return np.asarray(np.random.default_rng(of).permutation(self._fit_rows), dtype=np.intp)

    def _views_of(self, epoch: int, number: int) -> NDArray[np.intp]:
        """Return which view of each image a pass is trained on: seed, epoch and pass decide it, as the order."""
        of = [self._recipe.seed, epoch, self._recipe.views, *([number] if number else [])]
        generator = np.random.default_rng(of)
        return np.asarray(generator.integers(self._recipe.views, size=len(self._codes)), dtype=np.intp)

    def _validate(self) -> tuple[float | None, float | None]:
        if not len(self._val_rows):
            return None, None
        logits = logits_of(self._network, self._X, self._val_rows * self._recipe.views, self._recipe.batch_size)
        codes, logits = self._codes[self._val_rows], logits.to(self._recipe.device)
        right = (logits.argmax(dim=1) == codes).double().mean()
        return float(loss_of(logits, codes, self._counted.chosen)), float(right)

    def _state(self) -> dict[str, torch.Tensor]:
        return copy.deepcopy(dict(self._network.state_dict()))

    def _digest(self) -> str:
        """Return a digest of all that decides the training, so that no other one is gone on with."""
        recipe = {name: value for name, value in asdict(self._recipe).items() if (name, value) != ("device", "cpu")}
        digest = hashlib.sha256(repr((recipe, self._blocks, *self._guide)).encode())
        weights = [] if self._weights is None else [self._weights]
        for values in (self._codes.cpu().numpy(), self._fit_rows, self._val_rows, *weights, *self._guide.values()):
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
