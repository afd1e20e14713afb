"""The layers of a backbone that can be tapped, with what each puts out."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from headstart.extractors.backbones import Backbone
from headstart.extractors.errors import BackboneError
from headstart.extractors.network.layouts import is_channels_last
from headstart.extractors.network.taps import feature_sizes, pool
from headstart.extractors.spec import PENULTIMATE, POOLINGS, Tap

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_IMAGES = 2  # with one alone, a layer that works on windows could not be told from one that works on images
_TO_VECTORS = [pooling for pooling in POOLINGS if pooling != "map"]


@dataclass(frozen=True)
class Layer:
    """A layer that can be read out.

    Attributes
    ----------
    name : str
        As a tap names it.
    shape : list of int
        Of its output for one image; of the penultimate, what is read of it.
    features : dict of str to int
        By each pooling that goes with it, the length of the row.
    """

    name: str
    shape: list[int]
    features: dict[str, int]


def list_layers(backbone: Backbone) -> list[Layer]:
    """Return the layers to tap, in the order of the network, from a forward pass of black images.

    Blocks that a network repeats are listed and not opened: their insides can be tapped, too, by the names that
    torch gives them.
    """
    outputs: dict[str, torch.Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: _keep(outputs, name, output))
        for name, module in _shown_layers(backbone.module)
    ]
    images = torch.zeros(_IMAGES, 3, *backbone.preprocessing.crop)
    try:
        with torch.no_grad():
            backbone.module(images)
    finally:
        for handle in handles:
            handle.remove()
    names = [name for name, _ in _shown_layers(backbone.module) if name in outputs]
    last = _of_penultimate(backbone)
    layers = [Layer(PENULTIMATE, [last["auto"]], last)]
    layers += [Layer(name, list(outputs[name].shape[1:]), _poolings(backbone, name, outputs[name])) for name in names]
    return [layer for layer in layers if layer.features]


def _of_penultimate(backbone: Backbone) -> dict[str, int]:
    found = {}
    for pooling in _TO_VECTORS:
        tap = Tap(PENULTIMATE, pooling)
        with suppress(BackboneError):  # the pooling does not go with it
            found[pooling] = feature_sizes(backbone, [tap])[str(tap)][0]
    return found


def _keep(outputs: dict[str, torch.Tensor], name: str, output: Any) -> None:
    while isinstance(output, tuple | list) and output:
        output = output[0]
    if isinstance(output, torch.Tensor) and len(output) == _IMAGES:
        outputs[name] = output.detach()


def _poolings(backbone: Backbone, name: str, output: torch.Tensor) -> dict[str, int]:
    found = {}
    for pooling in _TO_VECTORS:
        with suppress(BackboneError):
            rows = pool(output, Tap(name, pooling), backbone, channels_last=is_channels_last(backbone, name))
            found[pooling] = rows.shape[1]
    return found


def _shown_layers(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return named layers from the outside in, as far as the blocks that repeat."""
    repeated = {
        kind
        for parent in network.modules()
        if isinstance(parent, _CONTAINERS)
        for kind, count in Counter(type(child) for child in parent.children()).items()
        if count > 1 and kind not in _CONTAINERS
    }

    def below(prefix: str, parent: nn.Module) -> list[tuple[str, nn.Module]]:
        found = []
        for name, child in parent.named_children():
            found.append((f"{prefix}{name}", child))
            if type(child) not in repeated:
                found += below(f"{prefix}{name}.", child)
        return found

    return below("", network)


def depth_of(backbone: Backbone, tap: Tap) -> int:
    """Return a number that grows from the lowest layer of a network to its penultimate features.

    A layer stands where the last of its parts does: they are numbered as the network holds them.
    """
    names = [name for name, _ in backbone.module.named_modules()]
    inside = [place for place, name in enumerate(names) if f"{name}.".startswith(f"{tap.layer}.")]
    return len(names) if tap.layer == PENULTIMATE or not inside else inside[-1]
