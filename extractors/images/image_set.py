"""Rows that every kind of image set is listed as: one row an image, the same columns wherever it came from."""

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.roots import ImageRoot

if TYPE_CHECKING:
    import pandas as pd  # who only reads and embeds images need not have it

OK, QUARANTINED = "ok", "quarantined"
_LARGEST_INODE = 2**63 - 1  # some file systems number to 2**64, and columns hold int64
EMPTY_FILE = "empty file (0 bytes)"
NO_SUCH_FILE = "no such file"
DIGEST_COLUMN = "digest"  # added later by the cache, so no label may have this name


class ListedImage(NamedTuple):
    """One row of a listing, without its labels; see `ImageSet` for the meaning of each field."""

    path: str
    archive: str | None = None
    offset: int | None = None
    bytes: int = 0
    mtime_ns: int = 0
    split: str | None = None
    group: str | None = None
    status: str = OK
    reason: str = ""
    etag: str | None = None
    file_inode: int = 0
    changed_ns: int = 0


LISTING_COLUMNS: tuple[str, ...] = ListedImage._fields
STAMP_COLUMNS = ("file_inode", "changed_ns")  # what tells two files of one size and time apart


class ImageSource(NamedTuple):
    """Where the bytes of one image lie: a file or object under the root, or `bytes` bytes at `offset` in an archive."""

    path: str
    archive: str | None
    offset: int | None
    bytes: int


@dataclass(frozen=True)
class ImageSet:
    """The images found at a source.

    Parameters
    ----------
    root : Path or RemoteRoot
        Absolute folder, or address, to which the paths in `rows` are relative.
    kind : str
        Of the source: "folder" (per class), "flat" (images without labels), "manifest", "tar", "zip" and so on.
    rows : pandas.DataFrame
        One row an image under a RangeIndex: first the `LISTING_COLUMNS`, then the label columns. `path` (unique) is
        POSIX and relative to `root`, or absolute or a URL where a manifest says so; a member of an archive
        has its name in front.
        `archive` is that file relative to `root`, `offset` the member's first byte in it. `bytes` is the size in
        bytes and `mtime_ns` the time of change in nanoseconds (a member has its archive's). `split` is "train", "val",
        "test" or None. `status` is "ok" or "quarantined", for the `reason` beside it. `etag` is what an object store
        or web server changes with the content, None for files. `file_inode` and `changed_ns` are the file's number and
        the time at which anything about it changed, which no program sets (a member has its archive's); 0 where the
        file system has none. Text columns have dtype object, and None where nothing is known.
    ignored : dict of str to int
        Suffix in lower case ("" for none) → number of files passed over because they are no images.
    left_out : int
        Images that were found too, but are beyond the limit that was asked for.
    notes : tuple of str
        What a person should know of how the source was read.
    """

    root: ImageRoot
    kind: str
    rows: "pd.DataFrame"
    ignored: dict[str, int]
    left_out: int = 0
    notes: tuple[str, ...] = ()


def label_columns(rows: "pd.DataFrame") -> list[str]:
    """Return the names of the label columns of a listing: all but `LISTING_COLUMNS` and the cache's "digest"."""
    return [str(name) for name in rows.columns if name not in LISTING_COLUMNS and name != DIGEST_COLUMN]


def listing_frame(images: Sequence[ListedImage], labels: Mapping[str, "pd.Series[Any]"]) -> "pd.DataFrame":
    """Assemble rows, in the order given, from at least one image and label columns of the same length."""
    import pandas as pd  # noqa: PLC0415 - images are read without

    values = dict(zip(LISTING_COLUMNS, zip(*images, strict=True), strict=True))
    columns: dict[str, Any] = {name: pd.Series(values[name], dtype=object) for name in LISTING_COLUMNS}
    columns["offset"] = pd.array(values["offset"], dtype="Int64")
    columns["bytes"] = np.array(values["bytes"], dtype=np.int64)
    for name in ("mtime_ns", *STAMP_COLUMNS):
        columns[name] = np.array(values[name], dtype=np.int64)
    return pd.DataFrame(columns | dict(labels))


def text_series(values: Iterable[object]) -> "pd.Series[Any]":
    """Return text with None for what is missing, in the one dtype that pandas 2 and 3 store and compare alike."""
    import pandas as pd  # noqa: PLC0415 - images are read without

    return pd.Series([None if value is None else str(value) for value in values], dtype=object)


def listed_file(path: str, found: os.stat_result) -> ListedImage:
    """Return the row of a file from its stat, quarantined where no image can be read from it."""
    image = ListedImage(
        path,
        bytes=found.st_size,
        mtime_ns=found.st_mtime_ns,
        file_inode=found.st_ino & _LARGEST_INODE,
        changed_ns=found.st_ctime_ns,
    )
    if stat.S_ISDIR(found.st_mode):
        return image._replace(bytes=0, status=QUARANTINED, reason="is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        return image._replace(bytes=0, status=QUARANTINED, reason="is a device, pipe or socket, not a file")
    return image if found.st_size else image._replace(status=QUARANTINED, reason=EMPTY_FILE)


def os_reason(error: OSError) -> str:
    """Say in a few words why the operating system does not give a file."""
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return NO_SUCH_FILE
    return (error.strerror or type(error).__name__).lower()


def displayable(name: str) -> str:
    r"""Return a file name with every byte that is not UTF-8 as `\xff`; other names come back unchanged."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def refuse_duplicates(paths: Sequence[str], where: object, next_step: str) -> None:
    """Raise ImageSetError where a path stands twice: it could no longer tell its row from the other."""
    import pandas as pd  # noqa: PLC0415 - images are read without

    series = pd.Series(paths, dtype=object)
    repeated = series[series.duplicated()].unique()
    if len(repeated):
        shown = ", ".join(map(repr, repeated[:3])) + (", …" if len(repeated) > 3 else "")
        raise ImageSetError(f"{where}: {len(repeated)} paths are listed more than once ({shown}); {next_step}")


def spread_rows(rows: "pd.DataFrame", limit: int) -> "pd.DataFrame":
    """Keep `limit` rows, in their order: the first of every (split, label), the second of each, and so on."""
    label = "label" if "label" in rows else next(iter(label_columns(rows)), None)
    groups = ["split"] if label is None else ["split", label]
    turn = rows.groupby(groups, dropna=False, sort=False, observed=True).cumcount().to_numpy()
    kept = np.sort(np.argsort(turn, kind="stable")[:limit])
    return rows.iloc[kept].reset_index(drop=True)


def is_hidden(name: str) -> bool:
    """Tell a member of an archive that would be hidden as a file, or lie in a hidden folder."""
    return any(part.startswith(".") and part not in {".", ".."} for part in name.split("/"))


def count_by_suffix(ignored: Mapping[str, int]) -> str:
    """Return counts such as ".txt 12, .csv 1, no suffix 3", the most frequent first."""
    by_count = sorted(ignored.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{suffix or 'no suffix'} {count}" for suffix, count in by_count)
