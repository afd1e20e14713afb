"""How many images a forward pass takes best: small batches win on many processors, by up to a factor of two."""

import time
from collections.abc import Callable, Iterable

import numpy as np
import torch

from headstart.extractors.arrays import Array
from headstart.extractors.network import ForwardPass

_REPEATS = 3


def time_batches(
    make: Callable[[int], ForwardPass], images: Array, sizes: Iterable[int], enough: Callable[[float], bool]
) -> dict[int, float]:
    """Time the forward pass with batches of several sizes, until a size does worse than the one before.

    Parameters
    ----------
    make : callable
        Takes a batch size.
    images : uint8 array (n_images, height, width, 3)
        At least one; repeated to fill a batch.
    sizes : iterable of int
        Tried in this order.
    enough : callable
        Takes the seconds an image of the size just timed; True ends the search.

    Returns
    -------
    dict of int to float
        Seconds an image, the fastest of a few passes.
    """
    seconds: dict[int, float] = {}
    for size in sizes:
        batch = images[np.arange(size) % len(images)]
        try:
            forward = make(size)
            forward(batch)  # the first pass chooses algorithms and takes memory
            seconds[size] = min(_time(forward, batch) for _ in range(_REPEATS)) / size
        except torch.OutOfMemoryError:
            if not seconds:
                raise
            break
        if enough(seconds[size]) or seconds[size] > 1.1 * min(seconds.values()):
            break
    return seconds


def _time(forward: ForwardPass, batch: Array) -> float:
    begun = time.perf_counter()
    forward(batch)
    return time.perf_counter() - begun
