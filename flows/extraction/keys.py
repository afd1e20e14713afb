"""The keys of an extraction, one after another: embedded, or found complete, their views behind them."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.decoding import Remark, Remarks
from headstart.extractors.extraction import KeyDescription, Request, recall, remember
from headstart.extractors.listing import CacheListing, listing_lock, read_listing
from headstart.extractors.spec import Settings, View
from headstart.flows.extraction.choices import Wanted
from headstart.flows.extraction.summary import ExtractionSummary, KeySummary, describe_run, summarise

if TYPE_CHECKING:  # it loads torch, which a rerun with nothing new does without
    from headstart.extractors.extraction import MissingRows, ShardResult

_Opened = TypeVar("_Opened", bound="MissingRows")


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
        for n_before, view in enumerate((None, *wanted.views)):
            settings = wanted.settings_of(view, plain) if view and plain else wanted.settings
            request = wanted.request(name, source, settings)
            if complete := find_complete(cache, listing, request):
                keys.append(complete)
            else:
                open_it = partial(open_one, listing, name, source, settings)
                following = wanted.views[n_before:]
                key, listing, noted = _embed_key(cache, listing, request, open_it, embed_missing, following)
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
    following: Sequence[View],
) -> tuple[KeySummary, CacheListing, list[str]]:
    """Embed what one key lacks; returns its summary, the listing as it is then, and notes on images."""
    begun = time.monotonic()
    extraction = open_it()
    extraction.following = following
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
