"""Image sets that are Parquet files with the images in them, as data sets of the Hugging Face hub are.

The layout: https://huggingface.co/docs/hub/datasets-image#parquet-format, a struct of `bytes` and `path` an image.
"""

import io
import json
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headstart.extractors.errors import ImageSetError, NotReadError
from headstart.extractors.images import (
    EMPTY_FILE,
    QUARANTINED,
    ImageRoot,
    ImageSet,
    ImageSource,
    ListedImage,
    RemoteRoot,
    checked_columns,
    displayable,
    listing_frame,
    opened_archive,
    place_of,
    split_place,
)
from headstart.extractors.images.tables.names import with_our_names

if TYPE_CHECKING:
    import pandas as pd

_PREFERRED = ("image", "img")
_ROWS_AT_ONCE = 16  # decoded together; a row group may be the whole file
_BATCHES_KEPT = 8  # so that threads which read on from each other find theirs
_MOST_FOLDS, _FREE_BYTES = 1000, 64 * 2**20  # encoded images hardly shrink, and a column over both is a bomb
_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, IndexError)


def holds_images(place: ImageRoot) -> bool:
    """Tell whether a Parquet file has a column of images' bytes; of one that cannot be read, not."""
    try:
        with _opened(place) as (file, _):
            return _image_column(file.schema_arrow) is not None
    except (ImageSetError, *_DAMAGE):
        return False  # whoever lists it as a manifest says why


def list_embedded(place: ImageRoot) -> ImageSet:
    """List the images in a Parquet file, in its order; the other columns are labels, as a manifest's are.

    The path of a row is the file's name and the image's own, or its number where it has none or shares it. Numbers of
    classes get the names that the file gives them.

    Raises
    ------
    ImageSetError
        It is damaged or has no rows; or as `list_manifest`.
    """
    root, name = split_place(place)
    notes: list[str] = []
    try:
        with _opened(place) as (file, archive):
            column = str(_image_column(file.schema_arrow))
            _refuse_bombs(file, place)
            sizes, paths = _sizes_and_paths(file, column)
            kept, left_out = _columns(file.schema_arrow, column)
            table = file.read(columns=kept).to_pandas().reset_index(drop=True)
            names_of = _class_names(file.schema_arrow)
    except _DAMAGE as error:
        message = " ".join(str(error).split())
        raise ImageSetError(f"{place}: not a whole Parquet file ({message}); fetch it again") from error
    for label in set(names_of) & set(table.columns):
        table[label] = _named(table[label], names_of[label])
    if left_out:
        notes.append(f"columns that hold no labels are left out: {', '.join(left_out)}")
    table = table.drop(columns="path", errors="ignore")
    table.insert(0, "path", [f"{name}/{one}" for one in _own_names(paths)])
    rows = checked_columns(with_our_names(table, place, notes), str(place))
    nothing = [None] * len(rows)
    images = [
        _row(archive, path, number, int(size))._replace(split=split, group=group)
        for number, (path, size, split, group) in enumerate(
            zip(rows["path"], sizes, rows.get("split", nothing), rows.get("group", nothing), strict=True)
        )
    ]
    labels = {label: rows[label] for label in rows.columns if label not in ("path", "split", "group")}
    return ImageSet(root, "parquet", listing_frame(images, labels), {}, notes=tuple(notes))


def read_embedded(root: ImageRoot, image: ImageSource, at_once: int) -> Iterator[bytes]:
    """Yield the bytes of an image in a Parquet file.

    Raises
    ------
    NotReadError
        The file is damaged, or is not what was listed.
    """
    archive = image.archive or ""
    place = root if isinstance(root, RemoteRoot) else Path(root, archive).stat()
    stamp = place.url if isinstance(place, RemoteRoot) else (place.st_ino, place.st_size, place.st_mtime_ns)
    try:
        data = _reader(root, archive, stamp).image(image.offset or 0)
    except MemoryError as error:
        raise NotReadError("not enough memory to read the part of the Parquet file that it lies in") from error
    except NotReadError:
        raise  # it is an OSError, too
    except (pa.ArrowException, ValueError, KeyError, IndexError) as error:
        raise NotReadError(f"damaged in the Parquet file ({' '.join(str(error).split())})") from error
    if data is None or len(data) != image.bytes:
        raise NotReadError("no longer as listed; the Parquet file has changed since")
    for start in range(0, len(data), at_once):
        yield data[start : start + at_once]


class _Reader:
    """Images of one file by their numbers; what is read in the file's order is decoded once."""

    def __init__(self, file: BinaryIO) -> None:
        weakref.finalize(self, file.close)
        self._file = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        self._column = str(_image_column(self._file.schema_arrow))
        groups = self._file.metadata
        self._starts = np.cumsum([0, *(groups.row_group(number).num_rows for number in range(groups.num_row_groups))])
        self._lock = Lock()
        self._kept: OrderedDict[int, list[bytes | None]] = OrderedDict()
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._next, self._end = 0, 0

    def image(self, row: int) -> bytes | None:
        with self._lock:
            while True:
                for start, images in self._kept.items():
                    if start <= row < start + len(images):
                        return images[row - start]
                self._decode_towards(row)

    def _decode_towards(self, row: int) -> None:
        """Decode the batch that comes next, in the row group of a row and no further than it."""
        if not 0 <= row < self._starts[-1]:
            raise IndexError(f"it has no row {row}")
        if not self._next <= row < self._end:
            group = int(np.searchsorted(self._starts, row, "right")) - 1
            self._next, self._end = int(self._starts[group]), int(self._starts[group + 1])
            self._batches = self._file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[self._column])
        batch = next(self._batches, None)
        if batch is None:
            raise IndexError(f"row {row} is not there")
        if row < self._next + len(batch):
            self._kept[self._next] = _bytes_of(batch.column(0)).to_pylist()
        self._next += len(batch)
        while len(self._kept) > _BATCHES_KEPT:
            self._kept.popitem(last=False)


@lru_cache(maxsize=2)
def _reader(root: ImageRoot, archive: str, _stamp: object) -> _Reader:
    if isinstance(root, RemoteRoot):
        from headstart.extractors.images.remote import RangeFile  # noqa: PLC0415 - local images do without

        with opened_archive(root, archive) as (_, row):
            return _Reader(io.BufferedReader(RangeFile(place_of(root, archive), row.bytes), 1 << 20))
    return _Reader(Path(root, archive).open("rb"))


@contextmanager
def _opened(place: ImageRoot) -> Iterator[tuple[pq.ParquetFile, ListedImage]]:
    with ExitStack() as stack:
        file, archive = stack.enter_context(opened_archive(*split_place(place)))
        yield pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20), archive


def _image_column(schema: pa.Schema) -> str | None:
    """Return the column that holds images: structs with bytes, or bytes under a name of images; `image` goes first."""
    found = [
        field.name
        for field in schema
        if (pa.types.is_struct(field.type) and any(_is_binary(one.type) and one.name == "bytes" for one in field.type))
        or (_is_binary(field.type) and field.name.lower() in (*_PREFERRED, "image_bytes"))
    ]
    return next((name for name in _PREFERRED if name in found), found[0] if found else None)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _bytes_of(images: Any) -> Any:
    """Return the bytes of a column of images; null where an image or its bytes are."""
    return pc.struct_field(images, "bytes") if pa.types.is_struct(images.type) else images


def _sizes_and_paths(file: pq.ParquetFile, column: str) -> tuple[list[int], list[str | None]]:
    """Read through the images once, a few at a time, for how many bytes each has and what it is called."""
    sizes: list[int] = []
    paths: list[str | None] = []
    for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[column]):
        images = batch.column(0)
        sizes += pc.fill_null(pc.binary_length(_bytes_of(images)), 0).to_pylist()
        named = pa.types.is_struct(images.type) and images.type.get_field_index("path") >= 0
        own = pc.struct_field(images, "path").to_pylist() if named else [None] * len(images)
        paths += [one if isinstance(one, str) and one else None for one in own]
    return sizes, paths


def _own_names(paths: list[str | None]) -> list[str]:
    """Return a name for each image: its own where all have one and no two are alike, or else with its number."""
    names = [path and displayable(PurePosixPath(path.replace("\\", "/")).name) for path in paths]
    if all(names) and len(set(names)) == len(names):
        return [str(name) for name in names]
    return [f"{number:06d}{f'-{name}' if name else ''}" for number, name in enumerate(names)]


def _columns(schema: pa.Schema, column: str) -> tuple[list[str], list[str]]:
    """Return the columns that may be labels, and those that hold lists, structs or bytes."""
    others = [field for field in schema if field.name != column]
    nested = [field.name for field in others if pa.types.is_nested(field.type) or _is_binary(field.type)]
    return [field.name for field in others if field.name not in nested], nested


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of classes that the data set's description in the file gives to their numbers, by column."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        named = {column: one["names"] for column, one in features.items() if isinstance(one, dict) and "names" in one}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return {
        column: names
        for column, names in named.items()
        if isinstance(names, list) and all(isinstance(name, str) for name in names)
    }


def _named(column: "pd.Series[Any]", names: list[str]) -> "pd.Series[Any]":
    """Return names for numbers of classes; -1, as the hub writes what is not known, and other numbers are missing."""
    return column.map(dict(enumerate(names))).astype(object)


def _refuse_bombs(file: pq.ParquetFile, place: ImageRoot) -> None:
    metadata = file.metadata
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            if chunk.total_uncompressed_size > max(_FREE_BYTES, _MOST_FOLDS * chunk.total_compressed_size):
                raise ImageSetError(
                    f"{place}: {chunk.total_compressed_size} bytes of column {chunk.path_in_schema} unfold to "
                    f"{chunk.total_uncompressed_size}, as in a bomb; if it is a set of images, unpack it yourself"
                )


def _row(archive: ListedImage, path: str, number: int, size: int) -> ListedImage:
    row = archive._replace(path=path, archive=archive.path, offset=number, bytes=size)
    return row if size else row._replace(status=QUARANTINED, reason=EMPTY_FILE)
