"""Rows of one tap as something that pickles small and becomes an array through `numpy.asarray`."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.arrays import Array
from headstart.extractors.cache.claims import by
from headstart.extractors.cache.shards import find_dataset, map_dataset
from headstart.extractors.errors import CacheError


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
        return (len(self), *self._describe(0)[0][1:]) if self.paths else (0,)

    @classmethod
    def woven(cls, views: Sequence["EmbeddingView"]) -> "EmbeddingView":
        """Return the rows of several views of the same images image by image: all of one, then all of the next."""
        ends = np.cumsum([len(view.paths) for view in views])
        shards = [view.shard + (end - len(view.paths)) for view, end in zip(views, ends, strict=True)]
        rows = [view.row for view in views]
        paths = tuple(path for view in views for path in view.paths)
        return cls(paths, views[0].tap, np.stack(shards, axis=1).ravel(), np.stack(rows, axis=1).ravel())

    def take(self, rows: Any) -> "EmbeddingView":
        """Return a view of some of the rows: an index array, a mask, or a slice."""
        return EmbeddingView(self.paths, self.tap, self.shard[rows], self.row[rows])

    def mapped(self) -> "MappedRows":
        """Return the same rows to read a few at a time, without opening a shard for each of them."""
        return MappedRows(self)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Gather the rows; where they are one whole shard in its own dtype, the memory map itself is returned."""
        numbers = np.unique(self.shard).tolist()
        shape = self._check(numbers)  # before there is room for what a file only claims
        first = self._map(numbers[0] if numbers else 0) if self.paths else np.empty((0, 0), dtype or np.float32)
        wanted = np.dtype(dtype or first.dtype)
        whole = len(numbers) == 1 and np.array_equal(self.row, np.arange(len(first)))
        if whole and wanted == first.dtype and not copy:
            return first
        if copy is False:
            raise ValueError(f"these rows of {self.tap} cannot be had as {wanted} without a copy")
        gathered = np.empty((len(self), *shape), wanted)
        for number in numbers:  # mapped one at a time: each map holds a descriptor
            here = self.shard == number
            gathered[here] = self._map(number)[self.row[here]]
        return gathered

    def _check(self, numbers: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of an image's features, which is one in all shards; their dtype is one, too."""
        (shape, dtype) = self._describe(numbers[0] if numbers else 0) if self.paths else ((0, 0), None)
        for number in numbers[1:]:
            other, other_dtype = self._describe(number)
            if (other[1:], other_dtype) != (shape[1:], dtype):
                raise CacheError(
                    f"{self.paths[number]}: {self.tap} has features of {by(other[1:])} {other_dtype}, and of "
                    f"{by(shape[1:])} {dtype} in {self.paths[numbers[0]]}; run 'headstart verify CACHE --repair'"
                )
        return shape[1:]

    def _describe(self, number: int) -> tuple[tuple[int, ...], "np.dtype[Any]"]:
        return find_dataset(Path(self.paths[number]), f"features/{self.tap}")

    def _map(self, number: int) -> Array:
        return map_dataset(Path(self.paths[number]), f"features/{self.tap}")


_MOST_MAPPED = 256  # each holds a descriptor, and a process may have 1024
_MAPPING = Lock()  # threads may share rows; of the module, so that rows can be pickled


class MappedRows:
    """Rows of a view as an array that is never read as a whole: ``rows[numbers]`` gathers those from mapped shards.

    Parameters
    ----------
    view : EmbeddingView
        Its shards are checked, each at its first use.
    """

    def __init__(self, view: EmbeddingView) -> None:
        self._view, self._maps = view, OrderedDict[int, Array]()
        self.shape = view.shape

    def __len__(self) -> int:
        return len(self._view)

    def __getitem__(self, numbers: Any) -> Array:
        """Return the rows of an index array, a mask or a slice, as stored, (n_rows, …)."""
        shards, rows = self._view.shard[numbers], self._view.row[numbers]
        if len(rows) and (shards == shards[0]).all() and (np.diff(rows) == 1).all():  # as most rows lie, and faster
            return np.array(self._map(int(shards[0]))[rows[0] : rows[-1] + 1])
        gathered: Array | None = None
        for shard in np.unique(shards).tolist():
            here, mapped = shards == shard, self._map(shard)
            if gathered is None:
                gathered = np.empty((len(shards), *mapped.shape[1:]), mapped.dtype)
            gathered[here] = mapped[rows[here]]
        return np.empty((0, *self.shape[1:]), np.float32) if gathered is None else gathered

    def _map(self, shard: int) -> Array:
        with _MAPPING:
            if shard not in self._maps:
                if len(self._maps) >= _MOST_MAPPED:
                    self._maps.popitem(last=False)
                self._maps[shard] = map_dataset(Path(self._view.paths[shard]), f"features/{self._view.tap}")
            self._maps.move_to_end(shard)
            return self._maps[shard]
