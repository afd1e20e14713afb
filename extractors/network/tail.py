"""A network in two: the trunk, which is run once, and the tail, which is trained on what the trunk puts out."""

import copy
from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from torch import fx, nn

from headstart.extractors.backbones import Backbone, MissingHead
from headstart.extractors.errors import BackboneError
from headstart.extractors.network.cutting import Anatomy
from headstart.extractors.network.taps import TapReader
from headstart.extractors.spec import PENULTIMATE, Tap

LARGEST_DIFFERENCE = 1e-5
"""Of logits of trunk and tail from the whole network's, as a share of the largest logit where that is over 1."""

NEW_CLASSIFIER = "new_classifier"
"""Name of the classifier of a network that has none."""

_N_CHECKED = 2  # images: one alone would not show what mixes images


@dataclass(frozen=True)
class Tail:
    """Upper part of a network, from a layer's output to the logits.

    Attributes
    ----------
    backbone : str
        Canonical name of the network.
    layer : str
        Layer of the trunk whose output the tail takes.
    module : torch.fx.GraphModule
        In evaluation mode; takes (n_images, …) as the layer puts it out, and gives (n_images, n_classes). Its layers
        and parameters bear the names that they have in the network.
    blocks : tuple of str
        Layers that hold all parameters, in the order of the network; the classifier is the last.
    takes : tuple of int
        Shape of what the classifier takes of one image.
    """

    backbone: str
    layer: str
    module: fx.GraphModule
    blocks: tuple[str, ...]
    takes: tuple[int, ...]

    @property
    def tap(self) -> Tap:
        """The tap whose rows the tail takes."""
        return Tap(self.layer, "map")

    @property
    def head(self) -> str:
        """Name of the classifier."""
        return self.blocks[-1]

    def with_classes(self, n_classes: int, seed: int = 0) -> "Tail":
        """Return a copy with a new classifier of so many classes, its weights drawn as torch draws them.

        It has a bias where the old one has, so that the stock model takes it.

        Raises
        ------
        BackboneError
            The classifier is neither a linear layer nor a convolution, so none can take its place.
        """
        module = copy.deepcopy(self.module)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            new = self._new_classifier(module.get_submodule(self.head), n_classes)
        module.set_submodule(self.head, new.eval())
        return replace(self, module=module)

    def _new_classifier(self, old: nn.Module, n_classes: int) -> nn.Module:
        if isinstance(old, nn.Conv2d) and old.kernel_size == (1, 1):
            return nn.Conv2d(old.in_channels, n_classes, 1, bias=old.bias is not None)
        if isinstance(old, nn.Linear):
            return nn.Linear(old.in_features, n_classes, bias=old.bias is not None)
        if isinstance(old, nn.Identity) and len(self.takes) == 3:
            return nn.Conv2d(self.takes[0], n_classes, 1)
        if isinstance(old, nn.Identity) and len(self.takes) == 1:
            return nn.Linear(self.takes[0], n_classes)
        raise BackboneError(
            f"{self.backbone}: its classifier {self.head!r} is a {type(old).__name__} of features "
            f"{'×'.join(map(str, self.takes))}, expected a linear layer of one row an image; take another backbone"
        )

    def features(self) -> nn.Module:
        """Return a copy that ends before the classifier: it gives what that takes."""
        module = copy.deepcopy(self.module)
        module.set_submodule(self.head, nn.Identity())
        return module


def cut_before(backbone: Backbone, layer: str) -> Tail:
    """Cut a network so that its tail begins with `layer`; see `cut_behind`."""
    anatomy = Anatomy(backbone)
    return _cut(backbone, anatomy, anatomy.cut_before(layer))


def cut_behind(backbone: Backbone, layer: str) -> Tail:
    """Cut a network behind a layer, and hold trunk and tail against the whole.

    Raises
    ------
    BackboneError
        There is no such layer, or the network cannot be cut there; the message names the nearest layers where it can.
        Or trunk and tail together do not give what the network gives.
    """
    return _cut(backbone, Anatomy(backbone), layer)


def uncut(backbone: Backbone) -> Tail:
    """Return a whole network as a tail, which takes images (n_images, 3, height, width) and has no layer below.

    Raises
    ------
    BackboneError
        Its code cannot be traced, or it has no classifier.
    """
    if backbone.head is None:
        raise BackboneError(f"{backbone.name} has no classifier of its own; train it from a layer on, which finds one")
    anatomy = Anatomy(backbone)
    module = anatomy.whole().eval()
    return Tail(backbone.name, "", module, _blocks_of(module, anatomy, backbone.head, backbone.head), ())


def _cut(backbone: Backbone, anatomy: Anatomy, layer: str) -> Tail:
    module, head = anatomy.tail_of(layer).eval(), backbone.head or NEW_CLASSIFIER
    if backbone.head is None:
        _append_classifier(module)
    takes = _check_equal(backbone, layer, module, head)
    return Tail(backbone.name, layer, module, _blocks_of(module, anatomy, layer, head), takes)


def _check_equal(backbone: Backbone, layer: str, tail: nn.Module, head: str) -> tuple[int, ...]:
    """Compare trunk and tail with the whole network on made-up images; returns what the classifier takes of one."""
    some = next(backbone.module.parameters(), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(_N_CHECKED, 3, *backbone.preprocessing.crop, generator=generator).to(some.device)
    taps, takes = [Tap(layer, "map"), Tap(PENULTIMATE, "map")], list[torch.Size]()
    hook = tail.get_submodule(head).register_forward_pre_hook(lambda _module, given: takes.append(given[0].shape[1:]))
    with TapReader(replace(backbone, head=None), taps) as read, torch.no_grad():  # the output takes the place of a head
        rows, expected = read(images).values()
        found = tail(rows)
    hook.remove()
    where = f"{backbone.name} cut behind {layer!r}"
    if found.shape != expected.shape:
        raise BackboneError(
            f"{where}: the tail gives {tuple(found.shape)}, the network {tuple(expected.shape)}; cut it elsewhere"
        )
    # On the meta device there are no numbers to compare.
    off = 0.0 if some.is_meta else float((found - expected).abs().max()) / max(1.0, float(expected.abs().max()))
    if not off <= LARGEST_DIFFERENCE:
        raise BackboneError(
            f"{where}: trunk and tail differ from the network by {off:.1e}, expected at most "
            f"{LARGEST_DIFFERENCE:.0e}; cut it elsewhere"
        )
    return tuple(takes[0])


def _append_classifier(module: fx.GraphModule) -> None:
    """Give a network whose output are features a place for a classifier."""
    module.add_submodule(NEW_CLASSIFIER, MissingHead())
    output = next(node for node in module.graph.nodes if node.op == "output")
    with module.graph.inserting_before(output):
        made = module.graph.call_module(NEW_CLASSIFIER, (output.args[0],))
    output.args = (made,)
    module.recompile()


def _blocks_of(module: nn.Module, anatomy: Anatomy, layer: str, head: str) -> tuple[str, ...]:
    """Return the layers that rates and unfreezing go by."""
    blocks: dict[str, int] = {}
    for name, _ in module.named_parameters():
        block, place = _block_of(anatomy.backbone.module, name, (layer, head)), anatomy.order_of(name)
        blocks[block] = min(blocks.get(block, place), place)
    blocks.pop(head, None)
    return (*sorted(blocks, key=blocks.__getitem__), head)


def _block_of(network: nn.Module, parameter: str, inside: tuple[str, str]) -> str:
    """Return the outermost layer around a parameter that is no stage, and holds neither of two other layers inside."""
    parts = parameter.split(".")
    for depth in range(1, len(parts)):
        name = ".".join(parts[:depth])
        if not is_opened(network, name, inside):
            return name
    return parameter


def is_opened(network: nn.Module, name: str, inside: Collection[str]) -> bool:
    """Tell whether a layer is looked into: it is a stage, or holds one of some other layers."""
    if any(other.startswith(f"{name}.") for other in inside):
        return True
    return name not in inside and _is_stage(network.get_submodule(name))


def _is_stage(module: nn.Module) -> bool:
    """Tell whether a layer is a row of blocks of one kind, or holds one."""
    children = list(module.children())
    if isinstance(module, nn.Sequential | nn.ModuleList):
        kinds = {type(child) for child in children}
        return len(kinds) == 1 and all(any(child.children()) and not _is_row(child) for child in children)
    return sum(map(_is_stage, children)) == 1  # more are branches, side by side


def _is_row(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential)
