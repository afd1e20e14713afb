"""One key of a cache made whole again: its damaged shards are put aside, their images embedded once more."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.extractors.cache import (
    EmbeddingCache,
    EmbeddingStore,
    KeyAbout,
    find_damage,
    find_dataset,
    read_digests,
    read_key,
)
from headstart.extractors.errors import CacheError, UnavailableError
from headstart.extractors.extraction import recall_weights
from headstart.extractors.images import list_images
from headstart.extractors.listing import CacheListing, listed_root, listing_lock, read_listing, update_listing
from headstart.extractors.spec import EmbeddingKey, Settings, Tap
from headstart.extractors.upkeep import (
    check_listing,
    delete_aside,
    find_no_files,
    find_unembedded,
    put_shards_aside,
    put_shards_back,
)
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
) -> CacheListing:
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
    CacheListing
        As it is now: images that are gone are quarantined.

    Raises
    ------
    JobError
        The images or the backbone are no longer what they were; the shards are as before.
    ExtractorError
        The weights cannot be had, or the cache cannot be written.
    """
    _images_at_hand(cache, listing)
    network = _load_same(store.key, store.about, backbone)
    with writer_lock(store.path, on_wait=say_waiting if progress else None):
        # Another process may have listed images, or repaired a shard, while this one waited.
        listing = read_listing(cache)
        damaged = [path for path in store.shards() if store.damage_of(path)]
        if unlisted := _count_unlisted(store, listing, damaged):
            notes.append(f"{unlisted} rows of images that are no longer listed were in damaged shards and are gone")
        aside = put_shards_aside(store, [*damaged, *find_no_files(store)])
    try:
        listing = _embed(cache, store, listing, network, device, workers, notes, progress)
    except JobError:
        with writer_lock(store.path, on_wait=say_waiting if progress else None):
            put_shards_back(aside)
        raise
    with writer_lock(store.path, on_wait=say_waiting if progress else None):
        # What another repair has put aside, too, once no listed image lacks its row.
        if not find_unembedded(store, read_listing(cache), ()):
            delete_aside(store)
    return listing


def restore_key(cache: EmbeddingCache, folder: Path) -> bool:
    """Write ``key.json`` anew from a sound shard and from what was kept of the request; False where these do not do.

    Raises
    ------
    CacheError
        The folder cannot be written, or a shard cannot be read this time.
    """
    kept = recall_weights(cache.path, folder.name)
    for shard in sorted(folder.glob("shard-*.h5")) if kept else []:
        try:
            key = read_key(shard)
        except UnavailableError:
            raise
        except CacheError:
            continue
        if kept and key.id == folder.name and not find_damage(shard, key):
            shapes = {tap: list(find_dataset(shard, f"features/{tap}")[0][1:]) for tap in key.taps}
            with writer_lock(folder):
                if not _is_readable(folder):  # another process may have written it while this one waited
                    EmbeddingStore(folder, key).describe(kept | {"shape": shapes})
            return True
    return False


def _is_readable(folder: Path) -> bool:
    try:
        return EmbeddingStore.read(folder).key.id == folder.name
    except UnavailableError:
        raise
    except CacheError:
        return False


def restore_listing(cache: EmbeddingCache, workers: int | None) -> CacheListing | None:
    """List the images of a damaged listing anew, where it still says which folder they are in; None where it does not.

    Embeddings are found again by what the images contain. The damaged file is moved aside, and deleted at the end.

    Raises
    ------
    ExtractorError
        The folder cannot be listed; the damaged file is as before.
    """
    root, file = listed_root(cache, kinds=("folder", "flat")), cache.path / "listing.parquet"
    if not isinstance(root, Path) or not root.is_dir() or (cache.path / "digests.parquet").exists():
        return None
    images = list_images(root)
    with listing_lock(cache):
        listing, damage = check_listing(cache)
        if listing:  # another process has listed them meanwhile
            return listing
        aside = file.with_name(f"{file.name}.damaged")
        if damage:  # or another repair has moved it aside, and may yet fail
            file.rename(aside)
    try:
        listing = update_listing(cache, images, workers=workers or Settings().n_workers)
    except BaseException:
        with listing_lock(cache):
            if aside.exists() and not file.exists():
                aside.rename(file)
        raise
    aside.unlink(missing_ok=True)
    return listing


def _images_at_hand(cache: EmbeddingCache, listing: CacheListing | None) -> None:
    if listing is None:
        raise JobError(
            f"no images are listed; run 'headstart extract IMAGES --cache {cache.path}', then repair once more"
        )
    if isinstance(listing.root, Path) and not listing.root.is_dir():
        raise JobError(
            f"the images are no longer in {listing.root}; put them back, or run 'headstart extract' with the folder "
            f"where they are now and --cache {cache.path}, which lists them even if it stops at the damage; then repair"
        )


def _load_same(key: EmbeddingKey, about: KeyAbout, named: str | None) -> "Backbone":
    """Load the backbone of a key, and refuse one that would give other numbers under its name."""
    from headstart.extractors.backbones import load_backbone, resolve_backbone  # noqa: PLC0415 - loads torch

    # A cache may come from anywhere, and importing is running.
    if resolve_backbone(key.backbone)[0] == "callable" and named != key.backbone:
        raise JobError(
            f"{key.backbone} is code that would run now; if you trust it, say so with --backbone {key.backbone}"
        )
    network = load_backbone(key.backbone, weights=about["weights_source"], image_size=key.image_size)
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
    if reasons and sum(len(result.not_read) for result in results) == len(extraction.missing):
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
