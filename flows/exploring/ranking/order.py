"""Order without a look at the images: the depth of layers, and what is published of a backbone."""

from collections.abc import Sequence

from scipy.stats import rankdata

from headstart.extractors.backbones import BackboneInfo, list_backbones, load_backbone, resolve_backbone
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
        found |= {(key, tap): place for place, tap in enumerate(_sorted(backbone, taps), 1)}
    return [found[one.store.key.id, one.tap] for one in embedded]


def static_ranks(embedded: Sequence[Embedded], depth: Sequence[int]) -> tuple[list[int | None], str | None]:
    """Return ranks, from 1, by published ImageNet accuracy or else by size, and which of them it is.

    Of one backbone, a higher layer stands before a lower one; random weights stand last. Equals share a rank.
    """
    about = [_published(one.backbone) for one in embedded]
    for name, words in (("top1", "published accuracy"), ("parameters", "number of parameters")):
        published: list[float | None] = [getattr(row, name, None) for row in about]
        values = [-1.0 if is_random(one) else value for one, value in zip(embedded, published, strict=True)]
        if None not in values and set(values) != {-1.0}:
            order = sorted(set(zip(values, depth, strict=True)), reverse=True)
            ranks = rankdata([order.index(pair) for pair in zip(values, depth, strict=True)], method="min")
            return [int(rank) for rank in ranks], words
    return [None] * len(embedded), None


def is_random(embedded: Embedded) -> bool:
    """Tell whether the backbone has random weights."""
    return bool(embedded.store.about["weights_source"] == "none")


def _sorted(backbone: str, taps: Sequence[str]) -> list[str]:
    if len(taps) < 2 or resolve_backbone(backbone)[0] == "callable":
        return list(taps)
    try:
        loaded = load_backbone(backbone, weights="none")
    except (BackboneError, ImportError):  # its library is not installed here, where only its rows are needed
        return list(taps)
    return sorted(taps, key=lambda tap: depth_of(loaded, Tap.parse(tap)))


def _published(backbone: str) -> BackboneInfo | None:
    try:
        return next((one for one in list_backbones(backbone) if one.name == backbone), None)
    except (BackboneError, ImportError):
        return None
