"""Training of a tail as far as it has come, as plain arrays by name: no pickle, and nothing that was drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Arrays = dict[str, NDArray[Any]]
Epoch = dict[str, float | int | None]
"""`epoch`, `phase` from 1, `loss`, `accuracy`, `val_loss`, `val_accuracy` (None where none choose), `learning_rate`."""


class Checkpoint(Protocol):
    """A place where training leaves off, and from which it goes on."""

    def load(self) -> Arrays | None:
        """Return the last checkpoint; None where there is none."""

    def save(self, arrays: Arrays) -> None:
        """Keep arrays in place of those of before, wholly or not at all."""


@dataclass(frozen=True)
class Progress:
    """Epochs done, and the best of them: its number, its loss on the images that choose, its weights."""

    history: list[Epoch]
    best_epoch: int
    best_loss: float
    best: dict[str, torch.Tensor]

    def as_arrays(self, network: nn.Module, optimizer: torch.optim.Optimizer, training: str) -> Arrays:
        """Return all that training needs to go on; `training` tells it from others."""
        moments = {
            f"{number}/{name}": value
            for number, state in optimizer.state_dict()["state"].items()
            for name, value in state.items()
            if value is not None
        }
        kept = {"now": network.state_dict(), "best": self.best, "moment": moments}
        arrays = {
            f"{part}|{name}": value.cpu().numpy() for part, named in kept.items() for name, value in named.items()
        }
        table = [[np.nan if value is None else value for value in one.values()] for one in self.history]
        return arrays | {
            "history": np.array(table, np.float64),
            "of_best": np.array([self.best_epoch, self.best_loss]),
            "of": np.array(training),
        }

    @classmethod
    def restore(cls, arrays: Arrays, network: nn.Module, optimizer: torch.optim.Optimizer) -> Self:
        """Bring network and optimizer to where they were, and return the rest."""
        network.load_state_dict(_part(arrays, "now"))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _part(arrays, "moment").items():
            number, _, moment = name.partition("/")
            state.setdefault(int(number), {})[moment] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
        history = [_as_epoch(values) for values in arrays["history"].tolist()]
        return cls(history, int(arrays["of_best"][0]), float(arrays["of_best"][1]), _part(arrays, "best"))


def _as_epoch(values: list[float]) -> Epoch:
    epoch, phase, loss, accuracy, val_loss, val_accuracy, rate = values
    return {
        "epoch": int(epoch),
        "phase": int(phase),
        "loss": loss,
        "accuracy": accuracy,
        "val_loss": None if np.isnan(val_loss) else val_loss,
        "val_accuracy": None if np.isnan(val_accuracy) else val_accuracy,
        "learning_rate": rate,
    }


def _part(arrays: Mapping[str, NDArray[Any]], part: str) -> dict[str, torch.Tensor]:
    return {
        name.partition("|")[2]: torch.from_numpy(np.array(values))
        for name, values in arrays.items()
        if name.startswith(f"{part}|")
    }
