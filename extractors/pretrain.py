"""Encoders learned on a source task, for the case that no published weights fit or none can be had."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import nn

from extractors.preprocessing import Preprocessing


def pretrain_supervised(
    module: nn.Module,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    preprocessing: Preprocessing,
    *,
    epochs: int,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    seed: int = 0,
    on_epoch: Callable[[float], None] | None = None,
) -> None:
    """Train a classifier in place by AdamW with a one-cycle rate, on images shifted at random; it is left in eval mode.

    Parameters
    ----------
    module : Module
        Maps normalised images (n, 3, height, width) to logits (n, n_classes).
    images : uint8 array (n_images, height, width, 3)
        Decoded with `preprocessing`.
    labels : int64 array (n_images,)
        Classes from 0.
    preprocessing : Preprocessing
        Whose mean and standard deviation normalise the images.
    epochs, batch_size, learning_rate, seed
        How long, how many images a step, the highest rate, and the seed of order and shifts.
    on_epoch : callable
        Called with the mean loss after each epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    inputs = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - mean) / std
    targets = torch.tensor(labels)
    optimiser = torch.optim.AdamW(module.parameters(), lr=learning_rate)
    steps = epochs * -(-len(inputs) // batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps)
    module.train().requires_grad_(True)  # noqa: FBT003 - torch's own signature
    for _ in range(epochs):
        total = 0.0
        for rows in torch.split(torch.randperm(len(inputs), generator=generator), batch_size):
            loss = nn.functional.cross_entropy(module(_shift(inputs[rows], generator)), targets[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves backward() untyped
            optimiser.step()
            schedule.step()
            total += loss.item() * len(rows)
        if on_epoch:
            on_epoch(total / len(inputs))
    module.eval().requires_grad_(False)  # noqa: FBT003 - torch's own signature


def save_encoder(module: nn.Module, path: Path) -> None:
    """Write the state dict as safetensors, which cannot run code when it is read."""
    save_file({name: values.contiguous() for name, values in module.state_dict().items()}, path)


def _shift(images: torch.Tensor, generator: torch.Generator, by: int = 4) -> torch.Tensor:
    """Move a batch by up to `by` pixels along each axis, repeating the border: a written digit stays itself when it moves."""
    height, width = images.shape[-2:]
    down, right = torch.randint(0, 2 * by + 1, (2,), generator=generator).tolist()
    return nn.functional.pad(images, (by, by, by, by), mode="replicate")[
        ..., down : down + height, right : right + width
    ]
