"""Image sets that are tables: a CSV or Parquet manifest that names images, and what else is known of each."""

import io
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.columns import typed_column
from headstart.extractors.images.image_set import (
    NO_SUCH_FILE,
    OK,
    QUARANTINED,
    ImageSet,
    ListedImage,
    listed_file,
    listing_frame,
    os_reason,
    refuse_duplicates,
    text_series,
)
from headstart.extractors.images.layout import split_of
from headstart.extractors.images.remote import check_address
from headstart.extractors.images.roots import (
    NOT_ALLOWED,
    ImageRoot,
    RemoteRoot,
    is_allowed,
    is_url,
    place_of,
    split_place,
)
from headstart.extractors.images.tables import (
    check_rows_claimed,
    files_below,
    find_places,
    names_images,
    read_text_table,
    with_our_names,
    with_slashes,
)

MANIFEST_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
_OWN_COLUMNS = ("path", "split", "group")
_SPLIT_COLUMNS = (
    "split",
    "set",
    "subset",
    "partition",
    "phase",
    "fold",
    "usage",
    "split_name",
    "data_split",
    "dataset_split",
)


def list_manifest(place: ImageRoot) -> ImageSet:
    """List the images named by a manifest, a file or an address, in its own order.

    Paths are relative to the manifest's folder, absolute, or URLs; a manifest at an address names no files. Where not
    one of them is there, they may be names of files below, without folders or suffix. `split` and
    `group` are optional, and splits may stand in a column called set, subset, partition or the like, if it holds
    nothing else; every other column is a label column and keeps its dtype. Only an empty cell is missing, so that a
    class may be called NA or None. What cannot be found keeps its row, quarantined.

    Raises
    ------
    ImageSetError
        The table cannot be read, has no rows or no column that names images; a path is missing or stands twice; a
        split is unknown; or a column holds lists or other containers.
    """
    notes: list[str] = []
    table = read_manifest(place.url if isinstance(place, RemoteRoot) else place, notes)
    nothing = [None] * len(table)
    splits, groups = (table.get(name, nothing) for name in ("split", "group"))
    root, _ = split_place(place)
    images = [
        image._replace(split=split, group=group)
        for image, split, group in zip(_find(root, table["path"].tolist(), place, notes), splits, groups, strict=True)
    ]
    labels = {name: table[name] for name in table.columns if name not in _OWN_COLUMNS}
    return ImageSet(root, "manifest", listing_frame(images, labels), {}, notes=tuple(notes))


def read_manifest(manifest: Path | str, notes: list[str] | None = None) -> pd.DataFrame:
    """Read a table that names images, as it would be listed, but without looking for the images.

    Parameters
    ----------
    manifest : Path or str
        A file, or an address.
    notes : list of str, optional
        Takes what was guessed, and what is called otherwise than in the table.

    Returns
    -------
    DataFrame
        Under a RangeIndex, in the table's order: `path` (unique, without ./), `split` (train, val, test or None) and
        `group` (text or None) where the table has them, and the label columns.

    Raises
    ------
    ImageSetError
        As `list_manifest`.
    """
    if not PurePosixPath(manifest).name.lower().endswith(MANIFEST_SUFFIXES):
        raise ImageSetError(f"{manifest}: unknown kind of table; give a .csv or .parquet file")
    notes = [] if notes is None else notes
    return checked_columns(with_our_names(_read_table(manifest, notes), manifest, notes), manifest, notes)


def checked_columns(table: pd.DataFrame, manifest: Path | str, notes: list[str]) -> pd.DataFrame:
    """Return the columns of a table, `path` among them, in the types and spellings of a listing.

    Raises
    ------
    ImageSetError
        As `list_manifest`.
    """
    table = _with_split(table, notes)
    if table.empty:
        raise ImageSetError(f"{manifest}: no rows below the header; name at least one image")
    columns: dict[str, pd.Series[Any]] = {}
    for name in table.columns:
        if name == "path":
            columns[name] = text_series(_paths(table[name], manifest))
        elif name == "split":
            columns[name] = text_series(_splits(table[name], manifest))
        elif name == "group":
            columns[name] = text_series(_texts(table[name]))
        else:
            columns[name] = _labels(table[name], manifest)
    return pd.DataFrame(columns)


def _read_table(manifest: Path | str, notes: list[str]) -> pd.DataFrame:
    suffix = PurePosixPath(manifest).suffix.lower()
    try:
        content = _content(manifest)
        if suffix == ".parquet":
            check_rows_claimed(pq.read_metadata(io.BytesIO(content)).num_rows, len(content))
            return pd.read_parquet(io.BytesIO(content))  # Arrow takes no path that is not UTF-8
        table = read_text_table(content, notes)
        labels = [name for name in table.columns if name not in _OWN_COLUMNS and not names_images(name)]
        table = table.assign(**{name: typed_column(table[name]) for name in labels if table.columns.is_unique})
    except ImageSetError:
        raise  # it is a ValueError, too
    except FileNotFoundError as error:
        raise ImageSetError(f"{manifest}: no such file; check the path") from error
    except (OSError, ValueError) as error:  # every parser's error is a ValueError: pandas', pyarrow's and the codec's
        message = " ".join(str(error).split())
        raise ImageSetError(f"{manifest}: not a {suffix[1:]} table ({message}); repair it") from error
    if not isinstance(table.index, pd.RangeIndex):
        # pandas takes the surplus cells in front for an index, which would shift every column.
        raise ImageSetError(f"{manifest}: rows have more cells than the header; put cells that hold a comma in quotes")
    return table


def _with_split(table: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Return the table with its splits in `split`, where another column that is often called otherwise holds them."""
    if "split" in table:
        return table
    for name in (column for column in table.columns if str(column).lower() in _SPLIT_COLUMNS):
        cells = {str(cell) for cell in table[name].dropna()}
        splits = {_split_of_cell(cell) for cell in cells}
        if len(splits) > 1 and None not in splits:
            shown = ", ".join(sorted(cells)[:5]) + (", …" if len(cells) > 5 else "")
            notes.append(f"column {name!r} holds the splits ({shown})")
            return table.rename(columns={name: "split"})
    return table


def _content(manifest: Path | str) -> bytes:
    if isinstance(manifest, Path):
        return manifest.read_bytes()
    from headstart.extractors.images.remote import read_whole  # noqa: PLC0415 - local images do without

    return read_whole(manifest)


def _paths(column: "pd.Series[Any]", manifest: Path | str) -> list[str]:
    values = column.tolist()
    wrong = [number for number, value in enumerate(values, start=1) if not isinstance(value, str) or not value]
    if wrong:
        shown = ", ".join(map(str, wrong[:5])) + (", …" if len(wrong) > 5 else "")
        raise ImageSetError(
            f"{manifest}: {len(wrong)} rows without a path (row {shown}, counted from 1 below the header); fill them in"
        )
    # ./a.jpg and a.jpg are one image. `..` stays: beyond a link it leads elsewhere than the text suggests.
    paths = [value if value.startswith("/") or is_url(value) else str(PurePosixPath(value)) for value in values]
    _check_addresses(paths, manifest)
    refuse_duplicates(paths, manifest, "keep one row for each image")
    return paths


def _splits(column: "pd.Series[Any]", manifest: Path | str) -> list[str | None]:
    found = _texts(column)
    unknown = sorted({value for value in found if value is not None and not _split_of_cell(value)})
    if unknown:
        shown = ", ".join(map(repr, unknown[:5])) + (", …" if len(unknown) > 5 else "")
        raise ImageSetError(f"{manifest}: unknown split {shown}; write train, val or test, or leave the cell empty")
    return [None if value is None else _split_of_cell(value) for value in found]


def _split_of_cell(text: str) -> str | None:
    """Return the split that a cell names: a capital begins a word, too, as in ``PublicTest``."""
    return split_of(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text))


def _texts(column: "pd.Series[Any]") -> list[str | None]:
    return [None if missing else str(value) for value, missing in zip(column.tolist(), column.isna(), strict=True)]


def _labels(column: "pd.Series[Any]", manifest: Path | str) -> "pd.Series[Any]":
    """Return a label column as it is, except that all text has one dtype and None for what is missing or empty."""
    if isinstance(column.dtype, pd.StringDtype) or column.dtype == object:
        values = column.tolist()
        _refuse_containers(values, f"{manifest}: column {column.name}")
        empty = [missing or value == "" for value, missing in zip(values, column.isna(), strict=True)]
        return pd.Series([None if none else value for value, none in zip(values, empty, strict=True)], dtype=object)
    return column


def _refuse_containers(values: Sequence[object], where: str) -> None:
    for value in values:
        if isinstance(value, bytes) or (hasattr(value, "__len__") and not isinstance(value, str)):
            raise ImageSetError(
                f"{where} holds {type(value).__name__}; a label is text, a number, a boolean or a time; leave it out"
            )


def _check_addresses(paths: Sequence[str], manifest: Path | str) -> None:
    for number, path in enumerate(paths, start=1):
        if is_url(path):
            try:
                check_address(path)
            except ImageSetError as error:
                raise ImageSetError(f"{manifest}: row {number}, counted from 1 below the header: {error}") from error
        elif isinstance(manifest, str) and (path.startswith("/") or ".." in path.split("/")):
            raise ImageSetError(
                f"{manifest}: row {number}, counted from 1 below the header: {path} leads out of the manifest's own "
                "place; write a path below it, or a whole address"
            )


def _find(root: ImageRoot, paths: list[str], manifest: ImageRoot, notes: list[str]) -> list[ListedImage]:
    """Return the row of each image, in order; where none is where its path says, it may be written in another way."""
    rows = dict(zip(paths, _look_up(root, paths), strict=True))
    slashed = with_slashes(paths, lambda path: rows[path].status != OK, notes)
    if slashed != paths:
        rows = dict(zip(slashed, _look_up(root, slashed), strict=True))
        paths = slashed
    several: dict[str, str] = {}
    if isinstance(root, Path) and not any(is_url(path) or rows[path].reason != NO_SUCH_FILE for path in paths):
        paths, several = find_places(paths, files_below(root), notes)
        rows |= dict(zip(paths, _look_up(root, paths), strict=True))
    refuse_duplicates(paths, manifest, "keep one row for each image")
    return [rows[path]._replace(reason=several[path]) if path in several else rows[path] for path in paths]


def _look_up(root: ImageRoot, paths: Sequence[str]) -> list[ListedImage]:
    """Return the row of each image, in order: files are looked at here, objects at their stores."""
    remote = {path: place_of(root, path) for path in paths if isinstance(root, RemoteRoot) or is_url(path)}
    rows: dict[str, ListedImage] = {}
    if remote:
        from headstart.extractors.images.remote import look_up  # noqa: PLC0415 - local images do without

        rows = dict(zip(remote, look_up(remote.items()), strict=True))
    return [rows[path] if path in rows else _listed(Path(str(root)), path) for path in paths]


def _listed(root: Path, path: str) -> ListedImage:
    try:
        place = Path(place_of(root, path))
        if not is_allowed(place):
            return ListedImage(path, status=QUARANTINED, reason=NOT_ALLOWED)
        return listed_file(path, place.stat())
    except OSError as error:
        return ListedImage(path, status=QUARANTINED, reason=os_reason(error))
    except ValueError as error:  # a null character in the name
        return ListedImage(path, status=QUARANTINED, reason=f"no file can have this name ({error})")
