"""The usable images of a listing in little memory: millions of rows, of which only a few are ever looked at.

As a table of Python's objects (`extractors.listing.read_listing`) an image takes some 330 bytes; here it is 50
and its path.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.extractors.cache import DIGEST_BYTES, PIECE_ROWS, DigestArray, EmbeddingCache, as_bytes
from headstart.extractors.images import DIGEST_COLUMN, LISTING_COLUMNS, OK, ImageRoot, ImageSource, parse_root
from headstart.extractors.listing.checking import check_digests, check_sizes, check_states
from headstart.extractors.listing.listing_file import as_rows, opened_listing, origin_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILES = ("path", "archive", "offset", "bytes")


@dataclass(frozen=True, eq=False)
class UsableImages:
    """Images by their digests, and where their bytes are.

    Attributes
    ----------
    digest : uint8 array (n_images, 32)
        SHA-256 of each image.
    files : Table
        ``path``, ``archive``, ``offset`` and ``bytes`` of each, as in a listing.
    """

    digest: DigestArray
    files: pa.Table

    def __len__(self) -> int:
        return len(self.digest)

    def keep(self, mask: npt.NDArray[np.bool_]) -> "UsableImages":
        """Return the images where the mask (n_images,) is True."""
        return self if mask.all() else UsableImages(self.digest[mask], self.files.filter(pa.array(mask)))

    def sources(self, rows: "Sequence[int] | npt.NDArray[np.intp]") -> list[ImageSource]:
        """Return the sources of a few rows, as `extractors.images.reading.read_bytes` needs them."""
        if not len(rows):
            return []
        # Slices and no `take`: it copies the whole column for one row of it.
        few = pa.concat_tables([self.files.slice(int(row), 1) for row in rows]).to_pylist()
        return [ImageSource(**one) for one in few]

    def paths(self, rows: "Sequence[int] | npt.NDArray[np.intp]") -> list[str]:
        """Return the paths of a few rows, as they are listed."""
        return [source.path for source in self.sources(rows)]


@dataclass(frozen=True, eq=False)
class UsableListing:
    """The rows of a listing that are not quarantined, in its order.

    Attributes
    ----------
    root : Path or RemoteRoot
        Folder or address that the paths are relative to.
    images : UsableImages
    labels : DataFrame
        ``split``, ``group`` and the label columns, as in `extractors.listing.cache_listing.CacheListing.usable`.
    left_out : int
        Images that a limit left out of the listing.
    """

    root: ImageRoot
    images: UsableImages
    labels: pd.DataFrame
    left_out: int = 0

    @property
    def paths(self) -> "pd.Series[str]":
        """The path of every image, as objects: of millions, a gigabyte."""
        return pd.Series(self.images.files["path"].to_pylist(), self.labels.index, dtype=object)


def read_usable(cache: EmbeddingCache) -> UsableListing:
    """Read what is usable of a cache's listing, without holding all of it in memory.

    Raises
    ------
    CacheError
        There is none, or it is damaged.
    """
    with opened_listing(cache) as file:
        schema = file.schema_arrow
        own = [name for name in schema.names if name not in LISTING_COLUMNS and name != DIGEST_COLUMN]
        # All rows, also of images that are not usable: a label that these lack decides the type of its column.
        rows = as_rows(file.read(columns=["split", "group", "status", *own]))
        check_states(pa.array(rows["status"].unique(), pa.string()))
        usable = (rows.pop("status") == OK).to_numpy()
        files = file.read(columns=list(_FILES)).select(_FILES).replace_schema_metadata()
        check_sizes(files["bytes"])
        if files["path"].null_count:
            raise ValueError("a row has no path")
        if files["archive"].null_count == len(files):  # and then there are no offsets
            files = files.set_column(_FILES.index("offset"), "offset", pa.nulls(len(files)))
        origin = origin_of(schema)
        listing = UsableListing(
            root=parse_root(origin["root"]),
            left_out=origin["left_out"],
            images=UsableImages(_read_digests(file, usable), files if usable.all() else files.filter(pa.array(usable))),
            labels=rows if usable.all() else rows[usable],
        )
    pa.default_memory_pool().release_unused()  # or Arrow keeps for itself what it read the file into
    return listing


def _read_digests(file: pq.ParquetFile, usable: npt.NDArray[np.bool_]) -> DigestArray:
    """Read the digests of usable images, uint8 (n_usable, 32)."""
    digest = np.empty((np.count_nonzero(usable), DIGEST_BYTES), np.uint8)
    read = filled = 0
    for batch in file.iter_batches(PIECE_ROWS, columns=[DIGEST_COLUMN]):
        column = batch.column(0).filter(pa.array(usable[read : read + len(batch)]))
        check_digests(column)
        if column.null_count:
            raise ValueError("an image that is not in quarantine has no digest")
        digest[filled : filled + len(column)] = as_bytes(column.to_pylist())
        read, filled = read + len(batch), filled + len(column)
    return digest
