"""TIFF files of any bands, strips, planes and byte order, written by hand."""

import struct
import zlib
from typing import Any

import numpy as np

GEO = {33550: (1.0, 1.0, 0.0)}
"""The pixel's size on the ground: a GeoTIFF."""


def write_tiff(
    values: Any,
    *,
    photometric: int,
    extra: tuple[int, ...] = (),
    planar: bool = False,
    deflate: bool = False,
    order: str = "<",
    more: dict[int, tuple[Any, ...]] | None = None,
    pages: tuple[dict[int, tuple[Any, ...]], ...] = (),
) -> bytes:
    """Write an array (height, width, n_bands) of any number type in strips of three rows.

    `more` are further tags; `pages` are the tags of directories that follow, each of the same pixels.
    """
    height, width, n_bands = values.shape
    kind = values.dtype
    planes = [values[..., band : band + 1] for band in range(n_bands)] if planar else [values]
    strips = [
        np.ascontiguousarray(plane[top : top + 3]).astype(kind.newbyteorder(order)).tobytes()
        for plane in planes
        for top in range(0, height, 3)
    ]
    strips = [zlib.compress(strip) for strip in strips] if deflate else strips
    places = np.cumsum([8, *map(len, strips)])[:-1]
    tags: dict[int, tuple[Any, ...]] = {
        256: (width,), 257: (height,), 258: (kind.itemsize * 8,) * n_bands, 259: (8 if deflate else 1,),
        262: (photometric,), 273: tuple(map(int, places)), 277: (n_bands,), 278: (3,), 279: tuple(map(len, strips)),
        284: (2 if planar else 1,), 339: ({"u": 1, "i": 2, "f": 3}[kind.kind],) * n_bands,
    }  # fmt: skip
    tags |= ({338: extra} if extra else {}) | (more or {})
    body = b"".join(strips)
    end = 8 + len(body)
    file = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, end) + body
    for number, own in enumerate(({}, *pages)):
        file += _directory(tags | own, len(file), order, last=number == len(pages))
    return file


def _directory(tags: dict[int, tuple[Any, ...]], at: int, order: str, *, last: bool) -> bytes:
    entries, behind, place = b"", b"", at + 2 + 12 * len(tags) + 4
    for tag, numbers in sorted(tags.items()):
        code, number = ("d", 12) if isinstance(numbers[0], float) else ("I", 4)
        packed = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        if len(packed) > 4:
            packed, behind = struct.pack(f"{order}I", place + len(behind)), behind + packed
        entries += struct.pack(f"{order}HHI", tag, number, len(numbers)) + packed
    following = 0 if last else place + len(behind)
    return struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", following) + behind
