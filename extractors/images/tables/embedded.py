"""Image sets that are Parquet files with the images in them, as data sets of the Hugging Face hub are.

The layout: https://huggingface.co/docs/hub/datasets-image#parquet-format, a struct of `bytes` and `path` an image.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images import (
    EMPTY_FILE,
    QUARANTINED,
    ImageRoot,
    ImageSet,
    ListedImage,
    RemoteRoot,
    checked_columns,
    displayable,
    expand_braces,
    is_pattern,
    listing_frame,
    opened_archive,
    place_of,
    split_of,
    split_place,
    stands_for_several,
)
from headstart.extractors.images.tables.embedded_bytes import ROWS_AT_ONCE, bytes_of, image_column, is_binary
from headstart.extractors.images.tables.names import with_our_names
from headstart.extractors.images.tables.row_claims import check_rows_claimed

_MOST_FOLDS, _FREE_BYTES = 1000, 64 * 2**20  # encoded images hardly shrink, and a column over both is a bomb
_DAMAGE = (pa.ArrowException, OSError, ValueError, KeyError, IndexError)


def holds_images(place: ImageRoot) -> bool:
    """Tell whether a Parquet file, or the first of a pattern, has images in it; of a damaged one, not."""
    try:
        root, names = _shards(place)
        with _opened(root, names[0]) as (file, _):
            return image_column(file.schema_arrow) is not None
    except (ImageSetError, *_DAMAGE):
        return False  # whoever lists it as a manifest says why


def list_embedded(place: ImageRoot) -> ImageSet:
    """List the images in a Parquet file, or in those of a pattern, in their order; other columns are as a manifest's.

    The path of a row is the file's name and the image's own, or its number where it has none or shares it. Numbers of
    classes get the names that the file gives them. Where files of several splits are called after them and no column
    tells, as on the hub, their names do.

    Raises
    ------
    ImageSetError
        One is damaged, has no images or no rows; or as `list_manifest`.
    """
    root, names = _shards(place)
    notes: list[str] = []
    shards = [_list_shard(root, name, notes) for name in names]
    table = pd.concat([table for table, _ in shards], ignore_index=True)
    splits = [split_of(PurePosixPath(name).stem) for name in names]
    if "split" not in table and len(set(splits)) > 1 and None not in splits:
        table["split"] = [split for split, (_, images) in zip(splits, shards, strict=True) for _ in images]
    rows = checked_columns(with_our_names(table, place, notes), str(place), notes)
    nothing = [None] * len(rows)
    images = [
        image._replace(split=split, group=group)
        for image, split, group in zip(
            (image for _, images in shards for image in images),
            rows.get("split", nothing),
            rows.get("group", nothing),
            strict=True,
        )
    ]
    labels = {label: rows[label] for label in rows.columns if label not in ("path", "split", "group")}
    return ImageSet(root, "parquet", listing_frame(images, labels), {}, notes=tuple(dict.fromkeys(notes)))


def _shards(place: ImageRoot) -> tuple[ImageRoot, list[str]]:
    """Return the root and the names of a file, or of all of this machine that a pattern stands for."""
    if not stands_for_several(place):
        root, name = split_place(place)
        return root, [name]
    if isinstance(place, RemoteRoot):
        raise ImageSetError(f"{place}: a pattern of tables at an address; give each, or a manifest")
    parts = place.parts
    plain = next(number for number, part in enumerate(parts) if is_pattern(part))
    folder = Path(*parts[:plain])
    found = {path for one in expand_braces("/".join(parts[plain:])) for path in folder.glob(one)}
    if not found:
        raise ImageSetError(f"{place}: no file is called so; check the pattern")
    return folder, [path.relative_to(folder).as_posix() for path in sorted(found)]


def _list_shard(root: ImageRoot, name: str, notes: list[str]) -> tuple[pd.DataFrame, list[ListedImage]]:
    """Return a file's table, with the paths of its images, and their rows."""
    where = place_of(root, name)
    try:
        with _opened(root, name) as (file, archive):
            column = image_column(file.schema_arrow)
            if column is None:
                raise ImageSetError(  # noqa: TRY301 - it is passed on below
                    f"{where}: no column of images, as the other files have; leave it out"
                )
            check_rows_claimed(file.metadata.num_rows, archive.bytes, rows_a_byte=1)
            _refuse_bombs(file, where)
            sizes, paths = _sizes_and_paths(file, column)
            kept, left_out = _columns(file.schema_arrow, column)
            table = file.read(columns=kept).to_pandas().reset_index(drop=True)
            names_of = _class_names(file.schema_arrow)
    except ImageSetError:
        raise  # it is a ValueError, too
    except _DAMAGE as error:
        message = " ".join(str(error).split())
        raise ImageSetError(f"{where}: not a whole Parquet file ({message}); fetch it again") from error
    if left_out:
        notes.append(f"columns that hold no labels are left out: {', '.join(left_out)}")
    for label in set(names_of) & set(table.columns):
        table[label] = _named(table[label], names_of[label])
    images = [
        _row(archive, f"{name}/{own}", number, size)
        for number, (own, size) in enumerate(zip(_own_names(paths), sizes, strict=True))
    ]
    table = table.drop(columns="path", errors="ignore")
    table.insert(0, "path", [image.path for image in images])
    return table, images


@contextmanager
def _opened(root: ImageRoot, name: str) -> Iterator[tuple[pq.ParquetFile, ListedImage]]:
    with opened_archive(root, name) as (file, archive):
        yield pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20), archive


def _sizes_and_paths(file: pq.ParquetFile, column: str) -> tuple[list[int], list[str | None]]:
    """Read through the images once, a few at a time, for how many bytes each has and what it is called."""
    sizes: list[int] = []
    paths: list[str | None] = []
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column]):
        images = batch.column(0)
        sizes += pc.fill_null(pc.binary_length(bytes_of(images)), 0).to_pylist()
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
    nested = [field.name for field in others if pa.types.is_nested(field.type) or is_binary(field.type)]
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


def _refuse_bombs(file: pq.ParquetFile, where: str) -> None:
    metadata = file.metadata
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            chunk = metadata.row_group(group).column(number)
            if chunk.total_uncompressed_size > max(_FREE_BYTES, _MOST_FOLDS * chunk.total_compressed_size):
                raise ImageSetError(
                    f"{where}: {chunk.total_compressed_size} bytes of column {chunk.path_in_schema} unfold to "
                    f"{chunk.total_uncompressed_size}, as in a bomb; if it is a set of images, unpack it yourself"
                )


def _row(archive: ListedImage, path: str, number: int, size: int) -> ListedImage:
    row = archive._replace(path=path, archive=archive.path, offset=number, bytes=size)
    return row if size else row._replace(status=QUARANTINED, reason=EMPTY_FILE)
