"""Images → cache: list the set, embed what is new with every backbone asked for, and say what came of it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore, remove_if_empty
from headstart.extractors.decoding import Remark, Remarks
from headstart.extractors.extraction import KeyDescription, Request, recall, remember
from headstart.extractors.images import ImageRoot, ImageSet, count_by_suffix, list_images
from headstart.extractors.listing import (
    CacheListing,
    count_changed_unseen,
    listed_root,
    listing_lock,
    read_listing,
    update_listing,
)
from headstart.extractors.spec import Settings, Tap, find_weights_file
from headstart.flows.extraction.choices import Wanted, check_there, check_wanted, default_cache, pair_weights
from headstart.flows.extraction.gpu_lock import device_lock
from headstart.flows.extraction.summary import ExtractionSummary, KeySummary, describe_run, say_size, summarise
from headstart.flows.options import ExtractKeywords, ExtractOptions, as_list, taken
from headstart.flows.output import nearby, phases, progress_bar, record_shard, say_waiting, show_line, timed
from headstart.flows.problem import describe_images

if TYPE_CHECKING:  # it loads torch, which a rerun with nothing new does without
    from headstart.extractors.extraction import Extraction, MissingRows, ShardResult

_Opened = TypeVar("_Opened", bound="MissingRows")


def extract(
    images: str | Path,
    backbone: str | Sequence[str],
    *,
    options: ExtractOptions | None = None,
    **named: Unpack[ExtractKeywords],
) -> ExtractionSummary:
    """Embed an image set with one or more frozen backbones; what the cache holds already is not computed again.

    Parameters
    ----------
    images : path-like
        A folder, a file or an address, as `extractors.images.sources.list_images` takes them.
    backbone : str or sequence of str
        Names as ``headstart backbones`` shows them.
    options : ExtractOptions, optional
        All else that is asked for, see `flows.options.ExtractOptions`.
    **named
        Options by their names, such as ``weights="none"``; they go before those of `options`.

    Raises
    ------
    ExtractorError
        The image set, a backbone, its weights or the cache cannot be used.
    JobError
        So is the cluster, or all its workers end without a word.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> headstart.extract("photos", "small_cnn", weights="none", cache="small.headstart")
    ExtractionSummary: small.headstart: 36 images, 36 embedded, 0 reused, 0 quarantined
    """
    started = time.monotonic()
    options = taken("extract", options or ExtractOptions(), named)
    dask, progress = options.dask, options.progress
    # Whatever was misspelt is told before images are read and a cache is made.
    taps = [Tap.parse(spec) for spec in as_list(options.tap)]
    backbones = pair_weights(as_list(backbone), as_list(options.weights))
    wanted = Wanted(backbones, taps, options.settings, dask, options.drawn)
    path = Path(options.cache or default_cache(images))
    check_there(images)
    check_wanted(images, wanted, path)
    with ExitStack() as stack:
        opening: Callable[..., MissingRows] = open_extraction
        embed_missing: Callable[..., None] = run_shards
        if dask:
            from headstart.flows.extraction.scaled import on_workers, run_scaled  # noqa: PLC0415 - loads Dask

            opening, embed_missing = stack.enter_context(on_workers(dask, show=progress)).open, run_scaled
        found = list_images(images, limit=options.limit, layout=options.layout)
        folder = stack.enter_context(cache_at(path))
        listing, notes = list_into(
            folder, found, workers=wanted.settings.n_workers, progress=progress, rehash=options.rehash
        )

        def open_one(listing: CacheListing, name: str, source: str, settings: Settings) -> "MissingRows":
            with phases(f"loading {short_name(name)} and trying it on the first images", show=progress):
                return opening(folder, listing, name, source, taps, settings)

        return extract_each(
            folder,
            listing,
            notes,
            wanted,
            open_one=open_one,
            embed_missing=partial(embed_missing, progress=progress),
            started=started,
        )


@contextmanager
def cache_at(path: Path) -> Iterator[EmbeddingCache]:
    """Open a cache, or make it; one that was made for a command that fails is removed, unless it holds something."""
    made = not path.exists()
    cache = EmbeddingCache(path, create=True)
    try:
        yield cache
    except BaseException:
        if made:
            remove_if_empty(path)
        raise


def extract_each(
    cache: EmbeddingCache,
    listing: CacheListing,
    notes: list[str],
    wanted: Wanted,
    *,
    open_one: Callable[[CacheListing, str, str, Settings], _Opened],
    embed_missing: Callable[[_Opened, list["ShardResult"]], None],
    started: float,
) -> ExtractionSummary:
    """Embed a listing with one backbone after another; however that ends, what could not be decoded is quarantined.

    The plain job and the Prefect flow differ only in how they open a backbone and how they run its shards. A backbone
    that was asked for in the same way before, and whose rows are all there, is not even opened. Views are keys of their
    own, which follow that of the plain images.

    Parameters
    ----------
    wanted : Wanted
        The backbones, and what `open_one` opens them with.
    open_one : callable
        Takes listing, name, weights and settings.
    embed_missing : callable
        Takes the extraction and a list to which it adds what came of each shard.
    started : float
        When the job began, by `time.monotonic`.
    """
    keys: list[KeySummary] = []
    for name, source in wanted.backbones:
        plain: KeySummary | None = None
        for view in (None, *wanted.views):
            settings = wanted.settings_of(view, plain) if view and plain else wanted.settings
            request = wanted.request(name, source, settings)
            if complete := find_complete(cache, listing, request):
                keys.append(complete)
            else:
                open_it = partial(open_one, listing, name, source, settings)
                key, listing, noted = _embed_key(cache, listing, request, open_it, embed_missing)
                keys.append(key)
                notes = list(dict.fromkeys([*notes, *noted]))
            plain = plain or keys[-1]
    return summarise(cache, listing, keys, notes, time.monotonic() - started)


def _embed_key(
    cache: EmbeddingCache,
    listing: CacheListing,
    request: Request,
    open_it: Callable[[], _Opened],
    embed_missing: Callable[[_Opened, list["ShardResult"]], None],
) -> tuple[KeySummary, CacheListing, list[str]]:
    """Embed what one key lacks; returns its summary, the listing as it is then, and notes on images."""
    begun = time.monotonic()
    extraction = open_it()
    opening = time.monotonic() - begun
    results: list[ShardResult] = []
    try:
        embed_missing(extraction, results)
    finally:
        listing = quarantine(cache, listing, results)
        remarks = keep_remarks(extraction, results)
    key = KeyDescription.of(extraction)
    remember(cache, request, key)
    embedded = sum(result.embedded for result in results)
    seconds = time.monotonic() - begun
    summary = describe_run(key, extraction, listing, embedded, opening=opening, seconds=seconds)
    if not remarks.as_dict() or key.view != "whole":  # of a crop they would say nothing
        return summary, listing, []
    asked: list[Remark] = ["profile"] if request["settings"]["colour"] == "as-stored" else []
    paths = dict(zip(listing.rows["digest"], listing.rows["path"], strict=True))
    return summary, listing, remarks.notes(paths, leave_out=asked)


def keep_remarks(extraction: "MissingRows", results: Sequence["ShardResult"]) -> Remarks:
    """Keep the remarks on the images beside their rows, with those of before; returns those of this run."""
    new, kept = Remarks(), Remarks.read(extraction.store.path)
    for result in results:
        new.update(result.remarks)
        kept.update(result.remarks)
    if new.as_dict():
        kept.write(extraction.store.path)
    return new


def find_complete(cache: EmbeddingCache, listing: CacheListing, request: Request) -> KeySummary | None:
    """Describe the key that an equal request led to before, if the listing lacks none of its rows; None otherwise."""
    key = recall(cache.path, request)
    folder = cache.path / "embeddings" / key.id if key else cache.path
    if key is None or not (folder / "key.json").exists():
        return None
    store = EmbeddingStore.read(folder)
    if store.key.id != key.id or store.missing(listing.distinct["digest"].tolist()).any():
        return None
    return KeySummary(**vars(key), reused=len(listing.usable))


def quarantine(cache: EmbeddingCache, listing: CacheListing, results: Sequence["ShardResult"]) -> CacheListing:
    """Put what could not be embedded in quarantine, with its reason; written where the listing is still this one."""
    settled = listing
    for result in results:
        settled = settled.with_unreadable(result.unreadable) if result.unreadable else settled
        settled = settled.with_not_read(result.not_read) if result.not_read else settled
    if settled is not listing:
        with listing_lock(cache):
            if read_listing(cache).written_ns == listing.written_ns:
                settled.write(cache)  # another extraction that listed the cache meanwhile has the last word
    return settled


def list_into(
    cache: EmbeddingCache, found: ImageSet, *, workers: int, progress: bool, rehash: bool = False
) -> tuple[CacheListing, list[str]]:
    """List an image set in a cache, reading only what is new or changed; returns the listing and notes for people."""
    understood, notes = describe_images(found.rows, not_listed=found.left_out, passed_over=found.ignored)
    if progress:  # before anything is read: what was taken amiss should not wait for a million images
        show_line(understood.text)
    notes += found.notes
    notes += _passed_over(found.ignored)
    if found.left_out:
        notes.append(f"the listing is limited to {len(found.rows)} of {len(found.rows) + found.left_out} images")
    earlier = listed_root(cache)
    if earlier is None and (other := _find_other(cache, found.root)):
        notes.append(
            f"{nearby(str(other))} holds embeddings of these images already, and {nearby(str(cache.path))} is a cache "
            "of its own: name that one (--cache, or cache = in the experiment) to use them"
        )
        if progress:  # while there is time to stop
            show_line(notes[-1])
    if earlier and earlier != found.root:
        notes.append(f"the cache listed {earlier} before; its embeddings are kept, its listing is replaced")
    with progress_bar("reading", len(found.rows), show=progress) as advance:
        before = read_listing(cache) if rehash and earlier == found.root else None
        listing = update_listing(cache, found, workers=workers, on_image=advance, rehash=rehash)
    if before:
        n_changed = count_changed_unseen(before, listing)
        notes.append(f"every file was read: {n_changed} had changed where nothing but the content showed it")
    return listing, notes


def _find_other(cache: EmbeddingCache, root: ImageRoot) -> Path | None:
    """Return another cache of these images, in the current folder or beside this one."""
    own = cache.path.resolve()
    for folder in dict.fromkeys((Path.cwd(), own.parent)):
        for marker in sorted(folder.glob("*.headstart/cache.json")):
            other = marker.parent
            if other.resolve() != own and listed_root(EmbeddingCache(other)) == root:
                return other
    return None


def _passed_over(ignored: Mapping[str, int]) -> list[str]:
    """Say how many files were no images, and which folders of thumbnails and deleted files were not looked into."""
    folders = {name: count for name, count in ignored.items() if name.endswith("/")}
    files = {name: count for name, count in ignored.items() if name not in folders}
    notes = [f"passed over {sum(files.values())} files that are no images ({count_by_suffix(files)})"] if files else []
    if folders:
        notes.append(f"passed over what file servers and desktops leave ({count_by_suffix(folders)})")
    return notes


def open_extraction(
    cache: EmbeddingCache, listing: CacheListing, backbone: str, weights: str, taps: Sequence[Tap], settings: Settings
) -> "Extraction":
    """Load a backbone and find out what the cache lacks of it; the path of a weights file is kept whole."""
    from headstart.extractors.backbones import load_backbone  # noqa: PLC0415 - loads torch
    from headstart.extractors.extraction import Extraction  # noqa: PLC0415 - loads torch
    from headstart.extractors.network import resolve_device  # noqa: PLC0415 - loads torch

    source = str(find_weights_file(weights) or weights)
    with device_lock(resolve_device(settings.device), show=True):  # shortcuts are tried on the device
        network = load_backbone(backbone, weights=source, image_size=settings.image_size)
        return Extraction(cache, listing, network, taps, settings, weights_source=source)


def run_shards(extraction: "Extraction", results: list["ShardResult"], *, progress: bool) -> None:
    """Embed every shard that is missing, one after another; adds what came of each to `results`."""
    if progress:
        say_size(extraction)
    with (
        extraction.writing(on_wait=say_waiting if progress else None),
        progress_bar(f"embedding {extraction.store.key.title}", len(extraction.missing), show=progress) as advance,
        device_lock(extraction.device, show=progress),
    ):
        for number, (result, seconds) in enumerate(timed(extraction.run(advance))):
            results.append(result)  # at once: what was done before an error must be in the list
            record_shard(extraction, number, result, seconds)
