"""Claims of a shard's datasets, and whether their bytes are those that were sealed, before they are believed."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

UNREADABLE = (
    OSError,
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    OverflowError,
    RuntimeError,  # a RecursionError is one
    MemoryError,
)
"""Errors that libraries and parsers raise on a file whose bytes changed."""


class Flaw(ValueError):  # noqa: N818 - `shards` turns it into an error or a reason
    """A fault of a shard that can be opened."""


class Place(NamedTuple):
    """Where a dataset lies in its file: in one piece from `offset` on."""

    offset: int
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"

    @property
    def n_bytes(self) -> int:
        """Its size, in numbers that cannot overflow."""
        return math.prod(self.shape) * self.dtype.itemsize


_PIECE_BYTES = 2**20
_Proof = tuple[str, str, int, int, int]
_PROVED: dict[_Proof, Place] = {}
_MOST_PROVED = 2**16


def prove(path: Path, name: str, place: Place, checksum: str) -> None:
    """Compare the bytes of a dataset with the checksum that was kept when it was sealed, a piece at a time."""
    proof, digest, left = _proof_of(path, name), hashlib.sha256(), place.n_bytes
    with path.open("rb") as file:
        file.seek(place.offset)
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            digest.update(piece)
            left -= len(piece)
    if digest.hexdigest() != checksum:
        raise Flaw(f"{name}: its bytes do not give the checksum that was kept when it was sealed")
    if len(_PROVED) >= _MOST_PROVED:
        _PROVED.clear()
    _PROVED[proof] = place


def proved(path: Path, name: str) -> Place | None:
    """Return where a dataset lies whose bytes this process has checked, if its file is the same since."""
    return _PROVED.get(_proof_of(path, name))


def _proof_of(path: Path, name: str) -> _Proof:
    try:
        found = path.stat()
    except OSError:
        return str(path), name, 0, 0, 0  # which proves nothing; whoever opens it says what is wrong
    return str(path), name, found.st_ino, found.st_size, found.st_mtime_ns


def by(shape: Sequence[int]) -> str:
    """Write a shape as 2×3; the empty one is that of one number."""
    return "×".join(map(str, shape)) or "one"
