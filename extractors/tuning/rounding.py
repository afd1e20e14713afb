"""Layers that lose most in bfloat16, and which of them to compute in float32 so that the features stay near enough."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from headstart.extractors.arrays import Array
from headstart.extractors.network import ForwardPass
from headstart.extractors.tuning.fidelity import LOWEST_COSINE
from headstart.extractors.tuning.work import OPERATIONS_A_NUMBER

_FOLLOWED = 4  # images: eight choose no better, in twice the time
_DIRECTIONS = 2  # random ones an image, in which the features' errors are looked at
_AIMS = (0.8, 0.65, 0.5, 0.25)  # of the loss of cosine that may be; the first is tried first
_LARGEST_SHARE = 0.5  # of a network's operations in float32: above it, all of float32 costs little more


@dataclass(frozen=True)
class RoundedLayer:
    """A convolution or a linear layer, and what its bfloat16 costs and saves.

    Attributes
    ----------
    name : str
    loss : float
        Of the features' cosine, which its rounding takes by itself: the mean over images, the sum over taps.
    operations : int
        It computes for an image, counted as `extractors.tuning.work` does.
    """

    name: str
    loss: float
    operations: int


def rounded_layers(forward: ForwardPass, images: Array) -> list[RoundedLayer]:
    """Estimate what each layer loses, from few passes however many layers there are.

    Each layer computes in bfloat16 beside float32, on the same inputs. How far that error moves the features follows to
    first order from a gradient: for a random direction v, the mean of (v·Je)² is ‖Je‖², where e is a layer's error
    and J the derivative of the features by what it puts out (Hutchinson's estimator). Across the features f that
    lessens the cosine by ‖Je‖² / 2‖f‖². Directions are drawn from a fixed seed.

    Parameters
    ----------
    forward : ForwardPass
        In float32, uncompiled, with batches of one.
    images : uint8 array (n_images, height, width, 3)
        The first of them are followed.

    Returns
    -------
    list of RoundedLayer
        In the order of the network; without those that no gradient reaches.
    """
    followed = images[:_FOLLOWED]
    losses: dict[str, float] = defaultdict(float)
    operations: dict[str, int] = {}
    effects: dict[str, float] = defaultdict(float)

    def watch(name: str, layer: nn.Module, given: tuple[torch.Tensor, ...], found: torch.Tensor) -> None:
        with torch.no_grad(), torch.autocast(forward.device.type, torch.bfloat16):
            error = layer.forward(*given).float() - found

        def take(gradient: torch.Tensor) -> None:
            effects[name] += float((gradient * error).sum())

        if found.requires_grad:
            found.register_hook(take)  # type: ignore[no-untyped-call]  # torch does not annotate it
        weights = next(layer.parameters())[0].numel()  # that make one number
        operations[name] = operations.get(name, 0) + found.numel() * (2 * weights + OPERATIONS_A_NUMBER)

    layers = [
        (name, layer) for name, layer in forward.module.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    hooks = [
        layer.register_forward_hook(lambda layer, given, found, name=name: watch(name, layer, given, found))
        for name, layer in layers
    ]
    try:
        for place in range(len(followed)):
            operations.clear()
            features = forward.follow(followed[place : place + 1])
            for score in _scores(list(features.values()), seed=place):
                effects.clear()
                score.backward(retain_graph=True)  # type: ignore[no-untyped-call]  # likewise
                for name, effect in effects.items():
                    losses[name] += effect**2 / (2 * _DIRECTIONS * len(followed))
    finally:
        for hook in hooks:
            hook.remove()
    return [RoundedLayer(name, losses[name], operations[name]) for name, _ in layers if name in losses]


def _scores(features: Sequence[torch.Tensor], seed: int) -> Iterator[torch.Tensor]:
    """Project the features of an image on random directions across them, as long as they are."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(_DIRECTIONS):
        score: Any = 0.0
        for values in features:
            exact = values.detach()
            norm = exact.norm().clamp_min(torch.finfo(exact.dtype).tiny)
            direction = torch.randn(values.shape, generator=generator).to(values.device)
            across = direction - exact * ((direction * exact).sum() / norm**2)
            score = score + (values * across).sum() / norm
        yield score


def sets_in_float32(layers: Sequence[RoundedLayer], lost: float) -> Iterator[tuple[str, ...]]:
    """Choose layers to compute in float32, the worst for what they cost first: few, then more.

    Parameters
    ----------
    layers : sequence of RoundedLayer
    lost : float
        Cosine that the whole network lost in bfloat16, as it was measured; in the end the layers share it.
    """
    total = sum(layer.loss for layer in layers)
    most = _LARGEST_SHARE * sum(layer.operations for layer in layers)
    worst = sorted((layer for layer in layers if layer.loss > 0), key=lambda layer: -layer.loss / layer.operations)
    before: tuple[str, ...] = ()
    for aim in _AIMS:
        left, spent, chosen = total, 0, list[str]()
        for layer in worst:
            if left / total * lost <= aim * (1 - LOWEST_COSINE):
                break
            left, spent = left - layer.loss, spent + layer.operations
            chosen.append(layer.name)
        if spent > most:
            return
        if chosen and tuple(chosen) != before:
            before = tuple(chosen)
            yield before
