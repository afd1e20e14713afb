"""From encoded bytes to uint8 RGB as the backbone sees it; what cannot be decoded says why.

Pillow decodes.
"""

import ctypes
import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin, _imaging

from headstart.extractors.decoding.resizing import MAX_PIXELS, RESAMPLING, new_size, resize_and_crop
from headstart.extractors.errors import NotReadError, UnreadableImage
from headstart.extractors.images import READ, Format, format_of
from headstart.extractors.spec import Preprocessing

JPEG_SIGNATURE = re.compile(rb"\xff\xd8\xff")

# What Pillow was seen to raise on damaged files, or says that it raises. It is caught around Pillow's reading alone.
_DAMAGE: tuple[type[Exception], ...] = (
    OSError,  # "image file is truncated", and the errors of every codec
    SyntaxError,  # Pillow's own use of this class: a header or chunk that breaks the format's rules
    ValueError,  # a number in a header that cannot be, a chunk that unpacks to too much
    EOFError,  # a GIF or TIFF that ends before its first frame
    struct.error,  # a header field that is cut short
    zlib.error,  # a compressed PNG chunk that is none
    TypeError,  # a TIFF tag of another type than its place asks for
    LookupError,  # a header field of unknown value, or a list in a header that is too short
    RuntimeError,  # an AVIF that its codec does not take
    OverflowError,  # a TIFF offset beyond what a file can have
    Image.DecompressionBombError,  # a frame or tile far larger than the image's header says
    Warning,  # of damage, in a process that turns warnings into errors later than the filters below
)

# Damaged metadata and frames of unusual size make Pillow warn; that says nothing of the pixels, and would break through
# the progress bar. It stands here because filters belong to the process: changing them around a decode would race with
# other threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, module=r"PIL\.")

# libtiff writes what it finds damaged to standard error by itself, through the progress bar; Pillow silences its
# warnings alone. A build of Pillow that hides or lacks libtiff keeps its lines.
with suppress(AttributeError, OSError):
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)

# What Pillow calls the formats whose names here are others.
_NAMES = {"MPO": "JPEG", "WEBP": "WebP", "JPEG2000": "JPEG 2000", "PPM": "PNM"}

EXIF_ORIENTATION, _TIFF_SUBFILE, _TIFF_BITS_PER_SAMPLE, _TIFF_PHOTOMETRIC = 274, 254, 258, 262
# EXIF 2.32, section 4.6.4: how to turn the stored pixels so that they stand upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LIES_ON_ITS_SIDE = range(5, 9)  # width and height are exchanged


def decode_image(data: bytes, preprocessing: Preprocessing, *, draft: bool = False) -> NDArray[np.uint8]:
    """Decode, resize and crop one image; scaling and normalisation are left to the batch.

    Parameters
    ----------
    data : bytes
        An encoded image in any of the formats of `decode_rgb`.
    preprocessing : Preprocessing
        Its `resize`, `crop` and `interpolation` are applied, exactly as torchvision's `resize` and `center_crop` do.
    draft : bool
        Decode JPEG files that are at least four times as large as they will be at 1/2, 1/4 or 1/8 of their size, which
        the format allows at a fraction of the cost, and resize from there: pixels differ by fractions of a grey level.

    Returns
    -------
    ndarray of shape (crop height, crop width, 3), dtype uint8
        RGB, 0…255, C-contiguous and owned by the caller.

    Raises
    ------
    UnreadableImage, NotReadError
        As `decode_rgb`.
    """
    image = _open(data)
    reduced = _draft(image, preprocessing.resize) if draft else None
    _load(image)
    pixels = _to_rgb(image)
    if reduced:
        pixels = pixels.resize(reduced.size, RESAMPLING[preprocessing.interpolation], reduced.box)
    pixels = _upright(pixels, _orientation(image))
    return resize_and_crop(pixels, preprocessing)


def decode_rgb(data: bytes) -> Image.Image:
    """Decode an image of a format in `extractors.images.formats.READ` to upright RGB, whatever its file is called.

    The first frame of an animation is taken, EXIF orientation is applied, and 16 bits a channel become 8 by their upper
    byte. Transparent pixels are laid on white: cut-outs are mostly made for a white page, and the colour that is stored
    below full transparency is arbitrary, so that without this equal pictures would give different embeddings.

    Raises
    ------
    UnreadableImage
        The data are empty, of no known format, damaged, cut, over `MAX_PIXELS`, or have float or 32-bit integer
        pixels, whose black and white are not defined.
    NotReadError
        There is not enough memory.
    """
    return _load_rgb(_open(data))


def thumbnail(data: bytes, size: int) -> bytes:
    """Return the image as a small JPEG whose longest side has `size` pixels.

    Raises
    ------
    UnreadableImage, NotReadError
        As `decode_rgb`.
    """
    file = _open(data)
    if isinstance(file, JpegImagePlugin.JpegImageFile):
        file.draft(None, (2 * size, 2 * size))  # at 1/2, 1/4 or 1/8, but not below twice what is shown
    image = _load_rgb(file)
    scale = size / max(image.size)
    shape = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    encoded = io.BytesIO()
    image.resize(shape, Image.Resampling.LANCZOS).save(encoded, "JPEG", quality=85)
    return encoded.getvalue()


def _open(data: bytes) -> ImageFile.ImageFile:
    """Open by the format that the first bytes show; the size is checked before any pixel is decoded."""
    if not data:
        raise UnreadableImage("empty file (0 bytes)")
    found = format_of(data)
    if found is None or not found.reader:
        known = f"not an image in a known format ({', '.join(one.name for one in READ)})"
        raise UnreadableImage(f"{known}, but {found.name}; {found.instead}" if found else known)
    with _damage_explained(found.name):
        image = _reader_of(found)(io.BytesIO(data), "")
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _is_preview(image):
        raise UnreadableImage(
            "a TIFF that begins with a preview, as a camera's raw formats do; develop it to JPEG or TIFF"
        )
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(f"{image.width} × {image.height} pixels is over the limit of {MAX_PIXELS:_}")
    return image


@cache
def _reader_of(found: Format) -> Callable[[IO[bytes], str], ImageFile.ImageFile]:
    """Return Pillow's reader of a format.

    It is called directly because Image.open hides why a reader gave up, and warns of sizes by a limit of its own, which
    no thread can silence for itself.
    """
    module, _, name = found.reader.partition(":")
    try:
        reader: Callable[[IO[bytes], str], ImageFile.ImageFile] = getattr(import_module(f"PIL.{module}"), name)
    except ImportError as error:
        raise UnreadableImage(f"{found.name}, which this Pillow cannot read; update it") from error
    return reader


def _is_preview(image: TiffImagePlugin.TiffImageFile) -> bool:
    kind = image.tag_v2.get(_TIFF_SUBFILE, 0)
    return isinstance(kind, int) and bool(kind & 1)


def _load_rgb(image: ImageFile.ImageFile) -> Image.Image:
    _load(image)
    return _upright(_to_rgb(image), _orientation(image))


def _load(image: ImageFile.ImageFile) -> None:
    with _damage_explained(_NAMES.get(image.format or "", image.format or "")):
        image.load()


@contextmanager
def _damage_explained(name: str) -> Iterator[None]:
    """Say what is wrong with an image in the words of the format's reader."""
    try:
        yield
    except Image.DecompressionBombError as error:  # WebP and GIF look at sizes while they are opened
        raise UnreadableImage(f"{name} with more pixels than the limit of {MAX_PIXELS:_}") from error
    except MemoryError as error:
        raise NotReadError(f"not enough memory to decode this {name}") from error
    except _DAMAGE as error:
        raise UnreadableImage(f"damaged {name}: {str(error) or type(error).__name__}") from error


class _Reduced(NamedTuple):
    """A JPEG that will be decoded at a fraction of its size."""

    size: tuple[int, int]  # (width, height) to resize to, as it is stored
    box: tuple[float, float, float, float]  # the part of the decoded pixels that the image covers


def _draft(image: ImageFile.ImageFile, resize: int | tuple[int, int] | None) -> _Reduced | None:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 of its size, and not below twice its new size; None if it cannot be."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or resize is None:
        return None
    if isinstance(resize, tuple) and _orientation(image) in _LIES_ON_ITS_SIDE:
        resize = resize[1], resize[0]
    whole = image.size
    size = new_size(whole, resize)
    # Decoding at 1/4 what is needed at 1/5 would save more and cost ten times as much fidelity: a cosine of .9963
    # instead of .9995 for a photograph of 1488 × 1984.
    drafted = image.draft(None, (2 * size[0], 2 * size[1]))
    if drafted is None or image.size == whole:
        return None
    return _Reduced(size, drafted[1])


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise UnreadableImage(
            "float pixels, whose black and white are not defined; save it with 8 or 16 bits a channel"
        )
    if image.mode.startswith("I"):
        image = _grey(image)
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in key)  # of a 16-bit PNG, whose pixels now have 8
    if image.has_transparency_data:
        rgba = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        on_white = Image.new("RGB", image.size, "white")
        on_white.paste(rgba, mask=rgba.getchannel("A"))
        return on_white
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    """Return integer grey of more than 8 bits with 8 bits: Pillow's own conversion would clip it to white."""
    values = np.asarray(image).astype(np.int64)
    tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}
    bits = tags[_TIFF_BITS_PER_SAMPLE][0] if _TIFF_BITS_PER_SAMPLE in tags else 16
    bits = 16 if bits == 32 else bits  # files of 32 bits are written from arrays that hold 16
    if values.min() < 0 or values.max() >= 1 << bits:
        raise UnreadableImage(
            f"integer pixels from {values.min()} to {values.max()}, beyond 0…65535; save it with 8 or 16 bits a channel"
        )
    if isinstance(key := image.info.get("transparency"), int):
        values[values == key] = (1 << bits) - 1  # the one transparent grey of a PNG, laid on white
    if tags.get(_TIFF_PHOTOMETRIC) == 0:
        values = (1 << bits) - 1 - values  # white is zero: Pillow turns it round for 8 bits only
    return Image.fromarray((values >> (bits - 8)).astype(np.uint8))


def _orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation of a loaded image; damaged metadata leave the pixels as they are stored."""
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except _DAMAGE:
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
