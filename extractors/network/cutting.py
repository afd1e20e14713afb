"""Layers at which a network can be cut in two: all that is computed behind them follows from what they put out."""

import copy
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import fx, nn

from headstart.extractors.backbones import Backbone, MissingHead
from headstart.extractors.errors import BackboneError
from headstart.extractors.network.folding import TRACING

_WALKED_ROUND = "what goes round it (a skip connection) is needed behind it too"


@dataclass(frozen=True)
class _Call:
    """Nodes that one call of a layer made: the first, the one behind the last, and the one that it gave back."""

    begin: int
    end: int
    result: fx.Node | None


class _Recorder(fx.Tracer):
    """Tracer that writes down which nodes come of which layer, of layers with layers inside too."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, list[_Call]] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # What has no layers inside is never cut, and may ask for shapes, which stand-ins have none of.
        return not any(m.children()) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        begin = len(self.graph.nodes)
        result = super().call_module(m, forward, args, kwargs)
        node = result.node if isinstance(result, fx.Proxy) else None
        self.calls.setdefault(self.path_of_module(m), []).append(_Call(begin, len(self.graph.nodes), node))
        return result


def _left_out(module: nn.Module) -> dict[str, Any]:
    """Return the arguments, such as masks, that a network has defaults for: it is called with images alone."""
    parameters = inspect.signature(module.forward).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}


class Anatomy:
    """A network as torch.fx traces it, and the layers behind which it can be cut.

    Parameters
    ----------
    backbone : Backbone
        Its module is neither run nor changed; what is cut off shares its parameters.

    Raises
    ------
    BackboneError
        The network's code cannot be traced.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        shared = {id(one): one for one in (*backbone.module.parameters(), *backbone.module.buffers())}
        recorder = _Recorder()
        try:
            # Of a copy: tracing runs the network's code on stand-ins for tensors, and what it keeps of them stays.
            with TRACING:
                self._root = copy.deepcopy(backbone.module, shared)
                self._graph = recorder.trace(self._root, _left_out(self._root))
        except Exception as error:  # a network's own code may fail in any way on stand-ins
            raise BackboneError(
                f"{backbone.name} cannot be cut: torch.fx cannot trace its code ({type(error).__name__}: "
                f"{str(error).partition(chr(10))[0]}); take a backbone of torchvision, or fit a head on its embeddings"
            ) from error
        self._calls = {name: calls[0] for name, calls in recorder.calls.items() if len(calls) == 1}
        self._nodes = list(self._graph.nodes)
        self._places = {node: place for place, node in enumerate(self._nodes)}

    @cached_property
    def _needed(self) -> set[fx.Node]:
        """Nodes that the output is computed of; checks of shapes are not among them."""
        return self._needed_from(None)

    def _needed_from(self, start: fx.Node | None) -> set[fx.Node]:
        waiting, found = [self._nodes[-1]], set[fx.Node]()
        while waiting:
            node = waiting.pop()
            if node not in found:
                found.add(node)
                waiting += [] if node is start else node.all_input_nodes
        return found

    @cached_property
    def _cut_places(self) -> list[int]:
        """Places of the nodes of which alone, and of parameters, all that comes later is computed."""
        of_images, open_until, places = set[fx.Node](), -1, []
        for place, node in enumerate(self._nodes):
            if node.op != "placeholder" and not of_images.intersection(node.all_input_nodes):
                continue
            of_images.add(node)
            if node not in self._needed:
                continue
            if place >= open_until:
                places.append(place)
            open_until = max([open_until, *(self._places[user] for user in node.users if user in self._needed)])
        return places

    @cached_property
    def cuts(self) -> Mapping[str, int]:
        """Layers behind which the network can be cut, in its order; of several that end together, the outermost."""
        allowed, named = set(self._cut_places), dict[int, str]()
        for name, call in self._calls.items():
            place = -1 if call.result is None else self._places[call.result]
            if place in allowed and (place not in named or len(name) < len(named[place])):
                named[place] = name
        last = max(named, default=-1)
        # Behind the last layer nothing is left that could be trained.
        return {named[place]: place for place in sorted(named) if place != last or not self._ends_at(place)}

    def _ends_at(self, place: int) -> bool:
        return not any(self._has_weights(node) for node in self._nodes[place + 1 :])

    def _has_weights(self, node: fx.Node) -> bool:
        if node not in self._needed:
            return False
        if node.op == "call_module":
            layer = self._root.get_submodule(str(node.target))
            return isinstance(layer, MissingHead) or any(True for _ in layer.parameters())
        return node.op == "get_attr"

    def place_of(self, layer: str) -> int:
        """Return the place of a layer behind which the network can be cut.

        Raises
        ------
        BackboneError
            There is no such layer, or it cannot be cut there; the message names the nearest that can be.
        """
        call = self._called(layer)
        place = -1 if call.result is None else self._places[call.result]
        if place not in set(self._cut_places):
            raise self._refused(f"be cut behind {layer!r}", call.end - 1, self.cuts)
        return place

    def cut_before(self, layer: str) -> str:
        """Return the layer whose output is all that `layer` and what follows it are computed of.

        Raises
        ------
        BackboneError
            There is no such layer, what goes round it is trained too, or it takes the images themselves.
        """
        call = self._called(layer)
        before = [name for name, place in self.cuts.items() if place < call.begin]
        if not before:
            raise BackboneError(
                f"{self.backbone.name}: nothing lies before {layer!r}, so there is nothing to cache; train from a "
                f"later layer, such as {next(iter(self.starts), 'the classifier')!r}"
            )
        found = before[-1]
        if any(self._has_weights(node) for node in self._nodes[self.cuts[found] + 1 : call.begin]):
            begins = {name: self._calls[name].begin for name in self.starts}
            raise self._refused(f"be trained from {layer!r} on", call.begin, begins)
        return found

    @cached_property
    def starts(self) -> list[str]:
        """Layers from which on the network can be trained on what the one before puts out, outermost, in order."""
        found = dict[int, str]()
        for name, call in sorted(self._calls.items(), key=lambda one: (one[1].begin, len(one[0]))):
            before = [place for place in self.cuts.values() if place < call.begin]
            if before and any(map(self._has_weights, self._inside(name))):
                between = self._nodes[before[-1] + 1 : call.begin]
                if not any(map(self._has_weights, between)):
                    found.setdefault(before[-1], name)
        return list(found.values())

    def can_cut(self, layer: str) -> bool:
        """Tell whether the network can be cut behind a layer."""
        result = self._calls[layer].result if layer in self._calls else None
        return result is not None and self._places[result] in self.cuts.values()

    def can_start(self, layer: str) -> bool:
        """Tell whether the network can be trained from a layer on."""
        if layer not in self._calls or not any(map(self._has_weights, self._inside(layer))):
            return False
        try:
            self.cut_before(layer)
        except BackboneError:
            return False
        return True

    def _inside(self, layer: str) -> list[fx.Node]:
        return self._nodes[self._calls[layer].begin : self._calls[layer].end]

    def tail_of(self, layer: str) -> fx.GraphModule:
        """Return all that follows a layer as a module of its own: it takes the layer's output, and gives logits.

        Its layers and parameters have the names that they have in the network, and are those of the network.
        """
        start = self._nodes[self.place_of(layer)]
        needed, graph = self._needed_from(start), fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        with TRACING:
            copies[start] = graph.placeholder("rows")
            for node in self._nodes:
                if node in needed and node is not start:
                    copies[node] = graph.node_copy(node, copies.__getitem__)
            return fx.GraphModule(self._root, graph, f"TailOf{type(self.backbone.module).__name__}")

    def whole(self) -> fx.GraphModule:
        """Return all of the network as a module of its own; its layers and parameters are those of the network."""
        with TRACING:
            return fx.GraphModule(self._root, self._graph, f"WholeOf{type(self.backbone.module).__name__}")

    def order_of(self, parameter: str) -> int:
        """Return where in the network a parameter is first used; behind all others where that is not known."""
        owner, _, _ = parameter.rpartition(".")
        for place, node in enumerate(self._nodes):
            if node.op in ("call_module", "get_attr") and str(node.target) in (owner, parameter):
                return place
        inside = [call.begin for name, call in self._calls.items() if f"{owner}.".startswith(f"{name}.")]
        return max(inside, default=len(self._nodes))

    def _called(self, layer: str) -> _Call:
        if layer in self._calls:
            return self._calls[layer]
        if layer not in dict(self.backbone.module.named_modules()):
            raise BackboneError(
                f"{self.backbone.name} has no layer {layer!r}; 'headstart summary' lists them, such as "
                f"{', '.join(self.starts[-3:])}"
            )
        raise BackboneError(
            f"{self.backbone.name} cannot be cut at {layer!r}: it is called several times, or not by itself; layers "
            f"that can be cut: {', '.join(list(self.cuts)[-3:])}"
        )

    def _refused(self, what: str, place: int, possible: Mapping[str, int]) -> BackboneError:
        before = [name for name, own in possible.items() if own < place][-1:]
        after = [name for name, own in possible.items() if own > place][:1]
        return BackboneError(
            f"{self.backbone.name} cannot {what}: {_WALKED_ROUND}; nearest layers where it can: "
            f"{', '.join([*before, *after]) or 'none'}"
        )
