"""The embedding cache: a folder of sealed shards, found by what an image contains and not by its name.

``EmbeddingCache`` is the folder, ``EmbeddingStore`` the rows of one key in it, ``EmbeddingView`` some of these rows as
something that pickles small and becomes an array through `numpy.asarray`.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from extractors.atomic import errors_explained, remove_stale_parts, write_atomically
from extractors.errors import CacheError
from extractors.key import FORMAT_VERSION, EmbeddingKey
from extractors.shards import Array, find_damage, map_dataset, read_digests, write_shard

_MARKER = "cache.json"
_DIGEST_BYTES = 32


class EmbeddingCache:
    """A cache folder.

    Parameters
    ----------
    path : path-like
        The folder.
    create : bool
        Make it where it is missing; otherwise a missing folder is an error.

    Raises
    ------
    CacheError
        The folder is missing, is no cache, has another format version, or cannot be written.
    """

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        self.path = Path(path)
        marker = self.path / _MARKER
        with errors_explained(self.path):
            if create and not marker.exists():
                self._create(marker)
            if create:
                remove_stale_parts(self.path)
            if not marker.is_file():
                raise CacheError(
                    f"{self.path}: no cache here (no {_MARKER}); "
                    f"make one with 'headstart extract IMAGES --cache {self.path}'"
                )
            content = marker.read_text()
        try:
            found = json.loads(content)["format_version"]
        except (ValueError, KeyError, TypeError) as error:
            raise CacheError(f"{marker}: damaged; restore it, or extract into another folder (--cache DIR)") from error
        if found != FORMAT_VERSION:
            raise CacheError(
                f"{self.path}: written in cache format {found}, this version reads {FORMAT_VERSION}; "
                f"extract into another folder (--cache DIR), or install the version of headstart that wrote it"
            )

    def _create(self, marker: Path) -> None:
        """Make an empty folder a cache; a first try that was cut short, or another process at it, is no obstacle."""
        self.path.mkdir(parents=True, exist_ok=True)
        foreign = [path.name for path in self.path.iterdir() if not path.name.startswith(_MARKER)]
        if foreign and not marker.exists():
            raise CacheError(
                f"{self.path}: the folder holds other files ({min(foreign)}) and is no cache; "
                f"name an empty or a new one (--cache DIR)"
            )
        write_atomically(marker, json.dumps({"format_version": FORMAT_VERSION}).encode())

    def stores(self) -> list["EmbeddingStore"]:
        """Every key in the cache, sorted by its id."""
        found = [EmbeddingStore.read(path.parent) for path in (self.path / "embeddings").glob("*/key.json")]
        return sorted(found, key=lambda store: store.key.id)

    def store(self, key: EmbeddingKey) -> "EmbeddingStore":
        """Return the rows of `key`; they may not exist yet."""
        path = self.path / "embeddings" / key.id
        if not (path / "key.json").exists():
            return EmbeddingStore(path, key)
        store = EmbeddingStore.read(path)
        if store.key != key:
            raise CacheError(f"{path}: holds another key than its name says ({store.key.differences(key)}); remove it")
        return store


@dataclass(frozen=True)
class EmbeddingStore:
    """The sealed rows of one key.

    Attributes
    ----------
    path : Path
        Folder of the key, ``CACHE/embeddings/<id>``.
    key : EmbeddingKey
        What made the rows.
    about : dict
        What does not change the numbers but helps people: name of the weights, versions, batch size.
    """

    path: Path
    key: EmbeddingKey
    about: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def read(cls, path: Path) -> "EmbeddingStore":
        """Return the rows of the key whose ``key.json`` is in the folder `path`."""
        try:
            content = json.loads((path / "key.json").read_text())
            return cls(path, EmbeddingKey.from_dict(content["key"]), content["about"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CacheError(
                f"{path / 'key.json'}: cannot be read ({error}); remove the folder {path} and extract again"
            ) from error

    def create(self, about: Mapping[str, Any]) -> None:
        """Write ``key.json`` and clear away the part files of killed writers; do this before the first `seal`."""
        with errors_explained(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        remove_stale_parts(self.path)
        content = json.dumps({"key": self.key.as_dict(), "about": dict(about)}, indent=1)
        if not (self.path / "key.json").exists():
            write_atomically(self.path / "key.json", content.encode())

    def seal(self, digests: Array, features: Mapping[str, Array]) -> Path:
        """Keep rows for good: digests (n, 32) uint8, and for each tap of the key features (n, …) in the key's dtype."""
        if sorted(features) != sorted(self.key.taps):
            raise CacheError(f"{self.path}: rows must have the taps {sorted(self.key.taps)}, got {sorted(features)}")
        for tap, values in features.items():
            if len(values) != len(digests) or values.dtype != self.key.dtype:
                raise CacheError(
                    f"{self.path}: {tap} must have {len(digests)} rows of {self.key.dtype}, "
                    f"got {len(values)} of {values.dtype}",
                )
        return write_shard(self.path, self.key, digests, features)

    def shards(self) -> list[Path]:
        """Every sealed shard, sorted by name."""
        return sorted(self.path.glob("shard-*.h5"))

    def missing(self, digests: Sequence[str], among: Sequence[Path] | None = None) -> npt.NDArray[np.bool_]:
        """Tell which of the images (SHA-256 as hex) have no sealed row yet, in any shard or `among` some."""
        return _Index(self.key, self.shards() if among is None else among).find(digests)[0] < 0

    def view(self, tap: str, digests: Sequence[str]) -> "EmbeddingView":
        """Return one row of `tap` for each digest (hex), in the order given.

        Raises
        ------
        CacheError
            The key has no such tap, or an image has no row.
        """
        if tap not in self.key.taps:
            raise CacheError(f"{self.path}: no tap {tap!r}; it has {', '.join(self.key.taps)}")
        shards = self.shards()
        shard, row = _Index(self.key, shards).find(digests)
        if (shard < 0).any():
            count = int((shard < 0).sum())
            raise CacheError(
                f"{self.path}: {count} of {len(digests)} images have no embedding; run 'headstart extract' again"
            )
        return EmbeddingView(tuple(str(path.absolute()) for path in shards), tap, shard, row)

    def damaged(self) -> dict[Path, str]:
        """Check every shard against its checksums; what is wrong, by path."""
        return {path: reason for path in self.shards() if (reason := find_damage(path, self.key))}

    def n_rows(self) -> int:
        """Count the distinct images that have a row."""
        return _Index(self.key, self.shards()).n_distinct()

    def n_bytes(self) -> int:
        """Bytes of the sealed shards on disk."""
        return sum(path.stat().st_size for path in self.shards())


@dataclass(frozen=True, eq=False)
class EmbeddingView:
    """Rows of one tap, by shard and row; pickles as paths and row numbers, becomes an array through `numpy.asarray`."""

    paths: tuple[str, ...]
    tap: str
    shard: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_images, n_features)``, or more axes where the tap has them."""
        return (len(self), *self._map(0).shape[1:]) if self.paths else (0,)

    def take(self, rows: Any) -> "EmbeddingView":
        """Return a view of some of the rows: an index array, a mask, or a slice."""
        return EmbeddingView(self.paths, self.tap, self.shard[rows], self.row[rows])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Gather the rows; where they are one whole shard in its own dtype, the memory map itself is returned."""
        numbers = np.unique(self.shard).tolist()
        first = self._map(numbers[0] if numbers else 0) if self.paths else np.empty((0, 0), dtype or np.float32)
        wanted = np.dtype(dtype or first.dtype)
        whole = len(numbers) == 1 and np.array_equal(self.row, np.arange(len(first)))
        if whole and wanted == first.dtype and not copy:
            return first
        if copy is False:
            raise ValueError(f"these rows of {self.tap} cannot be had as {wanted} without a copy")
        gathered = np.empty((len(self), *first.shape[1:]), wanted)
        for number in numbers:  # mapped one at a time: each map holds a descriptor
            here = self.shard == number
            gathered[here] = self._map(number)[self.row[here]]
        return gathered

    def _map(self, number: int) -> Array:
        return map_dataset(Path(self.paths[number]), f"features/{self.tap}")


class _Index:
    """Where each digest is: sorted by its first eight bytes, and compared whole."""

    def __init__(self, key: EmbeddingKey, shards: Sequence[Path]) -> None:
        digests = [read_digests(path, key) for path in shards]
        self._digests = np.concatenate([np.empty((0, _DIGEST_BYTES), np.uint8), *digests])
        self._shard = np.repeat(np.arange(len(shards)), [len(rows) for rows in digests])
        self._row = np.concatenate([np.empty(0, np.int64), *(np.arange(len(rows)) for rows in digests)])
        prefixes = _prefixes(self._digests)
        self._order = np.argsort(prefixes, kind="stable")
        self._prefixes = prefixes[self._order]

    def find(self, digests: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return shard and row of each digest, both -1 where it is not there."""
        wanted = np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, _DIGEST_BYTES)
        if not len(self._prefixes):
            return np.full(len(wanted), -1), np.full(len(wanted), -1)
        at = np.searchsorted(self._prefixes, _prefixes(wanted)).clip(max=len(self._prefixes) - 1)
        place = self._order[at]
        # Two digests that share 64 bits would be a wonder; comparing all 256 makes a wrong row impossible.
        found = (self._digests[place] == wanted).all(axis=1)
        return np.where(found, self._shard[place], -1), np.where(found, self._row[place], -1)

    def n_distinct(self) -> int:
        return len(np.unique(self._prefixes))


def _prefixes(digests: Array) -> npt.NDArray[np.uint64]:
    return (
        np.ascontiguousarray(digests).view(">u8")[:, 0].astype(np.uint64)
        if math.prod(digests.shape)
        else np.empty(0, np.uint64)
    )
