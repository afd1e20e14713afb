"""One sealed HDF5 file of embeddings; the only module that knows HDF5.

A shard holds ``/features/<tap>`` (n_images, …), ``/digest`` (n_images, 32) uint8, and a checksum beside each. It is
built in memory and written in one go: HDF5 never meets a full disk, which would leave its library in a state that
cannot be closed.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from headstart.extractors.arrays import Array
from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache.claims import UNREADABLE, Flaw, Place, by, prove, proved
from headstart.extractors.errors import CacheError, refuse_passing_fault
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
    """Memory-map one dataset of a shard, read-only; the first time that a process does so, its bytes are checked.

    SHA-256 of 200 MB takes 0.1 to 0.5 s. A file that was replaced or written to since is checked again.

    Raises
    ------
    CacheError
        The file is missing or damaged, or has no such dataset.
    """
    place = proved(path, name)
    if not place:
        with _opened(path) as file:
            place = _place_of(file, path, name)
            prove(path, name, place, _text(file[name].attrs["sha256"]))
    return np.memmap(path, dtype=place.dtype, mode="r", offset=place.offset, shape=place.shape)


def find_dataset(path: Path, name: str) -> tuple[tuple[int, ...], "np.dtype[Any]"]:
    """Return shape and dtype of one dataset of a shard, without its bytes.

    Raises
    ------
    CacheError
        As `map_dataset`.
    """
    with _opened(path) as file:
        place = _place_of(file, path, name)
        return place.shape, place.dtype


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
        _places_of(file, path, key)
        return np.asarray(file["digest"][...])


def has_digests(path: Path, key: EmbeddingKey, rows: Array, digests: Array) -> bool:
    """Tell whether a shard holds these images, uint8 (n, 32), at these rows, int (n,), as a damaged index may not know.

    Raises
    ------
    CacheError
        The file is damaged, or was made under another key.
    """
    held = read_digests(path, key)
    return bool(((rows >= 0) & (rows < len(held))).all()) and bool((held[rows] == digests).all())


def find_damage(path: Path, key: EmbeddingKey, shapes: Mapping[str, Sequence[int]] | None = None) -> str:
    """Recompute the checksums of a shard and say what is wrong with it; empty if nothing is, or if it is gone.

    Parameters
    ----------
    path : Path
    key : EmbeddingKey
        What the shard must have been made under.
    shapes : mapping of tap to sequence of int, optional
        Of the features of an image, as far as known.

    Raises
    ------
    UnavailableError
        It cannot be read this time, for a fault that is not its own.
    """
    try:
        with h5py.File(path, "r", locking=False) as file:  # as in `_opened`
            if difference := _foreign(file, key):
                return f"made under another key ({difference})"
            places = _places_of(file, path, key)
            kept = {name: _text(file[name].attrs["sha256"]) for name in places}
        for tap, shape in (shapes or {}).items():
            if (place := places.get(f"features/{tap}")) and place.shape[1:] != tuple(shape):
                return f"features/{tap}: {by(place.shape[1:])} numbers an image, its key says {by(shape)}"
        for name, place in places.items():
            prove(path, name, place, kept[name])
    except FileNotFoundError:
        return ""  # merged into another one meanwhile
    except Flaw as flaw:
        return str(flaw)
    except UNREADABLE as error:
        refuse_passing_fault(path, error)
        return f"cannot be read ({error})"
    return ""


_REPAIR = "it was damaged after it was sealed; run 'headstart verify CACHE --repair'"


@contextmanager
def _opened(path: Path) -> "Iterator[h5py.File]":
    """Open a shard to read; whatever is wrong with it becomes an error that says what to do."""
    try:
        with h5py.File(path, "r", locking=False) as file:  # its writer's lock outlives the renaming by a moment
            yield file
    except CacheError:
        raise
    except Flaw as flaw:
        raise CacheError(f"{path}: {flaw}; {_REPAIR}") from flaw
    except UNREADABLE as error:
        refuse_passing_fault(path, error)
        raise CacheError(f"{path}: cannot be read as a shard ({error}); {_REPAIR}") from error


def _places_of(file: "h5py.File", path: Path, key: EmbeddingKey) -> dict[str, Place]:
    """Find every dataset of a shard, and hold what it claims against the file's size and the key."""
    digest = _place_of(file, path, "digest")
    if digest.dtype != np.uint8 or len(digest.shape) != 2 or digest.shape[1] != 32:
        raise Flaw(f"digest: {by(digest.shape)} {digest.dtype}, expected 32 bytes an image")
    found = sorted(_names_in(file["features"]))
    if found != sorted(key.taps):
        raise Flaw(f"features: it holds the taps {', '.join(found)}, its key has {', '.join(key.taps)}")
    places = {"digest": digest}
    for tap in key.taps:
        place = places[f"features/{tap}"] = _place_of(file, path, f"features/{tap}")
        if place.dtype != key.dtype:
            raise Flaw(f"features/{tap}: stored as {place.dtype}, its key says {key.dtype}")
        if place.shape[:1] != digest.shape[:1]:
            raise Flaw(f"features/{tap}: {place.shape[0] if place.shape else 'no'} rows, for {digest.shape[0]} digests")
    return places


def _place_of(file: "h5py.File", path: Path, name: str) -> Place:
    """Find a dataset that lies in one piece in this very file, and in no other that it leads to."""
    at = ""
    for part in name.split("/"):
        at = f"{at}/{part}"
        if not isinstance(file.get(at, getlink=True), h5py.HardLink):
            raise Flaw(f"{name}: a link, and not stored in this file")
    dataset = file[name]
    stored = dataset.id.get_create_plist()
    if stored.get_layout() != h5py.h5d.CONTIGUOUS or stored.get_external_count():
        raise Flaw(f"{name}: not stored in one piece in this file")
    place = Place(dataset.id.get_offset(), dataset.shape, dataset.dtype)
    if place.dtype.kind not in "fu" or place.offset is None:
        raise Flaw(f"{name}: holds no numbers")
    if (size := path.stat().st_size) < place.offset + place.n_bytes:
        raise Flaw(f"{name}: it claims {by(place.shape)} {place.dtype}, {place.n_bytes} bytes, in a file of {size}")
    return place


def _names_in(group: "h5py.Group", above: str = "") -> Iterator[str]:
    """Name what lies in a group and, as a tap's name may have slashes, in groups in it."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.HardLink) and isinstance(group[name], h5py.Group):
            yield from _names_in(group[name], f"{above}{name}/")
        else:
            yield f"{above}{name}"


def _foreign(file: "h5py.File", key: EmbeddingKey) -> str:
    """Say where the key that a shard was made under differs from that of its folder; empty if it does not."""
    found = _text(file.attrs["key"])
    return "" if found == json.dumps(key.as_dict()) else EmbeddingKey.from_dict(json.loads(found)).differences(key)


def _add(file: "h5py.File", name: str, values: Array) -> None:
    file.create_dataset(name, data=values).attrs["sha256"] = _attribute(_checksum(values))


def _attribute(text: str) -> np.bytes_:
    # Of a fixed length: the heap in which HDF5 keeps other strings has no checksum.
    return np.bytes_(text.encode())


def _text(attribute: object) -> str:
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


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
    with h5py.File(path, "w", locking=False, **_LAYOUT) as file:  # whoever writes the rest holds a lock already
        file.attrs.update(attributes)
        offsets = {}
        for name, (shape, dtype) in datasets.items():
            stored = h5py.string_dtype("utf-8", dtype.itemsize) if dtype.kind == "S" else dtype
            made = file.create_dataset(name, shape, stored, dcpl=early, fill_time="never")
            offsets[name] = made.id.get_offset()
    return offsets
