"""Make a cache small and tidy: full shards, and no row that no listed image has."""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.errors import CacheError
from headstart.extractors.images import OK
from headstart.extractors.listing import (
    CacheListing,
    check_left_out,
    find_known_digests,
    forget_other_sets,
    listing_lock,
    read_listing,
    read_other_sets,
)
from headstart.extractors.results import JobResult
from headstart.extractors.upkeep import carry_out, plan_compaction
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.output import progress_bar, say_waiting


@dataclass(frozen=True)
class CompactedKey:
    """Summary of a compaction of the shards of one key; attributes are as of the summary."""

    id: str
    rows: int
    dropped: int
    shards_before: int
    shards_after: int
    bytes_before: int
    bytes_after: int


@dataclass(frozen=True, repr=False)
class CompactionSummary(
    JobResult,
    says="{cache}: {shards_before:n shard}, now {shards_after}; {dropped:n row} dropped",
    tables=("keys",),
):
    """Summary of a compaction.

    Attributes
    ----------
    cache : str
        Folder of the cache.
    shards_before, shards_after, bytes_before, bytes_after : int
        Over all keys.
    dropped : int
        Rows that no listed image has, or whose image is in quarantine.
    others : int
        Rows of other image sets, which are kept unless they are to be dropped.
    unread : int
        Listed images that could not be read; while there are any no row is dropped, as it may be theirs.
    changed : bool
        Whether anything was to do.
    seconds : float
        Time of the whole run.
    keys : list of CompactedKey
    """

    cache: str
    shards_before: int
    shards_after: int
    bytes_before: int
    bytes_after: int
    dropped: int
    others: int
    unread: int
    changed: bool
    seconds: float
    keys: list[CompactedKey]


def compact(cache: str | Path, *, drop_others: bool = False, progress: bool = False) -> CompactionSummary:
    """Merge small shards into full ones and drop rows that no listed image has; where nothing is to do, write nothing.

    What is listed is read with the lock of each key held, and the listing stays as it is until the key is done: rows
    that another process embeds meanwhile are never dropped.

    Parameters
    ----------
    cache : path-like
        Folder of the cache.
    drop_others : bool
        Drop the rows of other image sets, too: of those that were listed in this cache before, and of keys without one
        listed image.
    progress : bool
        Show a bar on standard error.

    Raises
    ------
    CacheError
        There is no cache, not one usable image is listed, a shard is damaged, or the disk is full. Nothing is lost.

    Examples
    --------
    >>> headstart.compact("photos.headstart").changed
    False
    """
    started = time.monotonic()
    folder = EmbeddingCache(cache)
    listing = _read_usable(folder)  # before anything is done to the first key
    if drop_others:
        with listing_lock(folder):  # what is another set's from now on was not when this was asked for
            _forget_others_of(folder, listing)
    stores = folder.stores()
    with progress_bar("compacting", len(stores), unit="keys", show=progress) as advance:
        keys, others, changed = [], 0, False
        for store in stores:
            key, n_others, needed = _compact_key(folder, store, drop_others=drop_others, progress=progress)
            keys.append(key)
            others += n_others
            changed |= needed
            advance(1)
    listing = _read_usable(folder)
    totals = {name: sum(getattr(key, name) for key in keys) for name in _COUNTED}
    return CompactionSummary(
        cache=str(folder.path),
        unread=int(listing.rows["digest"].isna().sum()),
        changed=changed,
        seconds=round(time.monotonic() - started, 3),
        keys=keys,
        others=others,
        **totals,
    )


_COUNTED = ("shards_before", "shards_after", "bytes_before", "bytes_after", "dropped")


def _read_usable(cache: EmbeddingCache) -> CacheListing:
    listing = read_listing(cache)
    if not len(listing.usable):
        raise CacheError(
            f"{cache.path}: no usable image is listed, so every row would go; run 'headstart extract' first"
        )
    return listing


def _forget_others_of(cache: EmbeddingCache, listing: CacheListing) -> None:
    """Give up all sets but that of this listing, which is the stored one unless somebody has just listed others."""
    now = read_listing(cache)
    if (now.root, now.kind, now.written_ns) != (listing.root, listing.kind, listing.written_ns):
        raise CacheError(f"{cache.path}: other images were listed meanwhile, nothing is dropped; run the command again")
    if not now.rows["digest"].isna().any():
        forget_other_sets(cache)


def _to_keep(cache: EmbeddingCache, store: EmbeddingStore, *, drop_others: bool) -> tuple[list[str] | None, int]:
    """Return the digests of all images that keep their rows, None for every row; and how many are of other sets.

    The listing's lock is held, and the key's: no row is there that was sealed for a later listing.
    """
    listing = _read_usable(cache)
    if listing.rows["digest"].isna().any():  # what could not be read this time may be there, and embedded, all the same
        return None, 0
    # What a listing that was limited left out is still known by its digest.
    check_left_out(cache)
    left_out = find_known_digests(cache, listing.root, None)
    kept = pd.concat([listing.usable["digest"], left_out.loc[left_out["status"] == OK, "digest"]]).drop_duplicates()
    others = read_other_sets(cache)["digest"]
    unread, others = others.isna().any(), others[~others.isin(kept)].dropna().drop_duplicates()
    here = int((~store.missing(kept.tolist())).sum())
    there = int((~store.missing(others.tolist())).sum())
    if unread or not (here or there or drop_others):  # as above; or the whole key was made for others
        return None, store.n_rows() - here
    return [*kept, *others], there


def _compact_key(
    cache: EmbeddingCache, store: EmbeddingStore, *, drop_others: bool, progress: bool
) -> tuple[CompactedKey, int, bool]:
    """Compact one key; returns what that did, its rows of other image sets, and whether there was anything to do."""
    waiting = say_waiting if progress else None
    with ExitStack() as locks:
        if os.access(store.path, os.W_OK):  # a cache that may not be written will do where nothing is to do
            locks.enter_context(writer_lock(store.path, on_wait=waiting))
            locks.enter_context(listing_lock(cache, on_wait=waiting))
        before = len(store.shards()), store.n_bytes()
        digests, others = _to_keep(cache, store, drop_others=drop_others)
        plan = plan_compaction(store, digests)
        if plan.is_needed:
            carry_out(store, plan)
    found = CompactedKey(
        id=store.key.id,
        rows=store.n_rows(),
        dropped=plan.dropped,
        shards_before=before[0],
        shards_after=len(store.shards()),
        bytes_before=before[1],
        bytes_after=store.n_bytes(),
    )
    return found, others, plan.is_needed
