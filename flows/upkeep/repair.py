"""One key of a cache made whole again: its damaged shards are put aside, their images embedded once more."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore, find_damage, read_digests
from headstart.extractors.errors import CacheError
from headstart.extractors.listing import CacheListing
from headstart.extractors.spec import EmbeddingKey, Settings, Tap
from headstart.extractors.upkeep import delete_aside, find_unembedded, put_shards_aside, put_shards_back
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.errors import JobError
from headstart.flows.extraction import device_lock, quarantine, run_shards
from headstart.flows.output import say_waiting

if TYPE_CHECKING:  # these load torch, which checking does without
    from headstart.extractors.backbones import Backbone
    from headstart.extractors.extraction import ShardResult


def repair_key(
    cache: EmbeddingCache,
    store: EmbeddingStore,
    listing: CacheListing | None,
    notes: list[str],
    *,
    backbone: str | None,
    device: str,
    workers: int | None,
    progress: bool,
) -> tuple[int, CacheListing]:
    """Embed again the listed images whose rows are damaged or missing, with the backbone that the key names.

    Parameters
    ----------
    listing : CacheListing or None
        The images; without them nothing can be repaired.
    notes : list of str
        What a person should know is added.
    backbone : str or None
        The ``MODULE:CALLABLE`` whose code may run.

    Returns
    -------
    int, CacheListing
        How many images have a sound row again, copies included; and the listing, in which images that are gone are
        quarantined.

    Raises
    ------
    JobError
        The images or the backbone are no longer what they were; the shards are as before.
    ExtractorError
        The weights cannot be had, or the cache cannot be written.
    """
    listing = _images_at_hand(cache, listing)
    network = _load_same(store.key, store.about, backbone)
    with writer_lock(store.path, on_wait=say_waiting if progress else None):
        # Another process may have repaired a shard while this one waited.
        damaged = [path for path in store.shards() if find_damage(path, store.key)]
        lacking = find_unembedded(store, listing, damaged)
        if unlisted := _count_unlisted(store, listing, damaged):
            notes.append(f"{unlisted} rows of images that are no longer listed were in damaged shards and are gone")
        aside = put_shards_aside(store, damaged)
    try:
        listing = _embed(cache, store, listing, network, device, workers, notes, progress)
    except JobError:
        with writer_lock(store.path, on_wait=say_waiting if progress else None):
            put_shards_back(aside)
        raise
    delete_aside(store)
    usable = set(listing.usable["path"])
    left = set(find_unembedded(store, listing, ()))
    return sum(path in usable and path not in left for path in lacking), listing


def _images_at_hand(cache: EmbeddingCache, listing: CacheListing | None) -> CacheListing:
    if listing is None:
        raise JobError(
            f"no images are listed; run 'headstart extract IMAGES --cache {cache.path}', then repair once more"
        )
    if isinstance(listing.root, Path) and not listing.root.is_dir():
        raise JobError(
            f"the images are no longer in {listing.root}; put them back, or run 'headstart extract' with the folder "
            f"where they are now and --cache {cache.path}, which lists them even if it stops at the damage; then repair"
        )
    return listing


def _load_same(key: EmbeddingKey, about: dict[str, str], named: str | None) -> "Backbone":
    """Load the backbone of a key, and refuse one that would give other numbers under its name."""
    from headstart.extractors.backbones import load_backbone, resolve_backbone  # noqa: PLC0415 - loads torch

    # A cache may come from anywhere, and importing is running.
    if resolve_backbone(key.backbone)[0] == "callable" and named != key.backbone:
        raise JobError(
            f"{key.backbone} is code that would run now; if you trust it, say so with --backbone {key.backbone}"
        )
    network = load_backbone(key.backbone, weights=about["weights_source"])
    found = (network.name, network.weights, network.preprocessing)
    if found != (key.backbone, key.weights, key.preprocessing):
        raise JobError(
            f"{about['weights_source']} of {key.backbone} now gives other embeddings (weights {network.weights[:19]}…, "
            f"expected {key.weights[:19]}…); put the weights back that it was made with, or extract anew"
        )
    return network


def _embed(
    cache: EmbeddingCache,
    store: EmbeddingStore,
    listing: CacheListing,
    network: "Backbone",
    device: str,
    workers: int | None,
    notes: list[str],
    progress: bool,
) -> CacheListing:
    """Embed what the sound shards lack; returns the listing with what could not be read in quarantine."""
    from headstart.extractors.extraction import Extraction  # noqa: PLC0415 - loads torch
    from headstart.extractors.network import DeviceError, resolve_device  # noqa: PLC0415 - loads torch

    settings = Settings.for_key(store.key, device=device, workers=workers)
    taps = [Tap.parse(spec) for spec in store.key.taps]
    source = store.about["weights_source"]
    try:
        with device_lock(resolve_device(settings.device), show=True):
            extraction = Extraction(cache, listing, network, taps, settings, weights_source=source)
    except DeviceError as error:
        raise JobError(f"it was decoded on a GPU, and other pixels would not be the same rows ({error})") from error
    if differences := store.key.differences(extraction.store.key):
        raise JobError(f"this version of headstart makes other embeddings ({differences}); extract anew")
    results: list[ShardResult] = []
    run_shards(extraction, results, progress=progress)
    reasons = [reason for result in results for reason in (*result.unreadable.values(), *result.not_read.values())]
    if reasons and len(reasons) == len(extraction.missing):
        raise JobError(f"not one of {len(reasons)} images could be read ({reasons[0]}); put the images back")
    if reasons:
        notes.append(f"{len(reasons)} images could not be read again (first: {reasons[0]}) and are in quarantine")
    return quarantine(cache, listing, results)


def _count_unlisted(store: EmbeddingStore, listing: CacheListing, damaged: Sequence[Path]) -> int:
    """Count the rows of damaged shards that no listed image has; of a shard that cannot be opened none is known."""
    listed = set(listing.usable["digest"])
    count = 0
    for path in damaged:
        try:
            digests = read_digests(path, store.key)
        except CacheError:
            continue
        count += sum(row.tobytes().hex() not in listed for row in digests)
    return count
