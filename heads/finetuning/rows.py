"""Rows of cached maps, read a few at a time and given to a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


class Rows(Protocol):
    """Rows that are read a few at a time: an array, or one that lies on a disk."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, numbers: NDArray[np.intp], /) -> NDArray[Any]:
        """Return some rows."""


@dataclass(frozen=True)
class SomeRows:
    """Some of other rows, none of which is read before it is asked for."""

    of: Rows
    numbers: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, numbers: NDArray[np.intp], /) -> NDArray[Any]:
        return self.of[self.numbers[numbers]]


def as_batch(rows: NDArray[Any], device: torch.device | str = "cpu") -> torch.Tensor:
    """Return rows as a float32 tensor, maps with their channels last in memory, which convolutions are fast at."""
    layout = torch.channels_last if rows.ndim == 4 else torch.contiguous_format
    given = torch.from_numpy(rows).to(device)  # as they are stored, which is less to send
    return given.to(torch.float32, memory_format=layout)  # in one pass


def logits_of(network: nn.Module, X: Rows, rows: NDArray[np.intp], batch_size: int) -> torch.Tensor:
    """Return the network's outputs for some rows, on the CPU: computed where its weights are, in evaluation mode."""
    network.eval()
    device = next((one.device for one in network.parameters()), torch.device("cpu"))
    with torch.no_grad(), exact_convolutions(device):
        parts = [network(as_batch(X[some], device)) for some in pieces_of(rows, batch_size)]
    return torch.cat(parts).cpu()


@contextmanager
def exact_convolutions(device: torch.device) -> Iterator[None]:
    """Keep cuDNN from computing float32 convolutions in TF32, as an extraction does: maps and tail are of one kind."""
    if device.type != "cuda":
        yield
        return
    convolution = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # torch makes it at run time
    before, convolution.fp32_precision = convolution.fp32_precision, "ieee"
    try:
        yield
    finally:
        convolution.fp32_precision = before


def pieces_of(rows: NDArray[np.intp], size: int) -> Iterator[NDArray[np.intp]]:
    """Yield so many row numbers at a time."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]
