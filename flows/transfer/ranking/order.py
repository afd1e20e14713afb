"""Order without a look at the images: the depth of layers, and what is published of a backbone."""

from collections.abc import Sequence
from functools import lru_cache

from scipy.stats import rankdata

from headstart.extractors.backbones import Backbone, BackboneInfo, list_backbones, load_backbone, resolve_backbone
from headstart.extractors.errors import BackboneError
from headstart.extractors.network import depth_of
from headstart.extractors.spec import Tap
from headstart.flows.problem import Embedded


def depths(embedded: Sequence[Embedded]) -> list[int]:
    """Return the place of each tap among those of its key, from 1, the lowest layer first.

    The code of a backbone of somebody's own is not run for that: its taps stay in the order of the key.
    """
    found: dict[tuple[str, str], int] = {}
    for key in dict.fromkeys(one.store.key.id for one in embedded):
        taps = [one.tap for one in embedded if one.store.key.id == key]
        backbone = next(one.backbone for one in embedded if one.store.key.id == key)
        found |= {(key, tap): place for place, tap in enumerate(sort_taps(backbone, taps), 1)}
    return [found[one.store.key.id, one.tap] for one in embedded]


def static_ranks(embedded: Sequence[Embedded], depth: Sequence[int]) -> tuple[list[int | None], str | None]:
    """Return ranks, from 1, by published ImageNet accuracy or else by size, and which of them it is.

    Of one backbone, a higher layer stands before a lower one; random weights stand last. Equals share a rank.
    """
    for published, words in ((_accuracy, "published accuracy"), (_parameters, "number of parameters")):
        found = {one.backbone: published(one.backbone) for one in embedded if not is_random(one)}
        if found and None not in found.values():
            values = [-1.0 if is_random(one) else found[one.backbone] for one in embedded]
            order = sorted(set(zip(values, depth, strict=True)), reverse=True)
            ranks = rankdata([order.index(pair) for pair in zip(values, depth, strict=True)], method="min")
            return [int(rank) for rank in ranks], words
    return [None] * len(embedded), None


def is_random(embedded: Embedded) -> bool:
    """Tell whether the backbone has random weights."""
    return bool(embedded.store.about["weights_source"] == "none")


def sort_taps(backbone: str, taps: Sequence[str]) -> list[str]:
    """Return taps from the lowest layer to the last; those of somebody's own code as they are given."""
    loaded = network_of(backbone) if len(taps) > 1 else None
    return list(taps) if loaded is None else sorted(taps, key=lambda tap: depth_of(loaded, Tap.parse(tap)))


def _accuracy(backbone: str) -> float | None:
    return next((one.top1 for one in _described(backbone) if one.name == backbone), None)


def _parameters(backbone: str) -> float | None:
    known = next((one.parameters for one in _described(backbone) if one.name == backbone), None)
    loaded = None if known else network_of(backbone)
    return known if loaded is None else sum(one.numel() for one in loaded.module.parameters())


def _described(backbone: str) -> Sequence[BackboneInfo]:
    try:
        return list_backbones(backbone)
    except (BackboneError, ImportError):
        return []


@lru_cache(maxsize=4)
def network_of(backbone: str) -> Backbone | None:
    """Build a network without its weights; None of somebody's own code, and where its library is not installed."""
    if resolve_backbone(backbone)[0] == "callable":
        return None
    try:
        return load_backbone(backbone, weights="none")
    except (BackboneError, ImportError):
        return None
