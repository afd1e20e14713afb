"""The trunk of a cache's backbone: the maps that a tail is trained on, found in the cache or embedded first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.extractors.backbones import Backbone, load_backbone, resolve_backbone
from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.extraction import Extraction, ShardResult
from headstart.extractors.listing import read_listing
from headstart.extractors.network import Tail, cut_before, resolve_device
from headstart.extractors.spec import EmbeddingKey, Settings, find_weights_file, short_name
from headstart.flows.errors import JobError
from headstart.flows.extraction import device_lock, quarantine, run_shards
from headstart.flows.fitting.finetuning.options import FinetuneOptions
from headstart.flows.output import show_line
from headstart.flows.problem import find_views


@dataclass(frozen=True)
class Trunk:
    """Rows that the trunk of a network has put out, and the tail that takes them.

    Attributes
    ----------
    store : EmbeddingStore
        Holds a row of `tail.tap` for each image.
    tail : Tail
        With the weights and the classifier of the pretraining.
    n_extracted : int
        Images that had to be embedded for it.
    """

    store: EmbeddingStore
    tail: Tail
    n_extracted: int


def open_trunk(cache: EmbeddingCache, layer: str, options: FinetuneOptions) -> Trunk:
    """Cut the backbone of a cache before a layer, and embed the maps that the tail takes, where they are not there.

    Raises
    ------
    JobError
        There is no such backbone, there are several, its weights are not those of the cache, or maps have to be made
        and the images are away.
    BackboneError
        It cannot be trained from this layer on.
    """
    known = _choose(cache, options.backbone)
    named = options.weights or known.about["weights_source"]
    source = str(find_weights_file(named) or named)
    backbone = load_backbone(known.key.backbone, weights=source, image_size=known.key.image_size)
    if backbone.weights != known.key.weights:
        raise JobError(
            f"{cache.path}: embedded with weights {known.key.weights}, and {source} gives {backbone.weights}; name its "
            "own weights with --weights FILE"
        )
    tail = cut_before(backbone, layer)
    wanted = read_listing(cache).distinct["digest"].tolist()
    found = [
        store
        for store in cache.stores(plain=True)
        if _is_of_same(store.key, known.key) and str(tail.tap) in store.key.taps and not store.missing(wanted).any()
    ]
    if found:
        with_views = (store for store in found if options.views and find_views(cache, store, wanted, []))
        return Trunk(next(with_views, found[0]), tail, 0)
    return _extract(cache, backbone, tail, known, source, progress=options.progress)


def _is_of_same(key: EmbeddingKey, known: EmbeddingKey) -> bool:
    """Tell whether two keys are of one network on the same pixels."""
    alike = {name: getattr(known, name) for name in ("taps", "dtype", "precision", "decode", "exact")}
    return replace(key, **alike) == known


def _choose(cache: EmbeddingCache, named: str | None) -> EmbeddingStore:
    stores = cache.stores(plain=True)
    found = [one for one in stores if named in (None, one.key.backbone, short_name(one.key.backbone))]
    kinds = {(one.key.backbone, one.key.weights) for one in found}
    if not found:
        raise JobError(f"{cache.path}: no embeddings of {named or 'any backbone'}; the cache has {_names(stores)}")
    if len(kinds) > 1:
        raise JobError(f"{cache.path}: holds several backbones ({_names(found)}); name one with --backbone")
    if resolve_backbone(found[0].key.backbone)[0] == "callable" and named != found[0].key.backbone:
        raise JobError(
            f"{cache.path}: embedded by {found[0].key.backbone}, which is code that would run now; if you trust it, "
            f"say so with --backbone {found[0].key.backbone}"
        )
    return found[0]


def _names(stores: Sequence[EmbeddingStore]) -> str:
    named = {f"{short_name(one.key.backbone)} with weights {one.about['weights_name']}" for one in stores}
    return ", ".join(sorted(named)) or "none"


def _extract(
    cache: EmbeddingCache, backbone: Backbone, tail: Tail, known: EmbeddingStore, source: str, *, progress: bool
) -> Trunk:
    listing = read_listing(cache)
    if isinstance(listing.root, Path) and not listing.root.exists():
        raise JobError(
            f"{cache.path}: lacks {tail.tap}, and the images are not at {listing.root}; bring them back, or train from "
            "a layer whose maps are there ('headstart inspect' lists them)"
        )
    if progress:
        show_line(f"the cache lacks {tail.tap}: it is extracted from {listing.root}, once")
    settings = replace(Settings.for_key(known.key), dtype=None)
    with device_lock(resolve_device(settings.device), show=progress):
        extraction = Extraction(cache, listing, backbone, [tail.tap], settings, weights_source=source)
    results: list[ShardResult] = []
    try:
        run_shards(extraction, results, progress=progress)
    finally:
        quarantine(cache, listing, results)
    return Trunk(extraction.store, tail, sum(result.embedded for result in results))
