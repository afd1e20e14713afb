"""One sealed HDF5 file of embeddings; the only module that knows HDF5.

A shard holds ``/features/<tap>`` (n_images, …), ``/digest`` (n_images, 32) uint8, and a checksum beside each. It is
built in memory and written in one go: HDF5 never meets a full disk, which would leave its library in a state that
cannot be closed.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from extractors.atomic import write_atomically
from extractors.errors import CacheError
from extractors.key import EmbeddingKey

Array = npt.NDArray[Any]

# Every dataset starts on a page, so that it can be memory-mapped.
_ALIGNED = {"alignment_threshold": 1, "alignment_interval": 4096}


def write_shard(folder: Path, key: EmbeddingKey, digests: Array, features: Mapping[str, Array]) -> Path:
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

    Raises
    ------
    CacheError
        The disk is full or the folder cannot be written.
    """
    name = f"shard-{hashlib.sha256(digests.tobytes()).hexdigest()[:16]}.h5"
    with h5py.File(name, "w", driver="core", backing_store=False, **_ALIGNED) as file:
        file.attrs["key"] = json.dumps(key.as_dict())
        _add(file, "digest", digests)
        for tap, values in features.items():
            _add(file, f"features/{tap}", np.ascontiguousarray(values))
        file.flush()
        image = file.id.get_file_image()
    write_atomically(folder / name, image)
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


def find_damage(path: Path, key: EmbeddingKey) -> str:
    """Recompute the checksums of a shard and say what is wrong with it; empty if nothing is."""
    try:
        with h5py.File(path, "r") as file:
            if difference := _foreign(file, key):
                return f"made under another key ({difference})"
            names = ["digest", *(f"features/{tap}" for tap in file["features"])]
            for name in names:
                if _checksum(file[name][...]) != file[name].attrs["sha256"]:
                    return f"{name}: its bytes do not give the checksum that was kept when it was sealed"
    except (OSError, KeyError) as error:
        return f"cannot be read ({error})"
    return ""


_REPAIR = "it was damaged after it was sealed: delete this file and run 'headstart extract' again for its rows"


@contextmanager
def _opened(path: Path) -> "Iterator[h5py.File]":
    """Open a shard to read; whatever is wrong with it becomes an error that says what to do."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except CacheError:
        raise
    except (OSError, KeyError) as error:
        raise CacheError(f"{path}: cannot be read as a shard ({error}); {_REPAIR}") from error


def _foreign(file: "h5py.File", key: EmbeddingKey) -> str:
    """Say where the key that a shard was made under differs from that of its folder; empty if it does not."""
    found = file.attrs["key"]
    return "" if found == json.dumps(key.as_dict()) else EmbeddingKey.from_dict(json.loads(found)).differences(key)


def _add(file: "h5py.File", name: str, values: Array) -> None:
    file.create_dataset(name, data=values).attrs["sha256"] = _checksum(values)


def _checksum(values: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
