"""Images → cache: list the set, embed what is new with every backbone asked for, and say what came of it."""

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from extractors.backbones import load_backbone
from extractors.cache import EmbeddingCache
from extractors.cache_listing import CacheListing, has_listing, read_listing, update_listing
from extractors.errors import ImageSetError
from extractors.extraction import Extraction, Settings
from extractors.images import list_images
from extractors.key import StoredDtype
from extractors.listing import count_by_suffix
from extractors.taps import PENULTIMATE, Tap
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
    name = re.match(r"[^.*?{\[]*", Path(images).resolve().name)
    return Path(f"{name[0].rstrip('-_') if name else ''}.headstart")


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
    folder = EmbeddingCache(cache or default_cache(images), create=True)
    listing, notes = list_into(folder, images, limit=limit, workers=settings.n_workers, progress=progress)
    taps = [Tap.parse(spec) for spec in as_list(tap)]
    return extract_each(
        folder,
        listing,
        notes,
        pair_weights(as_list(backbone), as_list(weights)),
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
    embed_missing: Callable[[Extraction, dict[str, str]], int],
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
        Takes the extraction and a dict that it fills with the reasons for unreadable images; returns the rows embedded.
    started : float
        When the job began, by `time.monotonic`.
    """
    keys: list[dict[str, Any]] = []
    reasons: dict[str, str] = {}
    seconds = 0.0
    try:
        for name, source in backbones:
            extraction = open_one(listing, name, source)
            begun = time.monotonic()
            embedded = embed_missing(extraction, reasons)
            seconds += time.monotonic() - begun
            listing = listing.with_unreadable(reasons)
            keys.append(describe_key(extraction, listing, embedded))
    finally:
        if reasons:
            listing.with_unreadable(reasons).write(cache)
    return summarise(cache, listing, keys, notes, time.monotonic() - started, seconds)


def list_into(
    cache: EmbeddingCache,
    images: str | Path,
    *,
    limit: int | None,
    workers: int,
    progress: bool,
) -> tuple[CacheListing, list[str]]:
    """List an image set in a cache, reading only new and changed files; returns the listing and notes for people."""
    found = list_images(images, limit=limit)
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
    source = str(Path(weights).resolve()) if Path(weights).is_file() else weights
    return Extraction(cache, listing, load_backbone(backbone, weights=source), taps, settings, weights_source=source)


def pair_weights(backbones: Sequence[str], weights: Sequence[str]) -> list[tuple[str, str]]:
    """Give each backbone its weights: one for all, or one for each.

    Raises
    ------
    JobError
        The counts do not fit.
    """
    if not backbones:
        raise JobError("no backbone was named; 'headstart backbones' lists them")
    if len(weights) not in (1, len(backbones)):
        raise JobError(f"{len(weights)} weights for {len(backbones)} backbones: give one for all, or one for each")
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


@contextmanager
def device_lock(device_type: str) -> Iterator[None]:
    """Let one extraction at a time use the GPU of this host; the lock goes with the process, however it ends."""
    gpu = FileLock(Path(tempfile.gettempdir()) / "headstart-gpu.lock") if device_type == "cuda" else nullcontext()
    with gpu:
        yield


def run_shards(extraction: Extraction, reasons: dict[str, str], *, progress: bool) -> int:
    """Embed every missing shard, one after another; adds to `reasons`, and returns how many rows were embedded."""
    embedded = 0
    name = extraction.backbone.name.rpartition("/")[2]
    with (
        progress_bar(f"embedding {name}", len(extraction.missing), show=progress) as advance,
        device_lock(extraction.device.type),
    ):
        for result in extraction.run(advance):
            embedded += result.embedded
            reasons |= result.unreadable
    return embedded
