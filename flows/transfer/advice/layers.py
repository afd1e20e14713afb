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
    network, tap : str
        The former for people, as shortly as it can be told apart.
    kind : {"learned", "raw pixels", "random weights"}
    embedded : Embedded
    scores : QuickScores
    """

    network: str
    tap: str
    kind: Kind
    embedded: Embedded
    scores: QuickScores

    @property
    def name(self) -> str:
        """Network and tap; of raw pixels, which have one tap, the former alone."""
        return self.network if self.kind == "raw pixels" else f"{self.network} · {self.tap}"


def kind_of(embedded: Embedded) -> Kind:
    """Return whether features were learned, or are a control, and which."""
    if embedded.backbone in _PIXELS:
        return "raw pixels"
    return "random weights" if is_random(embedded) else "learned"


def named_layers(embedded: Sequence[Embedded], scores: Sequence[QuickScores]) -> list[Layer]:
    """Return layers, the lowest of each network first, and controls behind all others; of equal taps the first one.

    Keys of one network on the same pixels, such as those of two extractions of other layers, are one network.
    """
    networks: dict[tuple[object, ...], dict[str, tuple[Embedded, QuickScores]]] = {}
    for one, score in sorted(zip(embedded, scores, strict=True), key=lambda pair: kind_of(pair[0]) != "learned"):
        networks.setdefault(identity_of(one), {}).setdefault(one.tap, (one, score))
    firsts = [next(iter(taps.values()))[0] for taps in networks.values()]
    names = [_name_of(one) for one in firsts]
    found: list[Layer] = []
    for taps, first, name in zip(networks.values(), firsts, names, strict=True):
        named = name if names.count(name) == 1 else f"{name} {first.label}"
        order = sort_taps(first.backbone, list(taps))
        found += [Layer(named, tap, kind_of(first), *taps[tap]) for tap in order]
    return found


def _name_of(embedded: Embedded) -> str:
    """Return the name of a network beside those of others: of a control, what it is."""
    kind, name = kind_of(embedded), short_name(embedded.backbone)
    return name if kind == "learned" else "raw pixels" if kind == "raw pixels" else f"{name}, random weights"


def identity_of(embedded: Embedded) -> tuple[object, ...]:
    """Return backbone, weights and pixels, by which the rows of one network are known to belong together."""
    key = embedded.store.key
    return key.backbone, key.weights, key.preprocessing, key.image_size


def best_of(layers: Iterable[Layer]) -> Layer:
    """Return the layer that tells most images; of equals the first."""
    return max(layers, key=lambda layer: layer.scores.score)
