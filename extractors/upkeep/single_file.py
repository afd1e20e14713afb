"""One file for elsewhere: features in the listing's order, with what is known of each image, and the key.

Features are read, cast and written in pieces, so that memory does not grow with the cache.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from headstart.extractors.arrays import Array
from headstart.extractors.atomic import atomic_file, write_atomically
from headstart.extractors.cache import EmbeddingStore, EmbeddingView, find_lost, lay_out_hdf5
from headstart.extractors.errors import CacheError, FeatureError
from headstart.extractors.images import DIGEST_COLUMN, displayable, label_columns
from headstart.extractors.listing import CacheListing
from headstart.extractors.spec import StoredDtype

PIECE_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Export:
    """Content of the file to write.

    Parameters
    ----------
    images : DataFrame
        One row an image: ``path``, label columns, ``split``, ``group``, ``digest``.
    views : mapping of tap to EmbeddingView
        A row for each image; copies of one image share theirs.
    dtype : {"float16", "float32"}
        What is written.
    origin : dict
        ``key``, ``about`` and ``root``, as plain JSON values.
    """

    images: pd.DataFrame
    views: Mapping[str, EmbeddingView]
    dtype: StoredDtype
    origin: dict[str, Any]

    @property
    def n_rows_a_piece(self) -> int:
        """Rows read and written at a time: one number for all taps, which a table takes side by side."""
        row_bytes = sum(4 * int(np.prod(view.shape[1:])) for view in self.views.values())
        return max(1, PIECE_BYTES // row_bytes)

    def pieces(self, tap: str) -> Iterator[Array]:
        """Yield the features of a tap, (n_rows, …) C-contiguous in `dtype`, piece by piece in order.

        Raises
        ------
        FeatureError
            `dtype` would change features by more than its rounding does.
        """
        view, n_rows = self.views[tap], self.n_rows_a_piece
        for start in range(0, len(view), n_rows):
            piece = np.asarray(view.take(slice(start, start + n_rows)))
            yield self._cast(piece, tap, start)

    def _cast(self, piece: Array, tap: str, start: int) -> Array:
        with np.errstate(over="ignore"):  # what overflows is refused below
            cast = np.ascontiguousarray(piece, dtype=self.dtype)
        lost = find_lost(piece, cast)
        if len(lost):
            raise FeatureError(
                f"tap {tap}: features of size {np.abs(piece[lost[0]]).max():.1e} do not fit {self.dtype}, "
                f"first {self.images['path'].iloc[start + lost[0]]}; use --dtype float32"
            )
        return cast


def gather_export(
    store: EmbeddingStore, listing: CacheListing, taps: Sequence[str], dtype: StoredDtype | None = None
) -> Export:
    """Find the rows of every usable image of a listing.

    Raises
    ------
    CacheError
        A tap is unknown, an image has no row, or a shard is damaged.
    """
    for path, reason in store.damaged().items():  # whoever takes the file away could not tell
        raise CacheError(f"{path}: {reason}; run 'headstart verify {store.path.parent.parent} --repair' first")
    usable = listing.usable
    if not len(usable):
        raise CacheError(f"{listing.root}: not one of {len(listing.rows)} listed images is usable; nothing to export")
    views = {tap: store.view(tap, usable[DIGEST_COLUMN].tolist()) for tap in taps}
    images = usable[["path", *label_columns(usable), "split", "group", DIGEST_COLUMN]].reset_index(drop=True)
    images["path"] = images["path"].map(displayable)
    origin = {"key": store.key.as_dict(), "about": store.about, "root": str(listing.root)}
    return Export(images, views, dtype or store.key.dtype, json.loads(json.dumps(origin)))


def write_npy(export: Export, to: Path) -> list[Path]:
    """Write the one tap as a matrix (n_images, …); beside it a ``.csv`` has the images and a ``.json`` the key."""
    ((tap, view),) = export.views.items()
    table, about = to.with_suffix(".csv"), to.with_suffix(".json")
    header = {"descr": np.dtype(export.dtype).str, "fortran_order": False, "shape": view.shape}
    with atomic_file(to) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in export.pieces(tap):
            file.write(piece.data)
        write_atomically(table, export.images.to_csv(index=False).encode())
        write_atomically(about, json.dumps(export.origin | {"tap": tap, "dtype": export.dtype}, indent=1).encode())
    return [to, table, about]


def write_hdf5(export: Export, to: Path) -> list[Path]:
    """Write ``/features/<tap>``, ``/path``, ``/digest``, ``/split``, ``/group`` and ``/labels/<column>``.

    Text that is missing is empty. The key, what is known of it, and the folder of the images are the file's attributes.
    """
    own = ("path", "split", "group", DIGEST_COLUMN)
    columns = {
        name if name in own else f"labels/{name}": _plain(export.images[name]) for name in map(str, export.images)
    }
    dtype = np.dtype(export.dtype)
    room = {f"features/{tap}": (view.shape, dtype) for tap, view in export.views.items()}
    room |= {name: (values.shape, values.dtype) for name, values in columns.items()}
    with atomic_file(to) as file:
        attributes = {
            name: value if isinstance(value, str) else json.dumps(value) for name, value in export.origin.items()
        }
        offsets = lay_out_hdf5(Path(file.name), room, attributes)
        for tap in export.views:
            file.seek(offsets[f"features/{tap}"])
            for piece in export.pieces(tap):
                file.write(piece.data)
        for name, values in columns.items():
            file.seek(offsets[name])
            file.write(values.tobytes())
    return [to]


def write_parquet(export: Export, to: Path) -> list[Path]:
    """Write a row an image: what is known of it, and a fixed-size list a tap; the key is in the schema's metadata.

    Raises
    ------
    CacheError
        A tap's features are no vectors, or a label column has a tap's name.
    """
    for tap, view in export.views.items():
        if len(view.shape) != 2:
            shape = "×".join(map(str, view.shape[1:]))
            raise CacheError(
                f"tap {tap}: features of {shape} do not fit a column; export to .h5 or .npy, or another --tap"
            )
        if tap in export.images:
            raise CacheError(f"tap {tap}: the images have a label column of this name; export to .h5, or another --tap")
    images = pa.table({str(name): _arrow(export.images[name]) for name in export.images})
    width = {tap: view.shape[1] for tap, view in export.views.items()}
    kind = pa.from_numpy_dtype(np.dtype(export.dtype))
    fields = [*images.schema, *(pa.field(tap, pa.list_(kind, size)) for tap, size in width.items())]
    schema = pa.schema(fields, {"headstart": json.dumps(export.origin)})
    with (
        atomic_file(to) as file,
        pq.ParquetWriter(file, schema, use_dictionary=images.column_names, compression="zstd") as writer,
    ):
        start = 0
        for pieces in zip(*(export.pieces(tap) for tap in width), strict=True):
            columns = [
                pa.FixedSizeListArray.from_arrays(pa.array(piece.ravel()), size)
                for piece, size in zip(pieces, width.values(), strict=True)
            ]
            known = images.slice(start, len(pieces[0]))
            writer.write_table(pa.table([*known.columns, *columns], schema=schema))
            start += len(pieces[0])
    return [to]


WRITERS: dict[str, Callable[[Export, Path], list[Path]]] = {
    ".h5": write_hdf5,
    ".npy": write_npy,
    ".parquet": write_parquet,
}


def _plain(values: "pd.Series[Any]") -> Array:
    """Return a column as numbers, or as UTF-8 bytes of a fixed length in which nothing is empty."""
    if pd.api.types.is_bool_dtype(values) and not values.isna().any():
        return values.to_numpy(dtype=bool)
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(dtype=np.float64, na_value=np.nan) if values.isna().any() else values.to_numpy()
    texts = ["" if missing else str(value) for value, missing in zip(values, values.isna(), strict=True)]
    encoded = np.array([text.encode() for text in texts])
    return encoded if encoded.dtype.itemsize else encoded.astype("S1")


def _arrow(values: "pd.Series[Any]") -> pa.Array:
    column = pa.Array.from_pandas(values)
    return column.cast(pa.string()) if pa.types.is_null(column.type) else column
