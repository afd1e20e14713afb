"""The embedding cache: a folder of sealed shards, found by what an image contains and not by its name.

``EmbeddingCache`` is the folder, ``EmbeddingStore`` the rows of one key in it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from headstart.extractors.arrays import Array
from headstart.extractors.atomic import errors_explained, make_folder, remove_stale_parts, write_atomically
from headstart.extractors.cache.claims import UNREADABLE
from headstart.extractors.cache.digests import DigestArray, as_bytes
from headstart.extractors.cache.folders import advise
from headstart.extractors.cache.index import ShardIndex, shard_sizes
from headstart.extractors.cache.row_table import FILE, Positions, tabulate
from headstart.extractors.cache.shards import find_damage, has_digests, write_shard
from headstart.extractors.cache.view import EmbeddingView
from headstart.extractors.errors import CacheError, refuse_passing_fault
from headstart.extractors.spec import FORMAT_VERSION, EmbeddingKey

_MARKER = "cache.json"


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
                for folder in (self.path, *self.folders()):
                    remove_stale_parts(folder)
            if not marker.is_file():
                raise CacheError(f"{self.path}: no cache here (no {_MARKER}); {advise(self.path, _MARKER)}")
            content = marker.read_bytes()
        try:
            found = json.loads(content)["format_version"]
        except UNREADABLE as error:
            raise CacheError(f"{marker}: damaged; restore it, or extract into another folder (--cache DIR)") from error
        if found != FORMAT_VERSION:
            raise CacheError(
                f"{self.path}: written in cache format {found}, this version reads {FORMAT_VERSION}; "
                f"extract into another folder (--cache DIR), or install the version of headstart that wrote it"
            )

    def _create(self, marker: Path) -> None:
        """Make an empty folder a cache; a first try that was cut short, or another process at it, is no obstacle."""
        make_folder(self.path)
        foreign = [path.name for path in self.path.iterdir() if not path.name.startswith(_MARKER)]
        if foreign and not marker.exists():
            raise CacheError(
                f"{self.path}: the folder holds other files ({min(foreign)}) and is no cache; "
                f"name an empty or a new one (--cache DIR)"
            )
        self.mark()

    def mark(self) -> None:
        """Write ``cache.json`` where it is missing."""
        if not (self.path / _MARKER).exists():
            write_atomically(self.path / _MARKER, json.dumps({"format_version": FORMAT_VERSION}).encode())

    def stores(self, *, plain: bool = False) -> list["EmbeddingStore"]:
        """Every key in the cache, sorted by its id; with `plain`, not those of augmented views."""
        found = [EmbeddingStore.read(path) for path in self.folders() if (path / "key.json").exists()]
        return sorted((one for one in found if not plain or one.key.view == "whole"), key=lambda store: store.key.id)

    def folders(self) -> list[Path]:
        """Every folder of a key, sorted, whatever lies in it.

        Raises
        ------
        CacheError
            They cannot be looked at, which is not the same as that there is none.
        """
        place = self.path / "embeddings"
        with errors_explained(place):
            try:
                return sorted(path for path in place.iterdir() if path.is_dir())
            except FileNotFoundError:
                return []

    def store(self, key: EmbeddingKey) -> "EmbeddingStore":
        """Return the rows of `key`; they may not exist yet."""
        path = self.path / "embeddings" / key.id
        if not (path / "key.json").exists():
            return EmbeddingStore(path, key)
        store = EmbeddingStore.read(path)
        if store.key != key:
            raise CacheError(f"{path}: holds another key than its name says ({store.key.differences(key)}); remove it")
        return store


class KeyAbout(TypedDict, total=False):
    """Facts that ``key.json`` keeps beside the key, for people: they do not change the numbers.

    What the weights are called and where they came from, the shape of one image's features by tap, on what they were
    computed, and by which libraries.
    """

    weights_name: str
    weights_source: str
    shape: dict[str, list[int]]
    device: str
    versions: dict[str, str]


@dataclass(frozen=True)
class EmbeddingStore:
    """The sealed rows of one key.

    Attributes
    ----------
    path : Path
        Folder of the key, ``CACHE/embeddings/<id>``.
    key : EmbeddingKey
        What made the rows.
    about : KeyAbout
    """

    path: Path
    key: EmbeddingKey
    about: KeyAbout = field(default_factory=KeyAbout, compare=False)

    @classmethod
    def read(cls, path: Path) -> "EmbeddingStore":
        """Return the rows of the key whose ``key.json`` is in the folder `path`."""
        file = path / "key.json"
        try:
            content = json.loads(file.read_bytes())
            about: KeyAbout = content["about"]
            if not isinstance(about, dict):
                raise TypeError(f"about is a {type(about).__name__}, expected an object")
            if content.get("sha256", _checksum(about)) != _checksum(about):
                raise ValueError("its content does not give its checksum")
            return cls(path, EmbeddingKey.from_dict(content["key"]), about)
        except UNREADABLE as error:
            refuse_passing_fault(file, error)
            raise CacheError(f"{file}: cannot be read ({error}); 'headstart verify CACHE' says what to do") from error

    def create(self, about: KeyAbout) -> None:
        """Write ``key.json`` and clear away the part files of killed writers; do this before the first `seal`."""
        make_folder(self.path)
        remove_stale_parts(self.path)
        if not self.is_created:
            self.describe(about)

    def describe(self, about: Mapping[str, Any]) -> None:
        """Write ``key.json``, in place of one that is damaged."""
        # The key itself is checked by the name of its folder.
        content = {"key": self.key.as_dict(), "about": dict(about), "sha256": _checksum(about)}
        write_atomically(self.path / "key.json", json.dumps(content, indent=1).encode())

    def seal(
        self,
        digests: Array,
        features: Mapping[str, Array],
        *,
        name: str | None = None,
        before_rename: Callable[[], None] = lambda: None,
    ) -> Path:
        """Keep rows for good: digests (n, 32) uint8, and for each tap of the key features (n, …) in the key's dtype.

        The file is called after the digests, or `name`; one of the same name is replaced, after a call of
        `before_rename`, which may raise to leave it.
        """
        if sorted(features) != sorted(self.key.taps):
            raise CacheError(f"{self.path}: rows must have the taps {sorted(self.key.taps)}, got {sorted(features)}")
        for tap, values in features.items():
            if len(values) != len(digests) or values.dtype != self.key.dtype:
                raise CacheError(
                    f"{self.path}: {tap} must have {len(digests)} rows of {self.key.dtype}, "
                    f"got {len(values)} of {values.dtype}",
                )
        return write_shard(self.path, self.key, digests, features, name, before_rename)

    @property
    def is_created(self) -> bool:
        """Whether ``key.json`` is there."""
        return (self.path / "key.json").exists()

    def shards(self) -> list[Path]:
        """Every sealed shard, sorted by name."""
        return [self.path / name for name in sorted(shard_sizes(self.path))]

    def missing(
        self, digests: Sequence[str] | DigestArray, among: Sequence[Path] | None = None
    ) -> npt.NDArray[np.bool_]:
        """Tell which of the images have no sealed row yet, in any shard or `among` some; digests are as for `view`."""
        wanted = as_bytes(digests)
        if among is not None:
            return tabulate(among, self.key).find(wanted) < 0
        return ShardIndex(self.path, self.key).find(wanted)[0] < 0

    def view(self, tap: str, digests: Sequence[str] | DigestArray) -> EmbeddingView:
        """Return one row of `tap` for each digest (SHA-256 as hex, or uint8 (n, 32)), in the order given.

        Raises
        ------
        CacheError
            The key has no such tap, an image has no row, or a shard holds other images than it did.
        """
        if tap not in self.key.taps:
            raise CacheError(f"{self.path}: no tap {tap!r}; it has {', '.join(self.key.taps)}")
        wanted = as_bytes(digests)
        index = ShardIndex(self.path, self.key)
        shard, row = index.find(wanted)
        changed = self._find_changed(index, shard, row, wanted)
        if changed or (shard < 0).any():
            # If it is the index that is damaged there is no harm: the shards themselves know.
            index = ShardIndex(self.path, self.key, trusting=False)
            shard, row = index.find(wanted)
        if changed and (shard < 0).any():
            raise CacheError(
                f"{changed}: holds other images than when it was sealed; "
                f"run 'headstart verify {self.path.parent.parent} --repair'"
            )
        if count := int((shard < 0).sum()):
            raise CacheError(
                f"{self.path}: {count} of {len(wanted)} images have no embedding; run 'headstart extract' again"
            )
        return EmbeddingView(tuple(str(path.absolute()) for path in index.shards), tap, shard, row)

    def refresh_index(self, *, at_least: int = 0) -> None:
        """Bring the index file up to the sealed shards, so that the next one to open them need not read them.

        With `at_least`, only where so many shards are not in it, or it is damaged.

        Raises
        ------
        CacheError
            The folder cannot be written, or a shard is damaged.
        """
        index = ShardIndex(self.path, self.key)
        if len(index.unindexed) >= at_least or not index.is_whole:
            index.write()

    def damaged(self) -> dict[Path, str]:
        """Check every shard against its checksums and its key; what is wrong, by path.

        Raises
        ------
        UnavailableError
            One cannot be read this time.
        """
        return {path: reason for path in self.shards() if (reason := self.damage_of(path))}

    def damage_of(self, shard: Path) -> str:
        """Say what is wrong with one shard; see `extractors.cache.shards.find_damage`."""
        shapes = self.about.get("shape")
        known = {tap: shape for tap, shape in shapes.items() if isinstance(shape, list)} if shapes else {}
        return find_damage(shard, self.key, known)

    def rebuild_index(self) -> None:
        """Write the index file anew from the shards, whatever it says; hold the key's writer lock meanwhile."""
        with errors_explained(self.path / FILE):
            (self.path / FILE).unlink(missing_ok=True)
        self.refresh_index()

    def n_rows(self) -> int:
        """Count the distinct images that have a row."""
        return ShardIndex(self.path, self.key).n_distinct()

    def n_bytes(self) -> int:
        """Bytes of the sealed shards on disk."""
        return sum(shard_sizes(self.path).values())

    def _find_changed(self, index: ShardIndex, shard: Positions, row: Positions, wanted: Array) -> Path | None:
        """Name a shard that does not hold its images at these rows; None if all do."""
        for number in np.unique(shard[shard >= 0]):
            here, path = shard == number, index.shards[int(number)]
            if not has_digests(path, self.key, row[here], wanted[here]):
                return path
        return None


def _checksum(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(about), sort_keys=True).encode()).hexdigest()
