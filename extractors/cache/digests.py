"""SHA-256 digests of many images as an array, uint8 (n, 32): as hex in Python's strings each would take 121 bytes."""

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

DIGEST_BYTES = 32
PIECE_ROWS = 2**16
"""Of what is written as text, or compared, at once: some 10 MB."""

DigestArray = npt.NDArray[np.uint8]


def as_bytes(digests: "Sequence[str] | DigestArray") -> DigestArray:
    """Return digests as uint8 (n, 32): hex is turned into bytes, and such an array is taken as it is.

    Raises
    ------
    ValueError
        One is no digest.
    """
    if isinstance(digests, np.ndarray) and digests.dtype == np.uint8:
        return digests.reshape(-1, DIGEST_BYTES)
    found, left = np.empty((len(digests), DIGEST_BYTES), np.uint8), iter(digests)
    for start in range(0, len(found), PIECE_ROWS):
        piece = found[start : start + PIECE_ROWS]
        content = bytes.fromhex("".join(islice(left, len(piece))))
        piece[:] = np.frombuffer(content, np.uint8).reshape(piece.shape)
    return found


def as_hex(digests: DigestArray) -> list[str]:
    """Return digests, uint8 (n, 32), as text."""
    pieces = (digests[start : start + PIECE_ROWS] for start in range(0, len(digests), PIECE_ROWS))
    return [text for piece in pieces for text in piece.tobytes().hex("\n", DIGEST_BYTES).split("\n")]


def prefixes(digests: DigestArray) -> npt.NDArray[np.uint64]:
    """Return the first eight bytes of each digest as a number; numbers are ordered as hex is."""
    return _columns(digests)[:, 0].astype(np.uint64)


def sort_digests(digests: DigestArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Sort digests as their hex would be; equal ones keep their order.

    Parameters
    ----------
    digests : uint8 array (n, 32)

    Returns
    -------
    order : int64 array (n,)
        Positions, sorted.
    number : int64 array (n,)
        Of the digest at each place of `order`, counted from 0: equal ones have one number.
    """
    prefix = prefixes(digests)
    order = np.argsort(prefix, kind="stable")
    changes = _changes(prefix, order)
    alike = np.flatnonzero(~changes)
    other = (digests[order[alike]] != digests[order[alike - 1]]).any(axis=1)
    if other.any():  # two images whose digests begin with the same 64 bits: somebody has made them so
        columns = _columns(digests)
        order = np.lexsort([columns[:, at].astype(np.uint64) for at in (3, 2, 1, 0)])
        changes = _changes(prefix, order)
        alike = np.flatnonzero(~changes)
        other = (digests[order[alike]] != digests[order[alike - 1]]).any(axis=1)
    changes[alike[other]] = True
    number = np.cumsum(changes, dtype=np.int64)
    number -= 1
    return order, number


def number_digests(digests: DigestArray) -> npt.NDArray[np.int64]:
    """Give equal digests, uint8 (n, 32), equal numbers from 0 on, in the order of their hex."""
    order, number = sort_digests(digests)
    numbers = np.empty_like(number)
    numbers[order] = number
    return numbers


def _columns(digests: DigestArray) -> npt.NDArray[np.uint64]:
    return np.ascontiguousarray(digests).view(">u8").reshape(-1, DIGEST_BYTES // 8)


def _changes(prefix: npt.NDArray[np.uint64], order: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Tell at which places of `order` another prefix begins."""
    sorted_prefix = prefix[order]
    return np.concatenate([np.ones(len(order[:1]), bool), sorted_prefix[1:] != sorted_prefix[:-1]])
