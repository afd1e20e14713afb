"""Images of earlier listings that the present one replaced, and whose rows nobody gave up: other sets of one cache.

A listing knows one image set. Where another one takes its place, an image that it lacks is either gone, or it belongs
to a set that was listed before; `compact` drops the row of the former alone.
"""

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.extractors.atomic import errors_explained, write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import DIGEST_COLUMN, OK, is_url, parse_root, place_of, root_text
from headstart.extractors.images.tables import check_rows_claimed
from headstart.extractors.listing.cache_listing import CacheListing
from headstart.extractors.listing.checking import check_digests
from headstart.extractors.listing.known_digests import find_known_digests
from headstart.extractors.listing.listing_file import damage_explained
from headstart.extractors.listing.sealing import check_seal, sealed_parquet

_FILE = "other-sets.parquet"
_COLUMNS = ("root", "path", "archive", DIGEST_COLUMN)
_KNOWN = ("path", DIGEST_COLUMN, "status")  # of what a limit left out
_ADVICE = "'headstart compact CACHE --drop-others' does without it, and drops every row that is not listed now"


def keep_other_sets(
    cache: EmbeddingCache, replaced: CacheListing, listing: CacheListing, left_out: pd.DataFrame
) -> None:
    """Note which images of a listing that is about to be replaced are not gone, but of another set.

    Those are: all of another root, unless the new listing has every one of them, as after a folder was moved; and of
    the same root those whose file is still there, though another manifest or pattern does not name it. What a limit
    kept out of the replaced listing is known by its digest all the same, and counts as listed.

    Parameters
    ----------
    cache : EmbeddingCache
    replaced, listing : CacheListing
        The stored one, and the one that takes its place; hold the listing's lock.
    left_out : DataFrame
        What a limit keeps out of the new listing, by ``path``: it is known all the same.

    Raises
    ------
    CacheError
        The file cannot be written.
    """
    rows = pd.concat([replaced.rows, find_known_digests(cache, replaced.root, None)[list(_KNOWN)]], ignore_index=True)
    rows = rows[(rows["status"] == OK) | rows[DIGEST_COLUMN].isna()]
    if replaced.root == listing.root:
        rows = rows[~rows["path"].isin(listing.rows["path"])]
    elif rows[DIGEST_COLUMN].isin(listing.rows[DIGEST_COLUMN].dropna()).all():
        rows = rows.iloc[:0]
    known = read_other_sets(cache)
    if rows.empty and known.empty:
        return
    earlier = rows.assign(root=root_text(replaced.root))[list(_COLUMNS)].astype(object)
    found = pd.concat([known, earlier], ignore_index=True).drop_duplicates(["root", "path"], keep="last")
    here = (found["root"] == root_text(listing.root)).to_numpy()
    listed = here & (found["path"].isin(listing.rows["path"]) | found["path"].isin(left_out["path"])).to_numpy()
    found = found[~listed]
    gone = [
        root == root_text(listing.root) and not _is_there(root, archive or path)
        for root, path, archive in zip(found["root"], found["path"], found["archive"], strict=True)
    ]
    found = found[~pd.Series(gone, found.index, dtype=bool)].reset_index(drop=True)
    if not found.equals(known):
        _write(cache, found)


def read_other_sets(cache: EmbeddingCache) -> pd.DataFrame:
    """Return ``root``, ``path``, ``archive`` and ``digest`` (None where unread) of the images of other sets.

    Raises
    ------
    CacheError
        The file is damaged.
    """
    path = cache.path / _FILE
    if not path.exists():
        return pd.DataFrame({name: pd.Series(dtype=object) for name in _COLUMNS})
    with damage_explained(path, _ADVICE):
        content = path.read_bytes()  # Arrow takes no path that is not UTF-8
        check_seal(io.BytesIO(content))
        check_rows_claimed(pq.read_metadata(io.BytesIO(content)).num_rows, len(content), rows_a_byte=1)
        rows = pq.read_table(pa.BufferReader(content)).to_pandas()[list(_COLUMNS)].astype(object)
        check_digests(pa.array(rows[DIGEST_COLUMN], pa.string()))
        return pd.DataFrame(rows.where(rows.notna(), None))


def forget_other_sets(cache: EmbeddingCache) -> None:
    """Give up what other sets are known by; do this when their rows are dropped."""
    with errors_explained(cache.path / _FILE):
        (cache.path / _FILE).unlink(missing_ok=True)


def _write(cache: EmbeddingCache, rows: pd.DataFrame) -> None:
    if rows.empty:
        forget_other_sets(cache)
        return
    text = pa.schema([(name, pa.string()) for name in _COLUMNS])
    write_atomically(cache.path / _FILE, sealed_parquet(pa.Table.from_pandas(rows, schema=text, preserve_index=False)))


def _is_there(root: str, path: str) -> bool:
    """Tell whether a file is still below its root; of what lies elsewhere, or cannot be looked at, it is assumed."""
    if is_url(root) or is_url(path):
        return True
    try:
        Path(place_of(parse_root(root), path)).stat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):  # of which one is that a member's archive is no folder
        return True
    return True
