"""Encoded images as bytes, also such as no encoder would write, and the pixels that are read from them."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from headstart.extractors.decoding.decode import decode_rgb


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def pixels(data: bytes) -> list[tuple[int, ...]]:
    """Return the RGB pixels row by row."""
    return [tuple(pixel) for pixel in np.asarray(decode_rgb(data)).reshape(-1, 3).tolist()]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Write a PNG by hand, also one that no encoder would."""
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


def png16(samples: list[int], colour: int, *more: tuple[bytes, bytes]) -> bytes:
    """Write one row of big-endian 16-bit samples; colour 0 is grey, 2 RGB, 4 grey with alpha, 6 RGBA."""
    width = len(samples) // {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row = b"\0" + struct.pack(f">{len(samples)}H", *samples)
    return png(png_header(width, 1, 16, colour), *more, (b"IDAT", zlib.compress(row)), (b"IEND", b""))


def tiff(
    width: int,
    data: bytes,
    *,
    bits: int,
    photometric: int = 1,
    samples: int = 1,
    sample_format: int = 1,
    height: int = 1,
    compression: int = 1,
) -> bytes:
    """Write a little-endian TIFF of one strip; compression 1 is none, 8 deflate."""
    bits_value = (bits,) * samples
    tags = [
        (256, "I", (width,)),
        (257, "I", (height,)),
        (258, "H", bits_value),
        (259, "H", (compression,)),
        (262, "H", (photometric,)),
        (273, "I", (8,)),
        (277, "H", (samples,)),
        (278, "I", (height,)),
        (279, "I", (len(data),)),
        (339, "H", (sample_format,) * samples),
    ]
    entries, extra = b"", b""
    ifd = 8 + len(data) + len(data) % 2
    for tag, code, values in tags:
        packed = struct.pack(f"<{len(values)}{code}", *values)
        if len(packed) > 4:
            place = ifd + 2 + 12 * len(tags) + 4 + len(extra)
            extra += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, {"H": 3, "I": 4}[code], len(values)) + packed.ljust(4, b"\0")
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0) + extra
    return b"II*\0" + struct.pack("<I", ifd) + data + b"\0" * (len(data) % 2) + directory
