"""Readers of formats: Pillow's, or one of our own on top of it where Pillow tells too little of depth and bands."""

import io
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import IO

import numpy as np
from PIL import ImageFile, Jpeg2KImagePlugin, PngImagePlugin, PpmImagePlugin, SgiImagePlugin

from headstart.extractors.arrays import Array
from headstart.extractors.decoding.tiff_bands import EXPECTED, TiffFile
from headstart.extractors.errors import UnreadableImage
from headstart.extractors.images import Format

_Reader = Callable[[IO[bytes], str], ImageFile.ImageFile]
# Bytes a pixel where Pillow reads number by number and holds what it has read several times.
_READ_SLOWLY, _READ_SLOWLY_AND_DEEP = 22, 64


class PnmFile(PpmImagePlugin.PpmImageFile):
    """A PNM as Pillow opens it, of which values of more than 8 bits can be had; Pillow makes 8 of colours.

    Attributes
    ----------
    white : int
        The value that is white, as the file says.
    """

    white = 255

    def _open(self) -> None:
        super()._open()
        tile = self.tile[0]
        if isinstance(tile.args, tuple):
            self.white = int(tile.args[-1])
        elif tile.args == "I;16B":
            self.white = 65535
        if self._is_plain or (self.white < 255 and self.mode != "1"):
            self.bytes_a_pixel = _READ_SLOWLY if self.white <= 255 else _READ_SLOWLY_AND_DEEP

    @property
    def _is_plain(self) -> bool:
        return self.tile[0].codec_name == "ppm_plain"

    def deep_rows(self) -> Callable[[int, int], Array]:
        """Reader of the rows first … last as (n_rows, width, n_bands); 65535 is white."""
        n_bands, (width, height), tile = len(self.getbands()), self.size, self.tile[0]
        if self._is_plain:  # as numbers of 32 bits Pillow reads them whole
            self._mode, self._size = "I", (width * n_bands, height)
            self.tile = [tile._replace(extents=(0, 0, *self.size))]
            self.load()
            numbers = np.asarray(self).reshape(height, width, n_bands)
            return lambda top, bottom: numbers[top:bottom].astype(np.uint16)
        stored = np.frombuffer(_bytes_of(self), ">u2", width * height * n_bands, tile.offset)
        stored = stored.reshape(height, width, n_bands)
        return lambda top, bottom: np.rint(stored[top:bottom] * (65535 / self.white)).clip(0, 65535).astype(np.uint16)


class Jpeg2000File(Jpeg2KImagePlugin.Jpeg2KImageFile):
    """A JPEG 2000 as Pillow opens it, with the colour profile that Pillow leaves.

    Attributes
    ----------
    bits : int
        Of a sample.
    doubtful_alpha : bool
        Whether the last band may be another colour: nothing says that it is an alpha band.
    """

    bits = 8
    doubtful_alpha = False

    def _open(self) -> None:
        data = _bytes_of(self)
        at = data.find(b"\xff\x4f\xff\x51")  # the codestream, ISO 15444-1, A.5.1; what lies before it are boxes, I.5.3
        depths = data[at + 42 :][: 3 * int.from_bytes(data[at + 40 : at + 42], "big") : 3]
        self.bits = max(((depth & 0x7F) + 1 for depth in depths), default=8)
        if len(depths) > 4:
            raise UnreadableImage(f"{len(depths)} bands of {self.bits} bits; {EXPECTED}")
        super()._open()
        self.doubtful_alpha = self.mode in ("LA", "RGBA") and b"cdef" not in data[:at]
        if found := re.search(rb"(....)colr[\2\3]..", data[:at], re.DOTALL):
            self.info["icc_profile"] = data[found.end() : found.start() + int.from_bytes(found[1], "big")]


class SgiFile(SgiImagePlugin.SgiImageFile):
    """An SGI image as Pillow opens it, and the bits of a sample."""

    bits = 8

    def _open(self) -> None:
        super()._open()
        self.bits = 8 * _bytes_of(self)[3]


_OWN: dict[str, _Reader] = {"TIFF": TiffFile, "PNM": PnmFile, "JPEG 2000": Jpeg2000File, "SGI": SgiFile}


def is_cut_to_eight_bits(image: ImageFile.ImageFile) -> bool:
    """Tell whether an image has more than 8 bits, of which no reader here gives more than the upper 8."""
    return isinstance(image, Jpeg2000File | SgiFile) and image.bits > 8 and image.mode in ("L", "LA", "RGB", "RGBA")


def raw_mode(image: ImageFile.ImageFile) -> str:
    """Return how Pillow will unpack the file's samples; empty for formats that have but 8 bits."""
    if not isinstance(image, PngImagePlugin.PngImageFile | TiffFile) or not image.tile:
        return ""
    args = image.tile[0].args
    return str(args[0] if isinstance(args, tuple) else args)


def set_raw_mode(image: ImageFile.ImageFile, raw: str) -> None:
    """Have Pillow unpack the file's samples in another way."""
    image.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in image.tile
    ]


@cache
def reader_of(found: Format) -> _Reader:
    """Return the reader of a format.

    It is called directly because Image.open hides why a reader gave up, and warns of sizes by a limit of its own, which
    no thread can silence for itself.
    """
    if found.name in _OWN:
        return _OWN[found.name]
    module, _, name = found.reader.partition(":")
    try:
        reader: _Reader = getattr(import_module(f"PIL.{module}"), name)
    except ImportError as error:
        raise UnreadableImage(f"{found.name}, which this Pillow cannot read; update it") from error
    return reader


def _bytes_of(image: ImageFile.ImageFile) -> bytes:
    return image.fp.getvalue() if isinstance(image.fp, io.BytesIO) else b""
