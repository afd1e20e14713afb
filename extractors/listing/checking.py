"""Claims of a listing, checked before it is believed: columns, types, digests, paths, number of rows."""

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headstart.extractors.images import DIGEST_COLUMN, LISTING_COLUMNS, OK, QUARANTINED, STAMP_COLUMNS
from headstart.extractors.images.tables import check_rows_claimed

_NUMBERS = ("offset", "bytes", "mtime_ns", *STAMP_COLUMNS)
_LATER = ("etag", *STAMP_COLUMNS)  # listings of files have no tag, others no stamps, and those of before neither


def check_columns(file: pq.ParquetFile, n_bytes: int) -> None:
    """Check names and types of the columns, and that as many rows as are claimed can lie in so many bytes.

    Raises
    ------
    ValueError
        They cannot be a listing's; the message says why.
    """
    schema, n_rows = file.schema_arrow, file.metadata.num_rows
    check_rows_claimed(n_rows, n_bytes, rows_a_byte=1)  # digests differ, and cannot be packed
    names = schema.names
    if repeated := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"column {min(repeated)!r} stands twice")
    wanted = {*LISTING_COLUMNS, DIGEST_COLUMN}
    if lacking := wanted - {*names, *_LATER}:
        raise ValueError(f"it has no column {min(lacking)!r}")
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not _is_fit(kind, number=field.name in _NUMBERS, text=field.name in wanted):
            raise ValueError(f"column {field.name!r} holds {field.type}, which no listing does")


def check_rows(rows: pd.DataFrame) -> None:
    """Check paths, digests and states of all rows.

    Raises
    ------
    ValueError
        A row cannot be of a listing.
    """
    paths = rows["path"]
    if paths.isna().any():
        raise ValueError("a row has no path")
    if not paths.is_unique:
        raise ValueError(f"{paths[paths.duplicated()].iloc[0]!r} stands twice")
    check_states(pa.array(rows["status"].unique(), pa.string()))
    check_sizes(pa.array(rows["bytes"]))
    digests = rows[DIGEST_COLUMN]
    usable = rows["status"] == OK
    if digests[usable].isna().any():
        raise ValueError("an image that is not in quarantine has no digest")
    check_digests(pa.array(digests, pa.string()))
    in_archive = rows["archive"].notna()
    if rows.loc[in_archive, "offset"].isna().any() or (rows.loc[in_archive, "offset"] < 0).any():
        raise ValueError("a member of an archive has no place in it")


def check_digests(digests: Any) -> None:
    """Check that what there is of digests, strings, are 64 hexadecimal digits each.

    Raises
    ------
    ValueError
        One is none.
    """
    fits = pc.match_substring_regex(digests.cast(pa.string()), "^[0-9a-f]{64}$")
    if len(digests) and pc.all(fits).as_py() is False:
        raise ValueError("a digest is no 64 hexadecimal digits")


def check_states(states: Any) -> None:
    """Check that every row is usable or in quarantine.

    Raises
    ------
    ValueError
        One is neither.
    """
    if other := {*pc.unique(states).to_pylist()} - {OK, QUARANTINED}:
        raise ValueError(f"the status of a row is {other.pop()!r}")


def check_sizes(sizes: Any) -> None:
    """Check that every file has a size.

    Raises
    ------
    ValueError
        One is missing or negative.
    """
    if sizes.null_count or (len(sizes) and pc.min(sizes).as_py() < 0):
        raise ValueError("an image has no size")


def _is_fit(kind: pa.DataType, *, number: bool, text: bool) -> bool:
    if number:
        return bool(pa.types.is_integer(kind) or pa.types.is_null(kind))
    if text:
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))
    return not pa.types.is_nested(kind)
