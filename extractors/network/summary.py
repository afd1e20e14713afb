"""A network layer by layer: what can be tapped, where it can be cut, what would be trained, and what it costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from headstart.extractors.backbones import Backbone
from headstart.extractors.errors import BackboneError
from headstart.extractors.network.cutting import Anatomy
from headstart.extractors.network.tail import cut_before, is_opened
from headstart.extractors.results import JobResult


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes
    ----------
    name, kind : str
        As ``--tap`` takes it, and its class.
    depth : int
        Layers around it.
    shape : list of int or None
        Of what it puts out for one image; None where that is no tensor of the image, or it is not called by itself.
    parameters : int
        With those of the layers inside.
    trainable : bool
        Whether all of them would be trained; of a layer without any, False.
    multiply_adds : int
        For one image, likewise.
    can_tap, can_cut, can_start : bool
        Whether it can be read out, and the network be cut behind it, and be trained from it on.
    outline : bool
        Whether it is a block, or holds blocks; the others are layers inside one.
    """

    name: str
    kind: str
    depth: int
    shape: list[int] | None
    parameters: int
    trainable: bool
    multiply_adds: int
    can_tap: bool
    can_cut: bool
    can_start: bool
    outline: bool


@dataclass(frozen=True, repr=False)
class NetworkSummary(
    JobResult,
    says="{backbone}, one image of {image_size} pixels: {layers:n layer}, {parameters:n weight}",
    tables=("layers",),
    columns=("name", "kind", "shape", "parameters", "multiply_adds", "can_cut", "can_start"),
):
    """A network.

    Attributes
    ----------
    backbone, weights : str
    image_size : list of int
        (height, width) in pixels.
    layers : list of LayerRow
        In the order in which they are defined.
    parameters, trainable, multiply_adds : int
        Of the whole.
    from_layer, tap : str or None
        First layer that would be trained, and the rows that it takes.
    note : str
        Why the network cannot be cut, if it cannot.
    """

    backbone: str
    weights: str
    image_size: list[int]
    layers: list[LayerRow]
    parameters: int
    trainable: int
    multiply_adds: int
    from_layer: str | None = None
    tap: str | None = None
    note: str = ""


def describe_network(backbone: Backbone, *, from_layer: str | None = None) -> NetworkSummary:
    """Run a network once, on one black image, and describe its layers.

    Parameters
    ----------
    backbone : Backbone
    from_layer : str, optional
        First layer that is to be trained.

    Raises
    ------
    BackboneError
        It cannot be trained from this layer on, or takes no images of this size.
    """
    shapes, costs = _measured(backbone)
    tail = cut_before(backbone, from_layer) if from_layer else None
    trained = set(dict(tail.module.named_parameters())) if tail else set[str]()
    cuts, starts, note = _cuts(backbone)
    outline, module = set(_outline(backbone)), backbone.module
    sizes = {name: one.numel() for name, one in module.named_parameters()}
    rows = []
    for name, layer in module.named_modules():
        own = [one for one in sizes if one.startswith(f"{name}.")]
        if name:
            rows.append(
                LayerRow(
                    name,
                    type(layer).__name__,
                    name.count("."),
                    shapes.get(name),
                    sum(sizes[one] for one in own),
                    bool(own) and trained.issuperset(own),
                    costs.get(name, 0),
                    name in shapes,
                    name in cuts,
                    name in starts,
                    name in outline,
                )
            )
    return NetworkSummary(
        backbone.name,
        backbone.weights_name,
        list(backbone.preprocessing.crop),
        rows,
        sum(sizes.values()),
        sum(sizes[one] for one in trained if one in sizes),
        costs.get("", 0),
        from_layer,
        str(tail.tap) if tail else None,
        note,
    )


def _cuts(backbone: Backbone) -> tuple[set[str], set[str], str]:
    try:
        anatomy = Anatomy(backbone)
    except BackboneError as error:
        return set(), set(), str(error)
    names = [name for name, _ in backbone.module.named_modules() if name]
    starts = {name for name in names if anatomy.can_start(name)}
    return {name for name in names if anatomy.can_cut(name)}, starts, ""


def _measured(backbone: Backbone) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Return each layer's output for one image and its multiply-adds, by name; the whole network's has none."""
    shapes: dict[str, list[int]] = {}

    def keep(name: str, output: Any) -> None:
        while isinstance(output, tuple | list) and output:  # as a tap reads it
            output = output[0]
        if isinstance(output, torch.Tensor) and output.ndim > 1 and len(output) == 1:  # not windows of the image
            shapes[name] = list(output.shape[1:])

    module = backbone.module
    handles = [
        layer.register_forward_hook(lambda _module, _given, output, name=name: keep(name, output))
        for name, layer in module.named_modules()
    ]
    some = next(module.parameters(), torch.empty(0))
    image = torch.zeros(1, 3, *backbone.preprocessing.crop, device=some.device)
    counter = FlopCounterMode(display=False)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(value=False)  # what it does at once is not counted
    try:
        with torch.no_grad(), counter:
            module(image)
    except (RuntimeError, AssertionError, ValueError) as error:
        size = "×".join(map(str, backbone.preprocessing.crop))
        raise BackboneError(
            f"{backbone.name} takes no images of {size} pixels ({str(error).partition(chr(10))[0]}); leave out "
            "--image-size, or give another"
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(value=fast)
        for handle in handles:
            handle.remove()
    root = type(module).__name__
    return shapes, {
        name.removeprefix(root).removeprefix("."): sum(flops.values()) // 2
        for name, flops in counter.get_flop_counts().items()
        if name == root or name.startswith(f"{root}.")
    }


def _outline(backbone: Backbone) -> Iterator[str]:
    inside = (backbone.head,) if backbone.head else ()
    waiting = [(name, child) for name, child in backbone.module.named_children()]
    while waiting:
        name, layer = waiting.pop(0)
        yield name
        if is_opened(backbone.module, name, inside) or (type(layer) is nn.Sequential and "." not in name):
            waiting += [(f"{name}.{own}", child) for own, child in layer.named_children()]


def outline_rows(summary: NetworkSummary) -> list[LayerRow]:
    """Return the rows that show a network in as few lines as possible: blocks, and what holds them."""
    return [row for row in summary.layers if row.outline]
