"""Names of columns: which names the images, whatever it is called, and which would overwrite one of the listing's."""

import difflib
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images import DIGEST_COLUMN, IMAGE_SUFFIXES, LISTING_COLUMNS

_OWN = ("path", "split", "group")
# From the surest to the least; compared in lower case, with _ for blanks and hyphens.
_NAMES_OF_IMAGES = (
    *("path", "file_path", "filepath", "image_path", "imagepath", "img_path", "file_name", "filename", "fname"),
    *("image_file", "image_filename", "image_name", "img_name", "image", "img", "images", "photo", "picture"),
    *("url", "image_url", "img_url", "uri", "image_uri", "image_id", "img_id", "id_code", "id"),
)


def names_images(column: object) -> bool:
    """Tell a name that columns of images have."""
    return _plain(column) in _NAMES_OF_IMAGES


def with_our_names(table: pd.DataFrame, where: object, notes: list[str]) -> pd.DataFrame:
    """Return a table whose column `path` names the images, and whose other columns overwrite none of the listing's.

    Raises
    ------
    ImageSetError
        No column, nor the index, is called as columns of images are.
    """
    if "path" not in table:
        table = _with_path(table, where, notes)
    clashes = [name for name in table.columns if name in (*LISTING_COLUMNS, DIGEST_COLUMN) and name not in _OWN]
    renamed = {name: _free_name(f"label_{name}", table.columns.tolist()) for name in clashes}
    if renamed:
        shown = ", ".join(f"{name!r} is {new!r}" for name, new in renamed.items())
        notes.append(f"columns that are called as some of the listing's were renamed: {shown}")
    return table.rename(columns=renamed).reset_index(drop=True)


def _with_path(table: pd.DataFrame, where: object, notes: list[str]) -> pd.DataFrame:
    known = {_plain(name): name for name in reversed(table.columns)}
    found = next((known[plain] for plain in _NAMES_OF_IMAGES if plain in known), None)
    if found is None:
        named = [str(name) for name in table.index.names if names_images(name)]
        if not named:
            raise _without_path(table, where)
        table, found = table.reset_index(named), named[0]
        notes.append(f"the table's index {found!r} names the images")
    else:
        notes.append(f"column {found!r} names the images")
    table = table.rename(columns={found: "path"})
    if pd.api.types.is_integer_dtype(table["path"]):  # ids
        table["path"] = table["path"].astype("Int64").astype(str)
    return table


def _plain(name: object) -> str:
    return re.sub(r"[\s-]+", "_", str(name).strip().lower())


def _free_name(wanted: str, taken: Sequence[Any]) -> str:
    while wanted in taken:
        wanted += "_"
    return wanted


def _without_path(table: pd.DataFrame, where: object) -> ImageSetError:
    names = [str(name) for name in table.columns]
    found = ", ".join(names)
    if not names:
        return ImageSetError(f"{where}: no column `path` (found: none); call the column of file names `path`")
    nearest = _nearest(table)
    if nearest is None:
        return ImageSetError(
            f"{where}: no column `path` (found: {found}), and none that holds names of images; add one, so that its "
            f"first line is: {','.join(['path', *names])}"
        )
    line = ",".join("path" if name == nearest else name for name in names)
    return ImageSetError(
        f"{where}: no column `path` (found: {found}); call the column of file names `path`: if that is `{nearest}`, "
        f"write as its first line: {line}"
    )


def _nearest(table: pd.DataFrame) -> str | None:
    """Return the column whose cells look like files of images, or whose name is like those of such columns."""
    for name in table.columns:
        cells = [cell for cell in table[name].dropna().head(20).tolist() if isinstance(cell, str)]
        if cells and all(PurePosixPath(cell).suffix.lower() in IMAGE_SUFFIXES for cell in cells):
            return str(name)
    like = {name: difflib.get_close_matches(_plain(name), _NAMES_OF_IMAGES, 1, 0.6) for name in table.columns}
    return next((str(name) for name, names in like.items() if names), None)
