"""Learning rates of a network's blocks, epoch by epoch: lower ones further down, and block after block unfrozen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Schedule = Literal["step", "cosine", "constant"]
Unfreeze = Literal["all", "progressive"]


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Rules for the learning rate of a block in an epoch.

    Parameters
    ----------
    learning_rate : float
        Of the classifier at the beginning of a phase.
    layer_decay : float
        Factor from each block to the one below it.
    of_blocks : mapping of str to float
        Rates of some blocks, in place of those that `layer_decay` gives.
    schedule : {"step", "cosine", "constant"}
        Over the epochs of a phase: `gamma` times after each `step_size` epochs, or along half a cosine to 0.
    step_size, gamma
        Of "step".
    warmup : int
        Epochs at the beginning of the first phase over which rates grow evenly.
    """

    learning_rate: float
    layer_decay: float = 1.0
    of_blocks: Mapping[str, float] = field(default_factory=dict)
    schedule: Schedule = "step"
    step_size: int = 7
    gamma: float = 0.1
    warmup: int = 0

    def at_first(self, blocks: Sequence[str]) -> dict[str, float]:
        """Return the rate with which each of a network's blocks begins, the classifier's last."""
        depths = range(len(blocks) - 1, -1, -1)
        own = {block: self.learning_rate * self.layer_decay**depth for block, depth in zip(blocks, depths, strict=True)}
        return own | {block: rate for block, rate in self.of_blocks.items() if block in own}

    def factor(self, epoch: int, n_epochs: int, *, first: bool) -> float:
        """Return the factor of a phase's rates in one of its epochs, from 0."""
        warm = (epoch + 1) / (self.warmup + 1) if first and epoch < self.warmup else 1.0
        if self.schedule == "cosine":
            return warm * 0.5 * (1 + math.cos(math.pi * epoch / n_epochs))
        return float(warm * self.gamma ** (epoch // self.step_size)) if self.schedule == "step" else warm


@dataclass(frozen=True)
class Phase:
    """Epochs in which the same blocks are trained."""

    blocks: tuple[str, ...]
    n_epochs: int


def plan_phases(blocks: Sequence[str], n_epochs: int, unfreeze: Unfreeze) -> list[Phase]:
    """Divide epochs into phases: the classifier first, then block after block down to the boundary, or all at once.

    Where there are more blocks than epochs, several are unfrozen together; epochs that are over go to the last phase.
    """
    if unfreeze == "all":
        return [Phase(tuple(blocks), n_epochs)]
    n_phases = min(len(blocks), n_epochs)
    each = n_epochs // n_phases
    starts = [len(blocks) - 1 - round(number * (len(blocks) - 1) / max(1, n_phases - 1)) for number in range(n_phases)]
    return [
        Phase(tuple(blocks[start:]), each if number < n_phases - 1 else n_epochs - each * (n_phases - 1))
        for number, start in enumerate(starts)
    ]
