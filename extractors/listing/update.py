"""An image set listed again: only what is new or changed is read."""

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pandas as pd
import pyarrow as pa

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.errors import NotReadError
from headstart.extractors.images import (
    DIGEST_COLUMN,
    OK,
    QUARANTINED,
    STAMP_COLUMNS,
    ImageRoot,
    ImageSet,
    ImageSource,
    digest_bytes,
    image_sources,
)
from headstart.extractors.listing.cache_listing import CacheListing, has_listing, read_listing, read_with_table
from headstart.extractors.listing.known_digests import carry_over, find_known_digests, keep_digests
from headstart.extractors.listing.listing_file import FILE, listing_lock
from headstart.extractors.listing.other_sets import keep_other_sets

_HASHED_AHEAD = 1024
_TICK_NS = 10_000_000  # of the slowest clock that a kernel gives files, beside those of whole seconds


def update_listing(
    cache: EmbeddingCache,
    images: ImageSet,
    *,
    workers: int,
    on_image: Callable[[int], None] | None = None,
    write: bool = True,
    rehash: bool = False,
) -> CacheListing:
    """List `images` in the cache: what is known to be the file of before keeps its digest, the rest is read.

    Parameters
    ----------
    cache : EmbeddingCache
        Its listing is replaced, unless `write` is False.
    images : ImageSet
        What `extractors.images.sources.list_images` found.
    workers : int
        Threads that read and hash.
    on_image : callable
        Called with 1 for each image whose digest is settled.
    write : bool
        False leaves the cache as it is: its listing is used for the digests that it knows, and not replaced.
    rehash : bool
        Read every file, whatever is known of it.
    """
    rows = images.rows.assign(**{DIGEST_COLUMN: pd.Series([None] * len(images.rows), dtype=object)})
    written_ns = time.time_ns()
    state = _state_of(cache)
    earlier, stored = read_with_table(cache) if has_listing(cache) else (None, None)
    known = find_known_digests(cache, images.root, earlier)
    if not rehash:
        carry_over(rows, known)
    _wait_for_the_clock(rows)
    hashed = _hash_unknown(rows, images.root, workers, on_image)
    listing = CacheListing(rows, images.root, images.kind, written_ns, images.left_out)
    if not write:
        return listing
    left_out = known[~known["path"].isin(rows["path"])] if images.left_out else known.iloc[:0]
    # Where nothing is new, later times are worth writing only after files were hashed again because they had changed
    # just before they were listed, or are other files now. It saves time and no more, so a cache that may not be
    # written does without.
    origin = (listing.root, listing.kind, listing.left_out)
    if earlier and origin == (earlier.root, earlier.kind, earlier.left_out):
        table = listing.as_table()
        worth = hashed or not table.equals(stored)
        if _without_stamps(table).equals(_without_stamps(stored)) and not (worth and os.access(cache.path, os.W_OK)):
            return replace(listing, written_ns=earlier.written_ns)
    with listing_lock(cache):
        cache.mark()  # a command beside this one that failed may have taken the empty cache away
        # Another process may have listed other images while this one read files: what it listed is replaced, too.
        replaced = earlier
        if _state_of(cache) != state:
            replaced = read_listing(cache) if has_listing(cache) else None
        if replaced:
            keep_other_sets(cache, replaced, listing, left_out)
        if len(left_out):  # before the listing that lacks them, or a kill in between would lose them
            keep_digests(cache, images.root, left_out)
        listing.write(cache)
        if left_out.empty:
            keep_digests(cache, images.root, left_out)
    return listing


def _hash_unknown(rows: pd.DataFrame, root: ImageRoot, workers: int, on_image: Callable[[int], None] | None) -> bool:
    """Read the files whose digest is not known into `rows`; tells whether any could be read."""
    unread = rows.index[(rows["status"] == OK) & rows[DIGEST_COLUMN].isna()]
    if on_image:
        on_image(len(rows) - len(unread))
    if not len(unread):
        return False
    read = pd.DataFrame(
        _hash(root, rows.loc[unread], workers, on_image), unread, [DIGEST_COLUMN, "reason"], dtype=object
    )
    rows.loc[unread, [DIGEST_COLUMN, "reason"]] = read
    rows.loc[unread[read[DIGEST_COLUMN].isna()], "status"] = QUARANTINED
    return bool(read[DIGEST_COLUMN].notna().any())


def _state_of(cache: EmbeddingCache) -> tuple[int, int] | None:
    """Return the inode and time that tell the stored listing from one that replaces it; None where there is none."""
    try:
        found = (cache.path / FILE).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _wait_for_the_clock(rows: pd.DataFrame) -> None:
    """Let the clock of the file system go on where a file changed within its tick, so that the next change shows."""
    unread = (rows["status"] == OK) & rows[DIGEST_COLUMN].isna()
    if unread.any() and 0 <= time.time_ns() - rows.loc[unread, "changed_ns"].max() < _TICK_NS:
        time.sleep(_TICK_NS / 1e9)


def _without_stamps(table: pa.Table) -> pa.Table:
    return table.drop_columns([name for name in STAMP_COLUMNS if name in table.column_names])


def _hash(
    root: ImageRoot,
    rows: pd.DataFrame,
    workers: int,
    on_image: Callable[[int], None] | None,
) -> Iterable[tuple[str | None, str]]:
    """Yield for each row its digest, or None and the reason why the file cannot be read."""

    def hash_one(source: ImageSource) -> tuple[str | None, str]:
        try:
            return digest_bytes(root, source), ""
        except NotReadError as error:
            return None, str(error)

    with ThreadPoolExecutor(workers) as pool:
        # Not all at once: a file that waits in a pool takes ten times the memory of its row.
        for first in range(0, len(rows), _HASHED_AHEAD):
            for result in pool.map(hash_one, image_sources(rows.iloc[first : first + _HASHED_AHEAD])):
                if on_image:
                    on_image(1)
                yield result
