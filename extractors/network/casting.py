"""Which layers compute in bfloat16 under autocast, and which stay in float32 among them."""

from collections.abc import Callable, Collection

import torch
from torch import nn

from headstart.extractors.errors import BackboneError
from headstart.extractors.network.folding import SelfAttention


def cast_weights(module: nn.Module, but: Collection[str] = ()) -> None:
    """Cast the weights of plain convolutions and linear layers to bfloat16, as autocast does in every forward pass.

    Parameters
    ----------
    module : torch.nn.Module
    but : collection of str
        Layers whose weights stay, with all inside them.
    """
    for name, layer in module.named_modules():
        stays = any(f"{name}.".startswith(f"{one}.") for one in but)
        # Exact types: others may compute on their weights.
        if type(layer) in {nn.Conv2d, nn.Linear, SelfAttention} and not stays:
            for own, parameter in layer.named_parameters(recurse=False):
                cast = parameter.data.bfloat16() if parameter.dtype == torch.float32 else parameter.data
                setattr(layer, own, nn.Parameter(cast, requires_grad=False))


def keep_in_float32(module: nn.Module, names: Collection[str], device: torch.device) -> None:
    """Have layers compute in float32 under autocast, in place; what they put out is float32 too.

    Raises
    ------
    BackboneError
        The network has no such layer.
    """
    layers = dict(module.named_modules())
    if unknown := sorted(set(names) - layers.keys()):
        raise BackboneError(
            f"no layers {', '.join(unknown)} to keep in float32; see 'headstart summary' for their names"
        )
    for name in names:
        # Of the instance: its class, its parameters and its name stay what others know them by.
        layers[name].forward = _in_float32(layers[name].forward, device.type)


def _in_float32(forward: Callable[[torch.Tensor], torch.Tensor], kind: str) -> Callable[[torch.Tensor], torch.Tensor]:
    def run(given: torch.Tensor) -> torch.Tensor:
        with torch.autocast(kind, enabled=False):
            return forward(given.float())

    return run
