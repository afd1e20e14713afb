"""The file of a cache's listing: Parquet, opened without reading it whole, and its rows in the types that they had."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.extractors.cache import UNREADABLE, EmbeddingCache
from headstart.extractors.errors import CacheError, refuse_passing_fault
from headstart.extractors.images import DIGEST_COLUMN
from headstart.extractors.listing.checking import check_columns
from headstart.extractors.listing.sealing import check_seal
from headstart.extractors.writer_lock import writer_lock

FILE = "listing.parquet"
_LOCK = "listing.lock"
_FEW_VALUES = ("archive", "split", "group", "status", "reason", "etag")
_TEXT_COLUMNS = ("path", *_FEW_VALUES, DIGEST_COLUMN)


@contextmanager
def opened_listing(cache: EmbeddingCache) -> Iterator[pq.ParquetFile]:
    """Open the listing of a cache; what goes wrong while it is read is told as damage.

    Raises
    ------
    CacheError
        There is none, or it is damaged.
    """
    path = cache.path / FILE
    if not path.exists():
        raise CacheError(
            f"{cache.path}: no images are listed in this cache yet; run 'headstart extract IMAGES --cache {cache.path}'"
        )
    with damage_explained(path), path.open("rb") as file:  # Arrow takes no path that is not UTF-8
        check_seal(file)
        opened = pq.ParquetFile(file, page_checksum_verification=True)
        check_columns(opened, path.stat().st_size)
        yield opened


def origin_of(schema: pa.Schema) -> dict[str, Any]:
    """Return the origin of the listed images: ``root``, ``kind``, ``written_ns`` and ``left_out``.

    Raises
    ------
    KeyError, TypeError, ValueError
        The file says nothing of it.
    """
    origin = {"left_out": 0} | dict(json.loads(schema.metadata[b"headstart"]))
    kinds = {"root": str, "kind": str, "written_ns": int, "left_out": int}
    if wrong := [name for name, kind in kinds.items() if not isinstance(origin[name], kind)]:
        raise ValueError(f"its {wrong[0]} is {origin[wrong[0]]!r}")
    return origin


def as_rows(table: pa.Table) -> pd.DataFrame:
    """Return columns of the file as `extractors.images.image_set` makes them, whichever pandas reads them."""
    for name in set(_FEW_VALUES) & set(table.column_names):
        at = table.column_names.index(name)
        if not pa.types.is_null(table.schema.field(at).type):
            # Each value becomes one object that all its rows share, and not one object a row.
            table = table.set_column(at, name, table.column(at).dictionary_encode())
    rows: pd.DataFrame = table.to_pandas()
    for name in _TEXT_COLUMNS:
        if name in rows:
            rows[name] = rows[name].astype(object).where(rows[name].notna(), None)
    return rows


def listing_lock(cache: EmbeddingCache, on_wait: Callable[[Path], None] | None = None) -> AbstractContextManager[None]:
    """Keep the listing as it is: whoever replaces it, or drops rows because of what it lacks, does so within.

    It is short for one who lists. Take the lock of a key first where both are needed.
    """
    return writer_lock(cache.path, on_wait=on_wait, name=_LOCK)


@contextmanager
def damage_explained(path: Path, advice: str = "delete this file and run 'headstart extract' again") -> Iterator[None]:
    """Turn what a damaged file raises while it is read into a `CacheError` that names it and says what to do."""
    try:
        yield
    except CacheError:
        raise  # it is an OSError, too
    except (*UNREADABLE, pa.ArrowException) as error:
        refuse_passing_fault(path, error)
        raise CacheError(f"{path}: cannot be read ({error}); {advice}") from error
