"""The cache's listing: the image set as last seen, each image with the digest under which its embedding is found."""

import io
import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import ImageSetError, NotReadError
from headstart.extractors.images.image_set import DIGEST_COLUMN, OK, QUARANTINED, ImageSet
from headstart.extractors.images.roots import ImageRoot, parse_root
from headstart.extractors.images.sources import ImageSource, digest_bytes, image_sources
from headstart.extractors.listing.known_digests import carry_over, keep_digests, known_digests
from headstart.extractors.listing.listing_file import FILE, as_rows, opened_listing, origin_of

_HASHED_AHEAD = 1024


@dataclass(frozen=True)
class CacheListing:
    """The images of a cache.

    Attributes
    ----------
    rows : DataFrame
        `images.image_set.LISTING_COLUMNS`, label columns, and ``digest`` (SHA-256 as hex, None where unread).
    root : Path or RemoteRoot
        Folder or address that the paths are relative to.
    kind : str
        What the images were listed from: ``folder``, ``flat``, ``manifest`` or ``tar``.
    written_ns : int
        When the files were looked at, in nanoseconds since the epoch.
    """

    rows: pd.DataFrame
    root: ImageRoot
    kind: str
    written_ns: int = field(default_factory=time.time_ns)

    @property
    def usable(self) -> pd.DataFrame:
        """Rows that are not quarantined."""
        return self.rows[self.rows["status"] == OK]

    @property
    def distinct(self) -> pd.DataFrame:
        """Usable rows, each content once."""
        return self.usable.drop_duplicates(DIGEST_COLUMN)

    @property
    def quarantined(self) -> pd.DataFrame:
        """Rows that could not be read, with ``path`` and ``reason``."""
        return self.rows[self.rows["status"] != OK]

    def with_unreadable(self, reasons: dict[str, str]) -> "CacheListing":
        """Return a listing in which the images with these digests are quarantined for the reason given."""
        rows, reason = self.rows.copy(), self.rows[DIGEST_COLUMN].map(reasons)
        bad = reason.notna()
        rows.loc[bad, "status"] = QUARANTINED
        rows.loc[bad, "reason"] = reason[bad]
        return replace(self, rows=rows)

    def with_not_read(self, reasons: dict[str, str]) -> "CacheListing":
        """Return a listing in which the images at these paths are quarantined until the next run reads them again.

        They lose their digests: the failure was one of the moment, and content that was seen at another path, or is
        seen there later, is as good as before.
        """
        rows, reason = self.rows.copy(), self.rows["path"].map(reasons)
        bad = reason.notna()
        rows.loc[bad, "status"] = QUARANTINED
        rows.loc[bad, "reason"] = reason[bad]
        rows.loc[bad, DIGEST_COLUMN] = None
        return replace(self, rows=rows)

    def as_table(self) -> pa.Table:
        """Return the rows as Parquet holds them.

        Raises
        ------
        ImageSetError
            A label column mixes types that Parquet cannot hold.
        """
        try:
            # Files have no tag, and a listing of files is as it was before there were other images.
            tagged = self.rows["etag"].notna().any()
            return pa.Table.from_pandas(self.rows if tagged else self.rows.drop(columns="etag"), preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ImageSetError(
                f"{self.root}: a label column mixes types ({'; '.join(map(str, error.args))}); give it one type"
            ) from error

    def write(self, cache: EmbeddingCache) -> None:
        """Replace the cache's listing.

        Raises
        ------
        ImageSetError
            A label column mixes types that Parquet cannot hold.
        CacheError
            The file cannot be written.
        """
        table = self.as_table()
        origin = {"root": str(self.root), "kind": self.kind, "written_ns": self.written_ns}
        buffer = io.BytesIO()
        metadata = {**table.schema.metadata, b"headstart": json.dumps(origin).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), buffer, write_page_checksum=True)
        write_atomically(cache.path / FILE, buffer.getvalue())


def has_listing(cache: EmbeddingCache) -> bool:
    """Tell whether images were listed in the cache before."""
    return (cache.path / FILE).exists()


def read_listing(cache: EmbeddingCache) -> CacheListing:
    """Read the cache's listing.

    Raises
    ------
    CacheError
        There is none, or it is damaged.
    """
    listing = _read(cache)[0]
    pa.default_memory_pool().release_unused()  # or Arrow keeps for itself what it read the file into
    return listing


def listed_root(cache: EmbeddingCache) -> ImageRoot | None:
    """Return the root of the cache's listing without reading its rows; None where there is none or it is damaged."""
    try:
        with (cache.path / FILE).open("rb") as file:
            return parse_root(origin_of(pq.read_schema(file))["root"])
    except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError):
        return None  # whoever reads the rows says what is wrong


def update_listing(
    cache: EmbeddingCache,
    images: ImageSet,
    *,
    workers: int,
    on_image: Callable[[int], None] | None = None,
    write: bool = True,
) -> CacheListing:
    """List `images` in the cache: what is known by path, size, time and tag keeps its digest, the rest is read.

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
    """
    rows = images.rows.assign(**{DIGEST_COLUMN: pd.Series([None] * len(images.rows), dtype=object)})
    written_ns = time.time_ns()
    earlier, stored = _read(cache) if has_listing(cache) else (None, None)
    known = known_digests(cache, images.root, earlier)
    carry_over(rows, known)
    hashed = _hash_unknown(rows, images.root, workers, on_image)
    listing = CacheListing(rows, images.root, images.kind, written_ns)
    if not write:
        return listing
    left_out = known[~known["path"].isin(rows["path"])] if images.left_out else known.iloc[:0]
    if len(left_out):  # before the listing that lacks them, or a kill in between would lose them
        keep_digests(cache, images.root, left_out)
    # Where nothing is new, a later time is worth writing only after files were hashed again because they had changed
    # just before they were listed. It saves time and no more, so a cache that may not be written does without.
    if earlier and _is_stored(listing, earlier, stored) and not (hashed and os.access(cache.path, os.W_OK)):
        return replace(listing, written_ns=earlier.written_ns)
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


def _is_stored(listing: CacheListing, earlier: CacheListing, stored: pa.Table) -> bool:
    """Tell whether what is stored differs from a listing by its time at most."""
    return (listing.root, listing.kind) == (earlier.root, earlier.kind) and listing.as_table().equals(stored)


def _read(cache: EmbeddingCache) -> tuple[CacheListing, pa.Table]:
    """Return the listing, and the table that it is stored as."""
    with opened_listing(cache) as file:
        table = file.read()
        origin, rows = origin_of(table.schema), as_rows(table)
        if "etag" not in rows:
            rows.insert(list(rows).index("reason") + 1, "etag", pd.Series([None] * len(rows), dtype=object))
        return CacheListing(rows, parse_root(origin["root"]), origin["kind"], origin["written_ns"]), table


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
