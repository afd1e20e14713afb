"""Make a cache small and tidy: full shards, and no row that no listed image has."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore
from headstart.extractors.errors import CacheError
from headstart.extractors.images import OK
from headstart.extractors.listing import CacheListing, find_known_digests, read_listing
from headstart.extractors.upkeep import Compaction, carry_out, plan_compaction
from headstart.extractors.writer_lock import writer_lock
from headstart.flows.output import progress_bar, say_waiting


@dataclass(frozen=True)
class CompactionSummary:
    """What a compaction did.

    Attributes
    ----------
    cache : str
        Folder of the cache.
    shards_before, shards_after, bytes_before, bytes_after : int
        Over all keys.
    dropped : int
        Rows that no listed image has, or whose image is in quarantine.
    unread : int
        Listed images that could not be read; while there are any no row is dropped, as it may be theirs.
    changed : bool
        Whether anything was to do.
    seconds : float
        Time of the whole run.
    keys : list of dict
        For each key its ``id, rows, dropped, shards_before, shards_after, bytes_before, bytes_after``.
    """

    cache: str
    shards_before: int
    shards_after: int
    bytes_before: int
    bytes_after: int
    dropped: int
    unread: int
    changed: bool
    seconds: float
    keys: list[dict[str, Any]]


def compact(cache: str | Path, *, progress: bool = False) -> CompactionSummary:
    """Merge small shards into full ones and drop rows that no listed image has; where nothing is to do, write nothing.

    Parameters
    ----------
    cache : path-like
        Folder of the cache.
    progress : bool
        Show a bar on standard error.

    Raises
    ------
    CacheError
        There is no cache, not one usable image is listed, a shard is damaged, or the disk is full. Nothing is lost.
    """
    started = time.monotonic()
    folder = EmbeddingCache(cache)
    listing = read_listing(folder)
    if not len(listing.usable):
        raise CacheError(
            f"{folder.path}: no usable image is listed, so every row would go; run 'headstart extract' first"
        )
    digests = _to_keep(folder, listing)
    stores = folder.stores()
    with progress_bar("compacting", len(stores), unit="keys", show=progress) as advance:
        keys = []
        for store in stores:
            keys.append(_compact_key(store, digests, progress=progress))
            advance(1)
    totals = {name: sum(key[name] for key in keys) for name in _COUNTED}
    return CompactionSummary(
        cache=str(folder.path),
        unread=int(listing.rows["digest"].isna().sum()),
        changed=any(key["changed"] for key in keys),
        seconds=round(time.monotonic() - started, 3),
        keys=[{name: value for name, value in key.items() if name != "changed"} for key in keys],
        **totals,
    )


_COUNTED = ("shards_before", "shards_after", "bytes_before", "bytes_after", "dropped")


def _to_keep(cache: EmbeddingCache, listing: CacheListing) -> list[str] | None:
    """Return the digests of all images that keep their rows; None for every row."""
    if listing.rows["digest"].isna().any():  # what could not be read this time may be there, and embedded, all the same
        return None
    # What a listing that was limited left out is still known by its digest.
    left_out = find_known_digests(cache, listing.root, None)
    kept = pd.concat([listing.usable["digest"], left_out.loc[left_out["status"] == OK, "digest"]])
    return list(kept.unique())


def _compact_key(store: EmbeddingStore, digests: list[str] | None, *, progress: bool) -> dict[str, Any]:
    before = len(store.shards()), store.n_bytes()
    plan = plan_compaction(store, digests)
    if plan.is_needed:
        plan = _carry_out_alone(store, digests, progress=progress)
    return {
        "id": store.key.id,
        "rows": store.n_rows(),
        "dropped": plan.dropped,
        "changed": plan.is_needed,
        "shards_before": before[0],
        "shards_after": len(store.shards()),
        "bytes_before": before[1],
        "bytes_after": store.n_bytes(),
    }


def _carry_out_alone(store: EmbeddingStore, digests: list[str] | None, *, progress: bool) -> Compaction:
    with writer_lock(store.path, on_wait=say_waiting if progress else None):
        plan = plan_compaction(store, digests)  # another process may have written while this one waited
        carry_out(store, plan)
    return plan
