"""Parquet files that carry their own checksum, where their pages have one each and their footer none.

The checksum lies between the last page and the footer, where no reader of Parquet looks: offsets lead to the pages, and
the footer is found from the end.
"""

import hashlib
import io
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

_MARK = b"headstart sha256"
_SEAL_BYTES = len(_MARK) + 32
_TAIL_BYTES = 8  # length of the footer, and "PAR1"
_PIECE_BYTES = 2**20


def sealed_parquet(table: pa.Table) -> bytes:
    """Return a table as a Parquet file that carries a checksum of all its other bytes."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, write_page_checksum=True)
    plain = buffer.getvalue()
    at = _footer_start(plain[-_TAIL_BYTES:], len(plain))
    return b"".join([plain[:at], _MARK, hashlib.sha256(plain).digest(), plain[at:]])


def check_seal(file: BinaryIO) -> None:
    """Compare a file with the checksum that it carries; one of an earlier version carries none.

    Raises
    ------
    ValueError
        They differ.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    at = _footer_start(file.read(), size) - _SEAL_BYTES
    if at > 0:
        file.seek(at)
        seal = file.read(_SEAL_BYTES)
        if seal.startswith(_MARK) and seal[len(_MARK) :] != _digest_around(file, at):
            raise ValueError("its bytes do not give the checksum that it carries")
    file.seek(0)


def _footer_start(tail: bytes, size: int) -> int:
    return size - _TAIL_BYTES - int.from_bytes(tail[:4], "little")


def _digest_around(file: BinaryIO, at: int) -> bytes:
    digest, left = hashlib.sha256(), at
    file.seek(0)
    while left and (piece := file.read(min(left, _PIECE_BYTES))):
        digest.update(piece)
        left -= len(piece)
    file.seek(at + _SEAL_BYTES)
    while piece := file.read(_PIECE_BYTES):
        digest.update(piece)
    return digest.digest()
