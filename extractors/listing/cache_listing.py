"""The cache's listing: the image set as last seen, each image with the digest under which its embedding is found."""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import UNREADABLE, EmbeddingCache
from headstart.extractors.errors import ImageSetError
from headstart.extractors.images import (
    DIGEST_COLUMN,
    LISTING_COLUMNS,
    OK,
    QUARANTINED,
    STAMP_COLUMNS,
    ImageRoot,
    parse_root,
    root_text,
)
from headstart.extractors.listing.checking import check_rows
from headstart.extractors.listing.listing_file import FILE, as_rows, opened_listing, origin_of
from headstart.extractors.listing.sealing import sealed_parquet


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
        What the images were listed from: ``folder``, ``flat``, ``manifest``, ``tar`` and so on.
    written_ns : int
        When the files were looked at, in nanoseconds since the epoch.
    left_out : int
        Images that a limit left out.
    """

    rows: pd.DataFrame
    root: ImageRoot
    kind: str
    written_ns: int = field(default_factory=time.time_ns)
    left_out: int = 0

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
            # Files have no tag and objects no stamps: a column that says nothing is not kept.
            empty = [] if self.rows["etag"].notna().any() else ["etag"]
            empty += [name for name in STAMP_COLUMNS if not self.rows[name].any()]
            return pa.Table.from_pandas(self.rows.drop(columns=empty), preserve_index=False)
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
        origin: dict[str, object] = {"root": root_text(self.root), "kind": self.kind, "written_ns": self.written_ns}
        if self.left_out:  # or a listing is as it was before this was kept
            origin["left_out"] = self.left_out
        metadata = {**table.schema.metadata, b"headstart": json.dumps(origin).encode()}
        write_atomically(cache.path / FILE, sealed_parquet(table.replace_schema_metadata(metadata)))


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
    listing = read_with_table(cache)[0]
    pa.default_memory_pool().release_unused()  # or Arrow keeps for itself what it read the file into
    return listing


def listed_root(cache: EmbeddingCache, kinds: Collection[str] = ()) -> ImageRoot | None:
    """Return the root of the cache's listing without reading its rows; None where there is none or it is damaged.

    With `kinds`, also None for a listing of another kind.
    """
    try:
        with (cache.path / FILE).open("rb") as file:
            origin = origin_of(pq.read_schema(file))
            return parse_root(origin["root"]) if not kinds or origin["kind"] in kinds else None
    except (*UNREADABLE, pa.ArrowException):
        return None  # whoever reads the rows says what is wrong


def read_with_table(cache: EmbeddingCache) -> tuple[CacheListing, pa.Table]:
    """Return the listing, and the table that it is stored as."""
    with opened_listing(cache) as file:
        table = file.read()
        origin, rows = origin_of(table.schema), as_rows(table)
        check_rows(rows)
        for name in (name for name in LISTING_COLUMNS if name not in rows):
            nothing = [0] * len(rows) if name in STAMP_COLUMNS else pd.Series([None] * len(rows), dtype=object)
            rows.insert(LISTING_COLUMNS.index(name), name, nothing)
        root = parse_root(origin["root"])
        return CacheListing(rows, root, origin["kind"], origin["written_ns"], origin["left_out"]), table
