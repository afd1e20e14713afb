"""One sealed HDF5 file of embeddings; the only module that knows HDF5.

A shard holds ``/features/<tap>`` (n_images, …), ``/digest`` (n_images, 32) uint8, and a checksum beside each. It is
built in memory and written in one go: HDF5 never meets a full disk, which would leave its library in a state that
cannot be closed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from headstart.extractors.arrays import Array
from headstart.extractors.atomic import write_atomically
from headstart.extractors.errors import CacheError
from headstart.extractors.spec import EmbeddingKey

# Every dataset starts on a page, so that it can be memory-mapped. Since HDF5 1.8 a file's structures carry checksums;
# in the older format that is h5py's default, one flipped bit in them crashes the library, and the process with it.
_LAYOUT = {"alignment_threshold": 1, "alignment_interval": 4096, "libver": "v108"}


def shard_name(digests: Array) -> str:
    """Name the file of these images, uint8 (n_images, 32), in this order."""
    return f"shard-{hashlib.sha256(digests.tobytes()).hexdigest()[:16]}.h5"


def write_shard(
    folder: Path,
    key: EmbeddingKey,
    digests: Array,
    features: Mapping[str, Array],
    name: str | None = None,
    before_rename: Callable[[], None] = lambda: None,
) -> Path:
    """Seal rows as one new file; its name follows from the images it holds, so sealing the same twice is harmless.

    Parameters
    ----------
    folder : Path
        Where the shard goes.
    key : EmbeddingKey
        What made the features; kept in the file, so that a shard can be understood alone.
    digests : uint8 array (n_images, 32)
        SHA-256 of each image file.
    features : mapping of tap to array (n_images, …)
        One array a tap.
    name : str, optional
        Another name; `shard_name` makes one.
    before_rename : callable
        See `extractors.atomic.write_atomically`.

    Raises
    ------
    CacheError
        The disk is full or the folder cannot be written.
    """
    name = name or shard_name(digests)
    with h5py.File(name, "w", driver="core", backing_store=False, **_LAYOUT) as file:
        file.attrs["key"] = _attribute(json.dumps(key.as_dict()))
        _add(file, "digest", digests)
        for tap in sorted(features):  # in the order in which the key has them, whoever asked in which
            _add(file, f"features/{tap}", np.ascontiguousarray(features[tap]))
        file.flush()
        image = file.id.get_file_image()
    write_atomically(folder / name, image, before_rename=before_rename)
    return folder / name


def map_dataset(path: Path, name: str) -> Array:
    """Memory-map one dataset of a shard, read-only: it costs nothing until rows are touched.

    Raises
    ------
    CacheError
        The file is missing, damaged, or has no such dataset.
    """
    with _opened(path) as file:
        dataset = file[name]
        offset, shape, dtype = dataset.id.get_offset(), dataset.shape, dataset.dtype
        if offset is None or path.stat().st_size < offset + dataset.nbytes:
            raise CacheError(f"{path}: {name} is not stored in one piece; {_REPAIR}")
        return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)


def read_digests(path: Path, key: EmbeddingKey) -> Array:
    """Read the digests of a shard, uint8 (n_images, 32), into memory; a cache may have more shards than may be mapped.

    Raises
    ------
    CacheError
        The file is damaged, or was made under another key.
    """
    with _opened(path) as file:
        if difference := _foreign(file, key):
            raise CacheError(f"{path}: made under another key ({difference}); move it out of this folder")
        return np.asarray(file["digest"][...])


def has_digests(path: Path, key: EmbeddingKey, rows: Array, digests: Array) -> bool:
    """Tell whether a shard holds these images, uint8 (n, 32), at these rows, int (n,).

    Raises
    ------
    CacheError
        The file is damaged, or was made under another key.
    """
    held = read_digests(path, key)
    return bool((rows < len(held)).all()) and bool((held[rows] == digests).all())


def find_damage(path: Path, key: EmbeddingKey) -> str:
    """Recompute the checksums of a shard and say what is wrong with it; empty if nothing is."""
    try:
        with h5py.File(path, "r") as file:
            if difference := _foreign(file, key):
                return f"made under another key ({difference})"
            names = ["digest", *(f"features/{tap}" for tap in file["features"])]
            for name in names:
                if _checksum(file[name][...]) != _text(file[name].attrs["sha256"]):
                    return f"{name}: its bytes do not give the checksum that was kept when it was sealed"
    except _UNREADABLE as error:
        return f"cannot be read ({error})"
    return ""


_REPAIR = "it was damaged after it was sealed; run 'headstart verify CACHE --repair'"


# What h5py and the key's parser raise on a file whose bytes changed.
_UNREADABLE = (OSError, KeyError, ValueError, TypeError, RuntimeError)


@contextmanager
def _opened(path: Path) -> "Iterator[h5py.File]":
    """Open a shard to read; whatever is wrong with it becomes an error that says what to do."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except CacheError:
        raise
    except _UNREADABLE as error:
        raise CacheError(f"{path}: cannot be read as a shard ({error}); {_REPAIR}") from error


def _foreign(file: "h5py.File", key: EmbeddingKey) -> str:
    """Say where the key that a shard was made under differs from that of its folder; empty if it does not."""
    found = _text(file.attrs["key"])
    return "" if found == json.dumps(key.as_dict()) else EmbeddingKey.from_dict(json.loads(found)).differences(key)


def _add(file: "h5py.File", name: str, values: Array) -> None:
    file.create_dataset(name, data=values).attrs["sha256"] = _attribute(_checksum(values))


def _attribute(text: str) -> np.bytes_:
    # Of a fixed length: the heap in which HDF5 keeps other strings has no checksum.
    return np.bytes_(text.encode())


def _text(attribute: bytes | str) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else attribute


def _checksum(values: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def read_key(path: Path) -> EmbeddingKey:
    """Return the key that a shard says it was made under.

    Raises
    ------
    CacheError
        The file is damaged.
    """
    with _opened(path) as file:
        return EmbeddingKey.from_dict(json.loads(_text(file.attrs["key"])))


def lay_out_hdf5(
    path: Path, datasets: Mapping[str, tuple[tuple[int, ...], "np.dtype[Any]"]], attributes: Mapping[str, str]
) -> dict[str, int]:
    """Make an HDF5 file with room for datasets and nothing in them, to be filled by ordinary writes.

    So a file of any size is written piece by piece, and a disk that fills up is met by these writes and not by HDF5.

    Parameters
    ----------
    path : Path
        Replaced where it exists.
    datasets : mapping of name to (shape, dtype)
        Contiguous; bytes of a fixed length (``S12``) are marked as UTF-8.
    attributes : mapping of str to str
        Of the whole file.

    Returns
    -------
    dict of name to int
        Where in the file each dataset begins, in bytes.
    """
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    with h5py.File(path, "w", **_LAYOUT) as file:
        file.attrs.update(attributes)
        offsets = {}
        for name, (shape, dtype) in datasets.items():
            stored = h5py.string_dtype("utf-8", dtype.itemsize) if dtype.kind == "S" else dtype
            made = file.create_dataset(name, shape, stored, dcpl=early, fill_time="never")
            offsets[name] = made.id.get_offset()
    return offsets
