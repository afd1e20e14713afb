"""Layers of a cache by network, each with its quick scores: learned ones, and the controls beside them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.extractors.spec import short_name
from headstart.flows.problem import Embedded
from headstart.flows.transfer.ranking import is_random, sort_taps
from headstart.heads.transfer import QuickScores

Kind = Literal["learned", "raw pixels", "random weights"]
CONTROLS: tuple[Kind, Kind] = ("raw pixels", "random weights")
_PIXELS = ("headstart/raw_pixels", "headstart/pixels")


@dataclass(frozen=True)
class Layer:
    """One layer of one network.

    Attributes
    ----------
    name : str
        For people: network and tap.
    kind : {"learned", "raw pixels", "random weights"}
    embedded : Embedded
    scores : QuickScores
    """

    name: str
    kind: Kind
    embedded: Embedded
    scores: QuickScores


def kind_of(embedded: Embedded) -> Kind:
    """Return whether features were learned, or are a control, and which."""
    if embedded.backbone in _PIXELS:
        return "raw pixels"
    return "random weights" if is_random(embedded) else "learned"


def named_layers(embedded: Sequence[Embedded], scores: Sequence[QuickScores]) -> list[Layer]:
    """Return layers, those of a network together and the lowest first; of a tap that is there twice, the first one.

    Keys of one network on the same pixels, such as those of two extractions of other layers, are one network.
    """
    networks: dict[tuple[object, ...], dict[str, tuple[Embedded, QuickScores]]] = {}
    for one, score in zip(embedded, scores, strict=True):
        networks.setdefault(identity_of(one), {}).setdefault(one.tap, (one, score))
    shorts = [short_name(str(backbone)) for backbone, *_ in networks]
    found = []
    for taps, short in zip(networks.values(), shorts, strict=True):
        backbone = next(iter(taps.values()))[0].backbone
        for tap in sort_taps(backbone, list(taps)):
            one, score = taps[tap]
            label = short if shorts.count(short) == 1 else one.label
            found.append(Layer(f"{label} · {tap}", kind_of(one), one, score))
    return found


def identity_of(embedded: Embedded) -> tuple[object, ...]:
    """Return what the rows of one network on the same pixels have in common."""
    key = embedded.store.key
    return key.backbone, key.weights, key.preprocessing, key.image_size


def best_of(layers: Iterable[Layer]) -> Layer:
    """Return the layer that tells most images; of equals the first."""
    return max(layers, key=lambda layer: layer.scores.score)
