"""The cache's listing: the image set as last seen, each image with the digest under which its embedding is found."""

import io
import json
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from extractors.atomic import write_atomically
from extractors.cache import EmbeddingCache
from extractors.errors import CacheError, ImageSetError, NotReadError
from extractors.images import ImageSource, digest_bytes, image_sources
from extractors.listing import DIGEST_COLUMN, OK, QUARANTINED, ImageSet

_FILE = "listing.parquet"
_TEXT_COLUMNS = ("path", "archive", "split", "group", "status", "reason", DIGEST_COLUMN)
# A file that changed this shortly before it was hashed may change again within one tick of its file system's clock.
_RACY_NS = 2_000_000_000


@dataclass(frozen=True)
class CacheListing:
    """The images of a cache.

    Attributes
    ----------
    rows : DataFrame
        `extractors.listing.LISTING_COLUMNS`, label columns, and ``digest`` (SHA-256 as hex, None where unread).
    root : Path
        Folder that the paths are relative to.
    kind : str
        What the images were listed from: ``folder``, ``flat``, ``manifest`` or ``tar``.
    written_ns : int
        When the files were looked at, in nanoseconds since the epoch.
    """

    rows: pd.DataFrame
    root: Path
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

    def write(self, cache: EmbeddingCache) -> None:
        """Replace the cache's listing.

        Raises
        ------
        ImageSetError
            A label column mixes types that Parquet cannot hold.
        CacheError
            The file cannot be written.
        """
        try:
            table = pa.Table.from_pandas(self.rows, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ImageSetError(
                f"{self.root}: a label column mixes types ({'; '.join(map(str, error.args))}); give it one type"
            ) from error
        origin = {"root": str(self.root), "kind": self.kind, "written_ns": self.written_ns}
        buffer = io.BytesIO()
        pq.write_table(
            table.replace_schema_metadata({**table.schema.metadata, b"headstart": json.dumps(origin).encode()}), buffer
        )
        write_atomically(cache.path / _FILE, buffer.getvalue())


def has_listing(cache: EmbeddingCache) -> bool:
    """Tell whether images were listed in the cache before."""
    return (cache.path / _FILE).exists()


def read_listing(cache: EmbeddingCache) -> CacheListing:
    """Read the cache's listing.

    Raises
    ------
    CacheError
        There is none, or it is damaged.
    """
    path = cache.path / _FILE
    if not path.exists():
        raise CacheError(
            f"{cache.path}: no images are listed in this cache yet; run 'headstart extract IMAGES --cache {cache.path}'"
        )
    try:
        table = pq.read_table(path)
        origin = json.loads(table.schema.metadata[b"headstart"])
        rows = table.to_pandas()
        for column in _TEXT_COLUMNS:  # as `extractors.listing` makes them, whichever pandas reads them
            rows[column] = rows[column].astype(object).where(rows[column].notna(), None)
        return CacheListing(rows, Path(origin["root"]), origin["kind"], origin["written_ns"])
    except (pa.ArrowInvalid, OSError, KeyError, TypeError, ValueError) as error:
        raise CacheError(
            f"{path}: cannot be read ({error}); delete this file and run 'headstart extract' again"
        ) from error


def update_listing(
    cache: EmbeddingCache,
    images: ImageSet,
    *,
    workers: int,
    on_image: Callable[[int], None] | None = None,
    write: bool = True,
) -> CacheListing:
    """List `images` in the cache: files known by path, size and modification time keep their digest, others are read.

    Parameters
    ----------
    cache : EmbeddingCache
        Its listing is replaced, unless `write` is False.
    images : ImageSet
        What `extractors.images.list_images` found.
    workers : int
        Threads that read and hash.
    on_image : callable
        Called with 1 for each image whose digest is settled.
    write : bool
        False leaves the cache as it is: its listing is used for the digests that it knows, and not replaced.
    """
    rows = images.rows.assign(**{DIGEST_COLUMN: pd.Series([None] * len(images.rows), dtype=object)})
    written_ns = time.time_ns()
    if has_listing(cache):
        rows = _carry_over(rows, images.root, read_listing(cache))
    unread = rows.index[(rows["status"] == OK) & rows[DIGEST_COLUMN].isna()]
    if on_image:
        on_image(len(rows) - len(unread))
    if len(unread):
        read = pd.DataFrame(
            _hash(images.root, rows.loc[unread], workers, on_image), unread, [DIGEST_COLUMN, "reason"], dtype=object
        )
        rows.loc[unread, [DIGEST_COLUMN, "reason"]] = read
        rows.loc[unread[read[DIGEST_COLUMN].isna()], "status"] = QUARANTINED
    listing = CacheListing(rows, images.root, images.kind, written_ns)
    if write:
        listing.write(cache)
    return listing


def _carry_over(rows: pd.DataFrame, root: Path, earlier: CacheListing) -> pd.DataFrame:
    """Take digest, status and reason from the earlier listing for the files that did not change since."""
    if earlier.root != root:  # equal names, sizes and times in another folder prove nothing
        return rows
    settled = earlier.rows["mtime_ns"] < earlier.written_ns - _RACY_NS
    known = earlier.rows[settled & earlier.rows[DIGEST_COLUMN].notna()]
    identity, carried = ["path", "bytes", "mtime_ns"], [DIGEST_COLUMN, "status", "reason"]
    merged = (
        rows[identity].merge(known[identity + carried], how="left", on=identity, validate="1:1").set_index(rows.index)
    )
    same = merged[DIGEST_COLUMN].notna() & (rows["status"] == OK)
    rows.loc[same, carried] = merged.loc[same, carried]
    return rows


def _hash(
    root: Path,
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
        for result in pool.map(hash_one, image_sources(rows)):
            if on_image:
                on_image(1)
            yield result
