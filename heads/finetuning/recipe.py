"""Recipe of a tail: the values by which it is trained, in their ranges."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from headstart.heads.errors import DataError
from headstart.heads.finetuning.schedules import Rates, Unfreeze

BatchNorm = Literal["eval", "train"]
Precision = Literal["fp32", "bf16"]

_AT_LEAST = {"weight_decay": 0, "label_smoothing": 0, "epochs": 1, "batch_size": 1, "patience": 1, "warmup": 0,
             "min_steps": 0, "momentum": 0, "views": 1}  # fmt: skip


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
    min_steps: int = 0
    precision: Precision = "fp32"
    device: str = "cpu"

    def n_passes(self, n_images: int) -> int:
        """Return how often an epoch goes over the images, so that all epochs together have the steps that are asked."""
        return max(1, math.ceil(self.min_steps / (math.ceil(n_images / self.batch_size) * self.epochs)))


def recipe_of(head: Any) -> TailRecipe:
    """Return how a `TailClassifier` trains.

    Raises
    ------
    DataError
        A parameter is out of its range.
    """
    for name, least in _AT_LEAST.items():
        if not getattr(head, name) >= least:
            raise DataError(f"{name} is {getattr(head, name)!r}, expected at least {least}")
    for name in ("learning_rate", "layer_decay"):
        if not getattr(head, name) > 0:
            raise DataError(f"{name} is {getattr(head, name)!r}, expected a number above 0")
    rates = Rates(
        learning_rate=head.learning_rate,
        layer_decay=head.layer_decay,
        of_blocks=dict(head.block_rates or {}),
        schedule=head.schedule,
        step_size=head.step_size,
        gamma=head.gamma,
        warmup=head.warmup,
    )
    if head.batch_norm == "train" and head.batch_size < 2:
        raise DataError("batch_size is 1, expected at least 2 where batch norms follow the images (batch_norm)")
    if wrong := [rate for rate in rates.of_blocks.values() if not rate >= 0]:
        raise DataError(f"block_rates holds {wrong[0]!r}, expected at least 0")
    if unknown := set(rates.of_blocks) - set(head.blocks):
        raise DataError(f"there is no block {min(unknown)!r} to give a rate; blocks: {', '.join(head.blocks)}")
    return TailRecipe(
        rates=rates,
        optimizer=head.optimizer,
        momentum=head.momentum,
        weight_decay=head.weight_decay,
        label_smoothing=head.label_smoothing,
        epochs=head.epochs,
        batch_size=head.batch_size,
        patience=head.patience,
        views=head.views,
        unfreeze=head.unfreeze,
        batch_norm=head.batch_norm,
        seed=head.random_state,
        min_steps=head.min_steps,
        precision=head.precision,
        device=head.device,
    )
