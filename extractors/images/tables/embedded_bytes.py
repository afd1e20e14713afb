"""Bytes of the images in a Parquet file: the column that holds them, and each image by its number."""

import io
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headstart.extractors.errors import NotReadError
from headstart.extractors.images import ImageRoot, ImageSource, RemoteRoot, opened_archive, place_of

ROWS_AT_ONCE = 16  # decoded together; a row group may be the whole file
_PREFERRED = ("image", "img")
_BATCHES_KEPT = 8  # so that threads which read on from each other find theirs


def image_column(schema: pa.Schema) -> str | None:
    """Return the column that holds images: structs with bytes, or bytes under a name of images; `image` goes first."""
    found = [
        field.name
        for field in schema
        if (pa.types.is_struct(field.type) and any(is_binary(one.type) and one.name == "bytes" for one in field.type))
        or (is_binary(field.type) and field.name.lower() in (*_PREFERRED, "image_bytes"))
    ]
    return next((name for name in _PREFERRED if name in found), found[0] if found else None)


def is_binary(kind: pa.DataType) -> bool:
    """Tell bytes from all else."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def bytes_of(images: Any) -> Any:
    """Return the bytes of a column of images; null where an image or its bytes are."""
    return pc.struct_field(images, "bytes") if pa.types.is_struct(images.type) else images


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
        self._column = str(image_column(self._file.schema_arrow))
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
            self._batches = self._file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=[self._column])
        batch = next(self._batches, None)
        if batch is None:
            raise IndexError(f"row {row} is not there")
        if row < self._next + len(batch):
            self._kept[self._next] = bytes_of(batch.column(0)).to_pylist()
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
