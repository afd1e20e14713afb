"""Digests that are known without reading a file: from the earlier listing, and those that a limited one left out.

The latter are kept beside the listing, so that a later run over all images hashes none twice.
"""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.extractors.atomic import errors_explained, write_atomically
from headstart.extractors.cache import UNREADABLE, EmbeddingCache
from headstart.extractors.images import DIGEST_COLUMN, OK, STAMP_COLUMNS, ImageRoot, root_text
from headstart.extractors.images.tables import check_rows_claimed
from headstart.extractors.listing.checking import check_digests
from headstart.extractors.listing.listing_file import damage_explained
from headstart.extractors.listing.sealing import check_seal, sealed_parquet

if TYPE_CHECKING:
    from headstart.extractors.listing.cache_listing import CacheListing

# A file that changed this shortly before it was looked at may change again within one tick of its file system's clock.
RACY_NS = 2_000_000_000

_FILE = "digests.parquet"
_ADVICE = "delete it and run 'headstart extract' without --limit, which reads those images again"
_COLUMNS = ("path", "bytes", "mtime_ns", "etag", *STAMP_COLUMNS, DIGEST_COLUMN, "status", "reason")


def find_known_digests(cache: EmbeddingCache, root: ImageRoot, earlier: "CacheListing | None") -> pd.DataFrame:
    """Return one row for each file below `root` whose digest can be trusted while its size, time and tag stay.

    Returns
    -------
    DataFrame
        ``path`` (unique), ``bytes``, ``mtime_ns``, ``etag``, ``file_inode``, ``changed_ns``, ``digest``, ``status``,
        ``reason``, and ``seen_ns``: where no time of change was noted, it must lie before this.
    """
    kept = _read(cache, root).assign(seen_ns=0)
    if earlier is None or earlier.root != root:  # equal names, sizes and times in another folder prove nothing
        return kept
    rows, seen_ns = earlier.rows, earlier.written_ns - RACY_NS
    whole_seconds = rows["changed_ns"] % 1_000_000_000 == 0  # a clock that coarse
    still = (rows["mtime_ns"] < seen_ns) & (rows["changed_ns"] < np.where(whole_seconds, seen_ns, earlier.written_ns))
    trusted = (still | rows["etag"].notna()) & rows[DIGEST_COLUMN].notna()
    listed = rows.loc[trusted, list(_COLUMNS)].assign(seen_ns=seen_ns)
    return pd.concat([listed, kept[~kept["path"].isin(listed["path"])]], ignore_index=True) if len(kept) else listed


def carry_over(rows: pd.DataFrame, known: pd.DataFrame) -> None:
    """Put digest, status and reason into the `rows` of a listing whose files did not change since they were known.

    Size and time are what any program can set again. So the file must be the same one, too, and its time of change,
    which the kernel alone sets, the same; where that was not noted, it must lie before the digest was known.
    """
    place = pd.Index(known["path"]).get_indexer(pd.Index(rows["path"]))
    if not (place >= 0).any():
        return
    at = known.iloc[place]  # -1, where nothing is known, gives the row of another path, which is left out
    same = (place >= 0) & (rows["status"] == OK).to_numpy()
    for name in ("bytes", "mtime_ns", "etag"):
        same &= rows[name].to_numpy() == at[name].to_numpy()
    changed, known_change = rows["changed_ns"].to_numpy(), at["changed_ns"].to_numpy()
    as_noted = (changed == known_change) & (rows["file_inode"].to_numpy() == at["file_inode"].to_numpy())
    same &= np.where(known_change == 0, changed <= at["seen_ns"].to_numpy(), as_noted)
    for name in (DIGEST_COLUMN, "status", "reason"):
        rows.loc[same, name] = at[name].to_numpy()[same]


def count_changed_unseen(before: "CacheListing", after: "CacheListing") -> int:
    """Return how many images have another digest than before though all else that is noted of their files is equal."""
    noted = ["path", "bytes", "mtime_ns", "etag", *STAMP_COLUMNS]
    both = before.rows.merge(after.rows, on=noted, suffixes=("_before", ""))
    earlier = both[f"{DIGEST_COLUMN}_before"]
    return int((earlier.notna() & both[DIGEST_COLUMN].notna() & (earlier != both[DIGEST_COLUMN])).sum())


def keep_digests(cache: EmbeddingCache, root: ImageRoot, known: pd.DataFrame) -> None:
    """Replace what is kept beside the listing; no rows remove it, and what is there already is not written again.

    Raises
    ------
    CacheError
        The file cannot be written.
    """
    path = cache.path / _FILE
    if known.empty:
        if path.exists():
            with errors_explained(path):
                path.unlink(missing_ok=True)
        return
    empty = () if known["etag"].notna().any() else ("etag",)  # files have none
    columns = [name for name in _COLUMNS if name not in empty]
    table = pa.Table.from_pandas(known[columns], preserve_index=False)
    data = sealed_parquet(table.replace_schema_metadata({b"headstart": json.dumps({"root": root_text(root)}).encode()}))
    if not path.exists() or path.read_bytes() != data:
        write_atomically(path, data)


def check_left_out(cache: EmbeddingCache) -> None:
    """Read what is kept beside the listing; do so before anything is dropped because it is not known.

    Raises
    ------
    CacheError
        It is damaged.
    """
    if (path := cache.path / _FILE).exists():
        with damage_explained(path, _ADVICE):
            _parse(path)


def _read(cache: EmbeddingCache, root: ImageRoot) -> pd.DataFrame:
    """Read what is kept of the images below `root`; what is damaged is as good as none, as files are hashed again."""
    none = pd.DataFrame({name: pd.Series(dtype=object) for name in _COLUMNS})
    path = cache.path / _FILE
    if not path.exists():
        return none
    try:
        kept_root, rows = _parse(path)
    except (*UNREADABLE, pa.ArrowException):
        return none
    return rows if kept_root == root_text(root) else none


def _parse(path: Path) -> tuple[str, pd.DataFrame]:
    content = path.read_bytes()  # Arrow takes no path that is not UTF-8
    check_seal(io.BytesIO(content))
    check_rows_claimed(pq.read_metadata(io.BytesIO(content)).num_rows, len(content), rows_a_byte=1)
    table = pq.read_table(pa.BufferReader(content))
    rows = table.to_pandas()
    later = {"etag": None} | dict.fromkeys(STAMP_COLUMNS, 0)
    rows = rows.assign(**{name: rows.get(name, nothing) for name, nothing in later.items()})[list(_COLUMNS)]
    check_digests(pa.array(rows[DIGEST_COLUMN], pa.string()))
    rows = rows.astype(dict.fromkeys(("path", "etag", DIGEST_COLUMN, "status", "reason"), object))
    rows["etag"] = rows["etag"].where(rows["etag"].notna(), None)
    return str(json.loads(table.schema.metadata[b"headstart"])["root"]), rows
