"""The same network with less to do: batch norms folded into convolutions, attention without its detour."""

import copy
import sys
import threading
from collections import Counter
from collections.abc import Collection
from typing import TypeGuard, cast

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TRACING = threading.RLock()
"""Held while a network is traced, and while one runs: tracing takes over the calls of every module of the process."""


def simplify(module: nn.Module, keep: Collection[str]) -> None:
    """Do once what every batch would do again, in place; the names of the layers stay.

    Parameters
    ----------
    module : torch.nn.Module
        A frozen network in evaluation mode.
    keep : collection of str
        Layers whose own output is read, which must stay what it is.
    """
    fold_batch_norms(module, keep)
    open_attention(module)


def fold_batch_norms(module: nn.Module, keep: Collection[str] = ()) -> int:
    """Fold each batch norm that alone takes a convolution's output into that convolution; returns how many.

    In place: the convolution gets new weights, the batch norm becomes the identity. A network that cannot be traced is
    left as it is.
    """
    try:
        # Of a copy: tracing runs the network's code on stand-ins for tensors, and what it keeps of them stays in it.
        with TRACING:
            graph = fx.symbolic_trace(copy.deepcopy(module)).graph
    except Exception:  # noqa: BLE001 - a network's own code may fail in any way on stand-ins
        return 0
    layers = dict(module.named_modules())
    names = Counter(id(layer) for _, layer in module.named_modules(remove_duplicate=False))
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    folded = 0
    for node in graph.nodes:
        source = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) > 1:
            continue
        into, name = str(source.target), str(node.target)
        convolution, norm = layers[into], layers[name]
        used_once = max(calls[into], calls[name], names[id(convolution)], names[id(norm)]) == 1
        if used_once and _can_fold(convolution, norm) and not any(_parts(layer, into, name) for layer in keep):
            module.set_submodule(into, fuse_conv_bn_eval(convolution, cast("nn.BatchNorm2d", norm)))
            module.set_submodule(name, nn.Identity())
            folded += 1
    return folded


def _can_fold(convolution: nn.Module, norm: nn.Module) -> TypeGuard[nn.Conv2d]:
    # Exact types: timm's batch norms with an activation inside are subclasses.
    return type(convolution) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.running_var is not None


def _parts(layer: str, convolution: str, norm: str) -> bool:
    """Tell whether the output of `layer`, which is read, lies between a convolution and its batch norm."""
    return f"{convolution}.".startswith(f"{layer}.") and not f"{norm}.".startswith(f"{layer}.")


class SelfAttention(nn.Module):
    """Attention of `torch.nn.MultiheadAttention` for one input that attends to itself, without turning its axes.

    Torch's own module turns (n_images, n_tokens, n_features) round and back, which makes its products slow in bfloat16
    and slower still when compiled.

    Parameters
    ----------
    attention : torch.nn.MultiheadAttention
        Batch first, with one size of features; its parameters are shared.
    """

    def __init__(self, attention: nn.MultiheadAttention) -> None:
        super().__init__()
        self.n_heads = attention.num_heads
        self.in_proj_weight, self.in_proj_bias = attention.in_proj_weight, attention.in_proj_bias
        self.out_proj = attention.out_proj

    def forward(
        self, query: torch.Tensor, _key: torch.Tensor, _value: torch.Tensor, *, need_weights: bool = False
    ) -> tuple[torch.Tensor, None]:
        """Attend; takes and returns (n_images, n_tokens, n_features), and None for the weights nobody asked for."""
        if need_weights:
            raise ValueError("attention weights are not kept")
        n_images, n_tokens, n_features = query.shape
        projected = F.linear(query, self.in_proj_weight, self.in_proj_bias)
        # (3, n_images, n_heads, n_tokens, n_features a head)
        heads = projected.view(n_images, n_tokens, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        return self.out_proj(attended.transpose(1, 2).reshape(n_images, n_tokens, n_features)), None


def open_attention(module: nn.Module) -> int:
    """Replace the attention of torchvision's vision transformers, in place, by `SelfAttention`; returns how many."""
    # Not imported here: that takes seconds, and a network of its types has imported it.
    transformers = sys.modules.get("torchvision.models.vision_transformer")
    if transformers is None:
        return 0
    n_opened = 0
    for block in list(module.modules()):
        attention = block.self_attention if type(block) is transformers.EncoderBlock else None
        if isinstance(attention, nn.MultiheadAttention):
            block.self_attention = SelfAttention(attention)
            n_opened += 1
    return n_opened
