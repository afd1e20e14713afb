"""Features that are read a block of rows at a time, and a sample of them that is held in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from headstart.heads.errors import DataError
from headstart.heads.features import feature_matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Singles = NDArray[np.float32]
    Rows = NDArray[np.intp]

BLOCK_BYTES = 32 * 2**20
SAMPLE_BYTES = 192 * 2**20


class Block(NamedTuple):
    """Some images: rows (n,), and their features (n, n_features), float32."""

    rows: Rows
    features: Singles


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Features that are read in blocks.

    Parameters
    ----------
    features : array-like of shape (n_images, n_features)
        An array, or something whose `take(rows)` is array-like, such as a view of a cache.
    name : str
        Begins error messages.
    block_bytes, sample_bytes : int
        Of what is held in float32: of a block that is being read, and of the sample that temperatures are fitted on and
        L-BFGS begins with.
    """

    features: Any
    name: str = "features"
    block_bytes: int = BLOCK_BYTES
    sample_bytes: int = SAMPLE_BYTES

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the features."""
        return tuple(self.features.shape)

    @property
    def n_features(self) -> int:
        """Columns.

        Raises
        ------
        DataError
            Features are no matrix.
        """
        if len(self.shape) != 2:
            feature_matrix(np.empty((0, *self.shape[1:]), np.float32), 0, self.name)  # says what is wrong with that
        return int(self.shape[1])

    def blocks(self, rows: Rows) -> Iterator[Block]:
        """Read these images, sorted rows (n,), a block at a time.

        Raises
        ------
        DataError
            Values are not finite; `rows` then says which images of that block.
        """
        at_once = max(1, self.block_bytes // (4 * self.n_features))
        for start in range(0, len(rows), at_once):
            some = rows[start : start + at_once]
            yield Block(some, self._read(some))

    def _read(self, rows: Rows) -> Singles:
        first, last = int(rows[0]), int(rows[-1]) + 1
        wanted: Any = slice(first, last) if last - first == len(rows) else rows
        part = self.features[wanted] if isinstance(self.features, np.ndarray) else self.features.take(wanted)
        try:
            return feature_matrix(part, len(rows), self.name)
        except DataError as error:
            raise DataError(str(error), rows=[int(rows[row]) for row in error.rows]) from error


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Some images in memory, for what need not see all of them.

    Parameters
    ----------
    block : Block
    is_all : bool
        Whether none was left out.
    """

    block: Block
    is_all: bool


def draw_sample(stream: Stream, rows: Rows, n_bytes: int = SAMPLE_BYTES) -> Sample:
    """Read some of these images (n,), at equal distances, in as many bytes of float32 at most."""
    n_wanted = min(len(rows), max(1, n_bytes // (4 * stream.n_features)))
    some = rows[np.linspace(0, len(rows) - 1, n_wanted).astype(np.intp)]
    held = np.empty((len(some), stream.n_features), dtype=np.float32)
    at = 0
    for block in stream.blocks(some):
        held[at : at + len(block.rows)] = block.features
        at += len(block.rows)
    return Sample(block=Block(some, held), is_all=len(some) == len(rows))
