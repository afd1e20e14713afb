"""TIFF files whose bands are checked before any pixel is decoded: what they hold is read right, or named."""

import io
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2 as Tags

from headstart.extractors.decoding.damage import DAMAGE
from headstart.extractors.errors import UnreadableImage

# TIFF 6.0, and GeoTIFF 1.1 with GDAL's own.
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _SAMPLES, _ROWS, _STRIP_BYTES, _LARGEST, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 281, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES, _EXTRA, _FORMAT = 322, 323, 324, 325, 338, 339
_GEO = (33550, 33922, 34264, 34735, 42112, 42113)
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK = 0, 1, 2, 5
_FORMATS = {1: "", 2: ", signed", 3: ", float"}
_ALPHA = (1, 2)
_NATIVE = {"I;16BS": "I;16S", "I;32BS": "I;32S", "F;32BF": "F;32F"}
_REDUCED_OR_MASK = 0b101  # a smaller copy of the image, or which of its pixels are seen: no page
_PAGES_LOOKED_AT = 16  # copies are a few; what follows them is a page
_OPAQUE_OR_CLEAR = 0.9  # of the values of an alpha band; those of a photographed band lie between


class TiffFile(TiffImagePlugin.TiffImageFile):
    """A TIFF as Pillow opens it, once its bands are understood.

    Attributes
    ----------
    white_is_zero, unsigned : bool
        Of grey of more than 8 bits, which Pillow takes as it is stored.
    bits : int
        Of a sample.
    largest : int or None
        The largest value in the file, as it says itself.
    doubtful_alpha : bool
        Whether the fourth band may be another colour, such as near infrared: what it holds decides.
    in_planes : bool
        Whether bands lie one behind the other in a way that Pillow cannot read.
    premultiplied : bool
        Whether colours are multiplied by the alpha band.
    several : bool
        Whether more pages follow the first.
    """

    white_is_zero = unsigned = doubtful_alpha = in_planes = premultiplied = several = False
    bits = 8
    largest: int | None = None

    def _open(self) -> None:
        super()._open()
        self.several = bool(self.is_animated) and self._has_pages()

    def _setup(self) -> None:
        tags = self.tag_v2
        names = _describe(tags)
        self._understand(tags, names)
        try:
            super()._setup()
        except SyntaxError as error:
            if str(error) != "unknown pixel mode":
                raise
            raise UnreadableImage(f"{names}, in an order that is not known; {EXPECTED}") from error
        if self.use_load_libtiff and sys.byteorder == "little":  # libtiff has turned the bytes, and Pillow would again
            self.tile = [
                tile._replace(args=(_NATIVE.get(tile.args[0], tile.args[0]), *tile.args[1:]))
                for tile in self.tile
                if isinstance(tile.args, tuple)
            ]

    def _understand(self, tags: Tags, names: str) -> None:
        """Put right what Pillow would take for another layout, and refuse what is no image."""
        bits, n_bands, colour = tags.get(_BITS, (1,)), _count_bands(tags), tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
        extra, kinds = tuple(tags.get(_EXTRA, ())), set(tags.get(_FORMAT, (1,)))
        self.bits, self.largest = max(bits), tags.get(_LARGEST) if n_bands == 1 else None
        grey = colour in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
        if n_bands > (5 if colour == _CMYK else 4) or (grey and n_bands == 2 and not set(extra) & set(_ALPHA)):
            raise UnreadableImage(f"{names}; {EXPECTED}")
        if self.bits <= 8 and kinds & {2, 3}:
            raise UnreadableImage(f"{names}, whose black and white are not defined; {EXPECTED}")
        if grey and n_bands > 2:  # as GDAL writes colours of more than 8 bits
            tags[_PHOTOMETRIC], colour = _RGB, _RGB
            extra = extra[2:] if len(extra) == n_bands - 1 else extra
            tags[_EXTRA] = extra or (0,) * (n_bands - 3)
            if n_bands == 3:
                del tags[_EXTRA]
        if colour == _RGB and n_bands == 4 and extra[:1] != (0,):
            self.doubtful_alpha = not extra or any(tag in tags for tag in _GEO)
        self.premultiplied = extra[:1] == (1,)
        if grey and n_bands == 1 and self.bits > 8:
            self.white_is_zero = colour == _WHITE_IS_ZERO
            self.unsigned = self.bits == 32 and kinds == {1}
            tags[_PHOTOMETRIC] = _BLACK_IS_ZERO
            if self.unsigned:
                tags[_FORMAT] = (2,)  # bits that are the same either way
        if colour == _RGB and n_bands > 1 and tags.get(_PLANAR, 1) == 2:
            self.in_planes = set(bits) == {16} or (n_bands == 4 and not extra)
            if extra == (0,):
                _leave_out_last(tags)

    def merged(self) -> Image.Image:
        """Return colours of 8 bits whose bands lie one behind the other, with the fourth if it is an alpha band."""
        planes = self.planes()
        return Image.merge("RGBA", planes) if alpha_is_meant(planes[3]) else Image.merge("RGB", planes[:3])

    def planes(self) -> list[Image.Image]:
        """Return the bands of a file in which they lie one behind the other, each a grey image."""
        return [TiffFile(io.BytesIO(one), "").copy() for one in _cut_planes(self._data, self.tag_v2)]

    @property
    def _data(self) -> bytes:
        return self._fp.getvalue() if isinstance(self._fp, io.BytesIO) else b""

    def _has_pages(self) -> bool:
        """Tell whether a page follows; smaller copies of the first are none."""
        with suppress(*DAMAGE):
            at, file = self.tag_v2.next, io.BytesIO(self._data)
            for _ in range(_PAGES_LOOKED_AT):
                if not at:
                    return False
                tags = Tags(_header(self._data))
                file.seek(at)
                tags.load(file)
                if not tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK:
                    return True
                at = tags.next
            return True
        return False


def alpha_is_meant(band: Image.Image) -> bool:
    """Tell by its values whether a fourth band says what is transparent: nearly all is clear or opaque, not all clear.

    GDAL and others call any fourth band an alpha, near infrared too.
    """
    counts = np.array(band.histogram())
    return bool(counts[0] + counts[255] >= _OPAQUE_OR_CLEAR * counts.sum() and counts[0] < counts.sum())


EXPECTED = "images have 1, 3 or 4 bands of up to 16 bits"


def _leave_out_last(tags: Tags) -> None:
    """Take the last of four bands out of a directory whose bands lie one behind the other."""
    for tag in (_STRIP_OFFSETS, _STRIP_BYTES, _TILE_OFFSETS, _TILE_BYTES, _BITS, _FORMAT):
        if tag in tags and len(tags[tag]) % 4 == 0:
            tags[tag] = tags[tag][: len(tags[tag]) // 4 * 3]
    tags[_SAMPLES] = 3
    del tags[_EXTRA]


def _count_bands(tags: Tags) -> int:
    jpeg = tags.get(_COMPRESSION) in (6, 7) and tags.get(_PHOTOMETRIC) in (2, 6)
    return int(tags.get(_SAMPLES, 3 if jpeg else 1))


def _describe(tags: Tags) -> str:
    """Say what a file holds: ``5 bands of 8 bits``."""
    n_bands, bits = _count_bands(tags), sorted(set(tags.get(_BITS, (1,))))
    kinds = tags.get(_FORMAT, (1,))
    which = " and ".join(str(one) for one in bits)
    return f"{n_bands} band{'s' * (n_bands != 1)} of {which} bit{'s' * (bits != [1])}{_FORMATS.get(kinds[0], '')}"


def _header(data: bytes) -> bytes:
    return data[:16] if 43 in data[2:4] else data[:8]


def _cut_planes(data: bytes, tags: Tags) -> Iterator[bytes]:
    """Yield a file for each band: the same bytes, under a directory that names the band's strips or tiles alone."""
    tiled = _TILE_OFFSETS in tags
    offsets, counts = (tags[tag] for tag in ((_TILE_OFFSETS, _TILE_BYTES) if tiled else (_STRIP_OFFSETS, _STRIP_BYTES)))
    n_bands, mark = _count_bands(tags), "<" if tags.prefix == b"II" else ">"
    if len(offsets) % n_bands or len(offsets) != len(counts):
        raise UnreadableImage(f"damaged TIFF: {len(offsets)} strips or tiles for {n_bands} bands")
    each = len(offsets) // n_bands
    kept = [_WIDTH, _HEIGHT, _COMPRESSION, _FILL_ORDER, _ROWS, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT]
    shared = {tag: (int(tags[tag]),) for tag in kept if tag in tags}
    end = len(data) + len(data) % 2
    for band in range(n_bands):
        own = slice(band * each, (band + 1) * each)
        places = (_TILE_OFFSETS, _TILE_BYTES) if tiled else (_STRIP_OFFSETS, _STRIP_BYTES)
        fields = shared | {
            _BITS: tags[_BITS][:1],
            _PHOTOMETRIC: (1,),
            _SAMPLES: (1,),
            _FORMAT: (tags.get(_FORMAT, (1,))[0],),
        }
        fields |= {places[0]: offsets[own], places[1]: counts[own]}
        head = tags.prefix + struct.pack(f"{mark}HI", 42, end)
        yield head + data[8:] + b"\0" * (len(data) % 2) + _directory(fields, end, mark)


def _directory(fields: dict[int, tuple[int, ...]], at: int, mark: str) -> bytes:
    """Write a directory of long integers that lies `at` a place in its file."""
    entries, behind = b"", b""
    long_values = at + 2 + 12 * len(fields) + 4
    for tag, values in sorted(fields.items()):
        packed = struct.pack(f"{mark}{len(values)}I", *values)
        if len(values) > 1:
            packed, behind = struct.pack(f"{mark}I", long_values + len(behind)), behind + packed
        entries += struct.pack(f"{mark}HHI", tag, 4, len(values)) + packed
    return struct.pack(f"{mark}H", len(fields)) + entries + bytes(4) + behind
