"""Trunks of a cache's backbone: the maps that tails are trained on, found in the cache or embedded first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.extractors.backbones import Backbone, canonical_name, load_backbone, resolve_backbone
from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.extraction import Extraction, ShardResult
from headstart.extractors.listing import read_listing
from headstart.extractors.network import Tail, cut_before, resolve_device
from headstart.extractors.spec import EmbeddingKey, Settings, Tap, find_weights_file, short_name
from headstart.flows.errors import JobError
from headstart.flows.extraction import device_lock, quarantine, run_shards
from headstart.flows.options import FinetuneOptions
from headstart.flows.output import show_line
from headstart.flows.problem import find_views


@dataclass(frozen=True)
class Trunk:
    """Rows that the trunk of a network has put out, and the tail that takes them.

    Attributes
    ----------
    layer : str
        First one that is trained.
    store : EmbeddingStore
        Holds a row of `tail.tap` for each image.
    tail : Tail
        With the weights and the classifier of the pretraining.
    n_extracted : int
        Images that had to be embedded for it.
    """

    layer: str
    store: EmbeddingStore
    tail: Tail
    n_extracted: int = 0


def open_trunks(cache: EmbeddingCache, layers: Sequence[str], options: FinetuneOptions) -> list[Trunk]:
    """Cut the backbone of a cache before each layer, and embed the maps that the tails take, where they are not there.

    Raises
    ------
    JobError
        There is no such backbone, there are several, its weights are not those of the cache, or maps have to be made
        and the images are away.
    BackboneError
        It cannot be trained from one of these layers on.
    """
    known, backbone, source = open_network(cache, options)
    tails = {layer: cut_before(backbone, layer) for layer in layers}
    wanted = read_listing(cache).distinct["digest"].tolist()
    at = {layer: _find(cache, known.key, str(tail.tap), wanted, views=options.views) for layer, tail in tails.items()}
    lacking = [tails[layer].tap for layer, store in at.items() if store is None]
    if not lacking:
        return [Trunk(layer, store, tails[layer]) for layer, store in at.items() if store]
    made, n_images = _extract(cache, backbone, lacking, known, source, progress=options.progress)
    return [Trunk(layer, store or made, tails[layer], 0 if store else n_images) for layer, store in at.items()]


def open_network(cache: EmbeddingCache, options: FinetuneOptions) -> tuple[EmbeddingStore, Backbone, str]:
    """Return the embeddings of a cache that are meant, the network that made them, and where its weights are.

    Raises
    ------
    JobError
        There is no such backbone, there are several, or its weights are not those of the cache.
    """
    known = _choose(cache, options)
    asked = options.weights
    named = known.about["weights_source"] if asked is None or _names_weights(known, asked) else asked
    source = str(find_weights_file(named) or named)
    backbone = load_backbone(known.key.backbone, weights=source, image_size=known.key.image_size)
    if backbone.weights != known.key.weights:
        raise JobError(
            f"{cache.path}: embedded with weights {known.key.weights}, and {source} gives {backbone.weights}; name its "
            "own weights with --weights FILE"
        )
    return known, backbone, source


def _find(
    cache: EmbeddingCache, known: EmbeddingKey, tap: str, wanted: list[str], *, views: bool
) -> EmbeddingStore | None:
    """Return embeddings of the same network on the same pixels that hold a tap of all images, if asked with views."""
    found = [
        store
        for store in cache.stores(plain=True)
        if is_of_same(store.key, known) and tap in store.key.taps and not store.missing(wanted).any()
    ]
    with_views = (store for store in found if views and find_views(cache, store, wanted, []))
    return next(with_views, next(iter(found), None))


def is_of_same(key: EmbeddingKey, known: EmbeddingKey) -> bool:
    """Tell whether two keys are of one network on the same pixels."""
    alike = {name: getattr(known, name) for name in ("taps", "dtype", "precision", "decode", "exact")}
    return replace(key, **alike) == known


def _choose(cache: EmbeddingCache, options: FinetuneOptions) -> EmbeddingStore:
    named = options.backbone and canonical_name(options.backbone)
    stores = [one for one in cache.stores(plain=True) if options.keys is None or one.key.id in options.keys]
    found = [one for one in stores if named in (None, one.key.backbone, short_name(one.key.backbone))]
    kinds = {(one.key.backbone, one.key.weights) for one in found}
    if not found:
        raise JobError(f"{cache.path}: no embeddings of {named or 'any backbone'}; the cache has {_names(stores)}")
    if len(kinds) > 1:  # of one backbone, weights tell them apart; else they may say where the only ones are now
        found = [one for one in found if _names_weights(one, options.weights)]
        if len({(one.key.backbone, one.key.weights) for one in found}) != 1:
            alike = "" if len({backbone for backbone, _ in kinds}) > 1 else " and --weights"
            raise JobError(f"{cache.path}: holds several backbones ({_names(stores)}); name one with --backbone{alike}")
    if resolve_backbone(found[0].key.backbone)[0] == "callable" and named != found[0].key.backbone:
        raise JobError(
            f"{cache.path}: embedded by {found[0].key.backbone}, which is code that would run now; if you trust it, "
            f"say so with --backbone {found[0].key.backbone}"
        )
    return found[0]


def _names_weights(store: EmbeddingStore, weights: str | None) -> bool:
    """Tell whether weights are asked for as those of a store were: by their name, or by their file."""
    about = store.about
    names = (about["weights_name"], about["weights_source"])
    return weights is None or weights in names or str(find_weights_file(weights)) == about["weights_source"]


def _names(stores: Sequence[EmbeddingStore]) -> str:
    named = {f"{short_name(one.key.backbone)} with weights {one.about['weights_name']}" for one in stores}
    return ", ".join(sorted(named)) or "none"


def _extract(
    cache: EmbeddingCache,
    backbone: Backbone,
    taps: Sequence[Tap],
    known: EmbeddingStore,
    source: str,
    *,
    progress: bool,
) -> tuple[EmbeddingStore, int]:
    """Embed some maps in one go; returns where they are, and of how many images."""
    listing, named = read_listing(cache), ", ".join(map(str, taps))
    if isinstance(listing.root, Path) and not listing.root.exists():
        raise JobError(
            f"{cache.path}: lacks {named}, and the images are not at {listing.root}; bring them back, or train from "
            "a layer whose maps are there ('headstart inspect' lists them)"
        )
    if progress:
        show_line(f"the cache lacks {named}: it is extracted from {listing.root}, once")
    settings = replace(Settings.for_key(known.key), dtype=None)
    with device_lock(resolve_device(settings.device), show=progress):
        extraction = Extraction(cache, listing, backbone, taps, settings, weights_source=source)
    results: list[ShardResult] = []
    try:
        run_shards(extraction, results, progress=progress)
    finally:
        quarantine(cache, listing, results)
    return extraction.store, sum(result.embedded for result in results)
