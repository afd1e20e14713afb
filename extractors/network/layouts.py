"""Which axis of a layer's four holds the channels: (n, C, H, W) or (n, H, W, C)."""

from torch import nn

from headstart.extractors.backbones import Backbone

_CHANNELS_FIRST = (
    *(nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.MaxPool2d, nn.AvgPool2d),
    *(nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)
# They work on single numbers, so what they put out lies as what they were given.
_ELEMENTWISE = ("torch.nn.modules.activation", "torch.nn.modules.dropout", "torch.nn.modules.linear.Identity")


def takes_channels_last(layer: nn.Module) -> bool:
    """Tell whether a classifier takes (n, H, W, C): all but convolutions work on the last axis."""
    return not isinstance(layer, nn.Conv2d)


def is_channels_last(backbone: Backbone, layer: str) -> bool | None:
    """Tell whether a layer's four axes are (n, H, W, C), or None where that cannot be told.

    Convolutions, linear layers, norms and permutations say so themselves; a sequence says what its last layer says, an
    activation in it what the layer before says. Otherwise the backbone's own flag holds, unless a neighbour inside the
    same block is laid out the other way, so that the block permutes somewhere in its code.
    """
    while True:
        module = backbone.module.get_submodule(layer)
        own = _own_layout(module)
        if own is not None:
            return own
        parent, _, leaf = layer.rpartition(".")
        block = backbone.module.get_submodule(parent)
        siblings = [name for name, _ in block.named_children()]
        before = siblings.index(leaf) - 1 if leaf else -1
        if isinstance(module, nn.Sequential) and len(module) and layer:
            layer = f"{layer}.{[name for name, _ in module.named_children()][-1]}"
        elif isinstance(block, nn.Sequential) and _is_elementwise(module) and before >= 0:
            layer = f"{parent}.{siblings[before]}".removeprefix(".")
        else:
            # The root holds the classifier, a linear layer beside whatever the rest is.
            mixed = parent and (not backbone.channels_last) in _layouts_inside(block)
            return None if mixed else backbone.channels_last


def _layouts_inside(block: nn.Module) -> set[bool | None]:
    """Return the layouts of a block's own layers, with those of the sequences inside it unless it is one itself."""
    layers = list(block.children())
    if not isinstance(block, nn.Sequential):
        layers += [layer for child in block.children() if isinstance(child, nn.Sequential) for layer in child]
    return {_own_layout(layer) for layer in layers}


def _own_layout(module: nn.Module) -> bool | None:
    if isinstance(module, _CHANNELS_FIRST):
        return False
    name = type(module).__name__
    if name == "Permute":
        return list(getattr(module, "dims", ())) == [0, 2, 3, 1]
    # By name: LayerNorm2d of the model zoos derives from LayerNorm, but permutes before and after.
    return True if isinstance(module, nn.Linear) or name == "LayerNorm" else None


def _is_elementwise(module: nn.Module) -> bool:
    return f"{type(module).__module__}.{type(module).__qualname__}".startswith(_ELEMENTWISE)
