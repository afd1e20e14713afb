"""Images → cache: list the set, embed what is new with every backbone asked for, and say what came of it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from headstart.extractors.cache import EmbeddingCache, remove_if_empty
from headstart.extractors.images import ImageRoot, ImageSet, count_by_suffix, list_images
from headstart.extractors.listing import (
    CacheListing,
    count_changed_unseen,
    listed_root,
    read_listing,
    update_listing,
)
from headstart.extractors.spec import Settings, Tap, find_weights_file, short_name
from headstart.flows.extraction.choices import Wanted, check_there, check_wanted, default_cache, pair_weights
from headstart.flows.extraction.gpu_lock import device_lock
from headstart.flows.extraction.keys import extract_each
from headstart.flows.extraction.options import ExtractKeywords, ExtractOptions
from headstart.flows.extraction.summary import ExtractionSummary, say_size
from headstart.flows.options import as_list, taken
from headstart.flows.output import nearby, phases, progress_bar, record_shard, say_waiting, show_line, timed
from headstart.flows.problem import describe_images

if TYPE_CHECKING:  # it loads torch, which a rerun with nothing new does without
    from headstart.extractors.extraction import Extraction, MissingRows, ShardResult


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
        All else that is asked for, see `flows.extraction.options.ExtractOptions`.
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
