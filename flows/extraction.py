"""Images → cache: list the set, embed what is new with every backbone asked for, and say what came of it."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from extractors.archives import is_pattern
from extractors.backbones import load_backbone, resolve_backbone
from extractors.cache import EmbeddingCache
from extractors.cache_listing import CacheListing, has_listing, read_listing, update_listing
from extractors.errors import ImageSetError
from extractors.extraction import Extraction, Settings, ShardResult
from extractors.images import list_images
from extractors.key import StoredDtype
from extractors.listing import ImageSet, count_by_suffix
from extractors.precision import resolve_device
from extractors.taps import PENULTIMATE, Tap
from extractors.weights import RESERVED_WEIGHTS
from flows.device_lock import device_lock
from flows.errors import JobError
from flows.progress import progress_bar


@dataclass(frozen=True)
class ExtractionSummary:
    """What an extraction did.

    Attributes
    ----------
    cache : str
        Folder of the cache.
    images : int
        Images listed, quarantined ones included.
    embedded, reused : int
        Rows computed by this run and rows found in the cache, over all keys; copies of one image count as reused.
    quarantined : int
        Images that could not be read; ``headstart inspect`` gives the reasons.
    seconds, images_per_second : float
        Time of the whole run, and embedded rows by the time spent embedding.
    keys : list of dict
        For each key its ``id, backbone, weights, taps, precision, dtype, embedded, reused`` and, where bf16 was tried,
        ``fidelity``.
    notes : list of str
        What a person should know.
    """

    cache: str
    images: int
    embedded: int
    reused: int
    quarantined: int
    seconds: float
    images_per_second: float
    keys: list[dict[str, Any]]
    notes: list[str]


def default_cache(images: str | Path) -> Path:
    """Name the cache of an image set: ``NAME.headstart`` in the current folder."""
    whole = Path(images).expanduser().absolute().name
    pattern = is_pattern(whole) and not Path(images).expanduser().exists()
    named = re.split(r"[*?{\[]", whole)[0].rstrip("-_. ") if pattern else whole
    stem = re.sub(r"\.(csv|parquet|tar)$", "", named, flags=re.IGNORECASE).lstrip(".")
    return Path(f"{stem or 'images'}.headstart")


def extract(
    images: str | Path,
    backbone: str | Sequence[str],
    *,
    weights: str | Sequence[str] = "default",
    tap: str | Sequence[str] = PENULTIMATE,
    cache: str | Path | None = None,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    device: str = "auto",
    dtype: StoredDtype = "float32",
    batch_size: int | None = None,
    workers: int | None = None,
    limit: int | None = None,
    progress: bool = False,
) -> ExtractionSummary:
    """Embed an image set with one or more frozen backbones; what the cache holds already is not computed again.

    Parameters
    ----------
    images : path-like
        Folder per class, flat folder, CSV or Parquet manifest, or tar shards.
    backbone : str or sequence of str
        Names as ``headstart backbones`` shows them.
    weights : str or sequence of str
        ``default``, ``none`` (random), the name of published weights, or a ``.safetensors`` or ``.pth`` file;
        one for all backbones, or one for each.
    tap : str or sequence of str
        Layers to read out, ``LAYER`` or ``LAYER:POOLING`` (avg, max, cls, flatten); by default the penultimate
        features.
    cache : path-like, optional
        By default ``NAME.headstart`` in the current folder.
    precision, device, dtype, batch_size, workers
        See `extractors.extraction.Settings`.
    limit : int, optional
        Take only this many images, spread over the classes.
    progress : bool
        Show bars on standard error.

    Raises
    ------
    ExtractorError
        The image set, a backbone, its weights or the cache cannot be used.
    """
    started = time.monotonic()
    settings = Settings(device=device, precision=precision, dtype=dtype, batch_size=batch_size, workers=workers)
    # Whatever was misspelt is told before images are read and a cache is made.
    taps = [Tap.parse(spec) for spec in as_list(tap)]
    pairs = pair_weights(as_list(backbone), as_list(weights))
    resolve_device(device)
    found = list_images(images, limit=limit)
    folder = EmbeddingCache(cache or default_cache(images), create=True)
    listing, notes = list_into(folder, found, workers=settings.n_workers, progress=progress)
    return extract_each(
        folder,
        listing,
        notes,
        pairs,
        open_one=lambda listing, name, source: open_extraction(folder, listing, name, source, taps, settings),
        embed_missing=partial(run_shards, progress=progress),
        started=started,
    )


def extract_each(
    cache: EmbeddingCache,
    listing: CacheListing,
    notes: list[str],
    backbones: Sequence[tuple[str, str]],
    *,
    open_one: Callable[[CacheListing, str, str], Extraction],
    embed_missing: Callable[[Extraction, list[ShardResult]], None],
    started: float,
) -> ExtractionSummary:
    """Embed a listing with one backbone after another; however that ends, what could not be decoded is quarantined.

    The plain job and the Prefect flow differ only in how they open a backbone and how they run its shards.

    Parameters
    ----------
    backbones : sequence of (str, str)
        Names and weights.
    open_one : callable
        Takes listing, name and weights.
    embed_missing : callable
        Takes the extraction and a list to which it adds what came of each shard.
    started : float
        When the job began, by `time.monotonic`.
    """
    keys: list[dict[str, Any]] = []
    seconds = 0.0
    for name, source in backbones:
        extraction = open_one(listing, name, source)
        begun = time.monotonic()
        results: list[ShardResult] = []
        try:
            embed_missing(extraction, results)
        finally:
            listing = quarantine(cache, listing, results)
        seconds += time.monotonic() - begun
        keys.append(describe_key(extraction, listing, sum(result.embedded for result in results)))
        del extraction  # or two networks lie in memory while the next is loaded
    return summarise(cache, listing, keys, notes, time.monotonic() - started, seconds)


def quarantine(cache: EmbeddingCache, listing: CacheListing, results: Sequence[ShardResult]) -> CacheListing:
    """Put what could not be embedded in quarantine, with its reason; written where the listing is still this one."""
    settled = listing
    for result in results:
        settled = settled.with_unreadable(result.unreadable) if result.unreadable else settled
        settled = settled.with_not_read(result.not_read) if result.not_read else settled
    if settled is not listing and read_listing(cache).written_ns == listing.written_ns:
        settled.write(cache)  # another extraction that listed the cache meanwhile has the last word
    return settled


def list_into(
    cache: EmbeddingCache, found: ImageSet, *, workers: int, progress: bool
) -> tuple[CacheListing, list[str]]:
    """List an image set in a cache, reading only what is new or changed; returns the listing and notes for people."""
    notes = []
    if found.ignored:
        notes.append(
            f"passed over {sum(found.ignored.values())} files that are no images ({count_by_suffix(found.ignored)})"
        )
    if has_listing(cache) and (earlier := read_listing(cache)).root != found.root:
        notes.append(f"the cache listed {earlier.root} before; its embeddings are kept, its listing is replaced")
    with progress_bar("reading", len(found.rows), show=progress) as advance:
        listing = update_listing(cache, found, workers=workers, on_image=advance)
    return listing, notes


def open_extraction(
    cache: EmbeddingCache, listing: CacheListing, backbone: str, weights: str, taps: Sequence[Tap], settings: Settings
) -> Extraction:
    """Load a backbone and find out what the cache lacks of it; the path of a weights file is kept whole."""
    named = weights in RESERVED_WEIGHTS or not Path(weights).is_file()  # a file called "none" is no weights
    source = weights if named else str(Path(weights).resolve())
    return Extraction(cache, listing, load_backbone(backbone, weights=source), taps, settings, weights_source=source)


def pair_weights(backbones: Sequence[str], weights: Sequence[str]) -> list[tuple[str, str]]:
    """Give each backbone its weights: one for all, or one for each.

    Raises
    ------
    JobError
        The counts do not fit.
    BackboneError
        A name is unknown.
    """
    if not backbones:
        raise JobError("no backbone was named; 'headstart backbones' lists them")
    if len(weights) not in (1, len(backbones)):
        raise JobError(f"{len(weights)} weights for {len(backbones)} backbones: give one for all, or one for each")
    for name in backbones:
        resolve_backbone(name)
    return list(zip(backbones, list(weights) * (len(backbones) if len(weights) == 1 else 1), strict=True))


def describe_key(extraction: Extraction, listing: CacheListing, embedded: int) -> dict[str, Any]:
    """Say which key an extraction filled, and how many of the listing's usable images were new to it."""
    key, fidelity = extraction.store.key, extraction.fidelity
    return {
        "id": key.id,
        "backbone": key.backbone,
        "weights": extraction.backbone.weights_name,
        "taps": list(key.taps),
        "precision": key.precision,
        "dtype": key.dtype,
        "embedded": embedded,
        "reused": len(listing.usable) - embedded,
        "fidelity": {"cosine": fidelity.cosine, "relative_error": fidelity.relative_error} if fidelity else None,
    }


def summarise(
    cache: EmbeddingCache,
    listing: CacheListing,
    keys: list[dict[str, Any]],
    notes: list[str],
    seconds: float,
    embedding_seconds: float,
) -> ExtractionSummary:
    """Count what was done.

    Raises
    ------
    ImageSetError
        Not one image could be read.
    """
    quarantined = listing.quarantined
    if not len(listing.usable):
        first = quarantined.iloc[0]
        raise ImageSetError(
            f"{listing.root}: none of {len(listing.rows)} images could be read "
            f"(first: {first['path']}: {first['reason']}); see 'headstart inspect {cache.path}'",
        )
    embedded = sum(key["embedded"] for key in keys)
    return ExtractionSummary(
        cache=str(cache.path),
        images=len(listing.rows),
        embedded=embedded,
        reused=sum(key["reused"] for key in keys),
        quarantined=len(quarantined),
        seconds=round(seconds, 3),
        images_per_second=round(embedded / embedding_seconds, 1) if embedded and embedding_seconds else 0.0,
        keys=keys,
        notes=notes,
    )


def as_list(value: str | Sequence[str]) -> list[str]:
    """Accept one name or several."""
    return [value] if isinstance(value, str) else list(value)


def run_shards(extraction: Extraction, results: list[ShardResult], *, progress: bool) -> None:
    """Embed every shard that is missing, one after another; adds what came of each to `results`."""
    name = extraction.backbone.name.rpartition("/")[2]
    with (
        progress_bar(f"embedding {name}", len(extraction.missing), show=progress) as advance,
        device_lock(extraction.device, show=progress),
    ):
        for result in extraction.run(advance):
            results.append(result)  # noqa: PERF402 - what was done before an error must be in the list
