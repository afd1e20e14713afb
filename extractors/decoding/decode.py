"""From encoded bytes to uint8 RGB as the backbone sees it; what cannot be decoded says why.

Pillow decodes.
"""

import ctypes
import hashlib
import io
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin, _imaging

from headstart.extractors.decoding.damage import DAMAGE, damage_explained
from headstart.extractors.decoding.deep_pixels import (
    DeepPixels,
    deep_pixels,
    has_other_band,
    has_upper_bytes,
    to_eight_bits,
)
from headstart.extractors.decoding.pixel_memory import pixels_in_flight
from headstart.extractors.decoding.profiles import conversion, to_srgb
from headstart.extractors.decoding.readers import reader_of
from headstart.extractors.decoding.remarks import Remark, is_one_value
from headstart.extractors.decoding.resizing import MAX_PIXELS, RESAMPLING, augment, new_size, resize_and_crop
from headstart.extractors.decoding.tiff_bands import TiffFile
from headstart.extractors.decoding.upright import LIES_ON_ITS_SIDE, orientation, upright
from headstart.extractors.decoding.white_paper import on_white
from headstart.extractors.errors import UnreadableImage
from headstart.extractors.images import READ, format_of
from headstart.extractors.spec import Colour, Preprocessing, Range, View, Whole

JPEG_SIGNATURE = re.compile(rb"\xff\xd8\xff")

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

_TIFF_SUBFILE = 254


def decode_image(
    data: bytes,
    preprocessing: Preprocessing,
    *,
    draft: bool = False,
    ends: Range | Whole = "whole",
    colour: Colour = "as-stored",
    view: View | Whole = "whole",
    remark: Callable[[Remark], None] = lambda _: None,
) -> NDArray[np.uint8]:
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
    ends, colour, view
        See `extractors.spec.key.EmbeddingKey`, which has `ends` as `range`; a `view` is drawn by the digest of `data`.
    remark : callable
        Takes what is to be said of the image, if anything.

    Returns
    -------
    ndarray of shape (crop height, crop width, 3), dtype uint8
        RGB, 0…255, C-contiguous and owned by the caller.

    Raises
    ------
    UnreadableImage, NotReadError
        As `decode_rgb`.
    """
    image = open_image(data)
    reduced = _draft(image, preprocessing.resize) if draft else None
    with pixels_in_flight(image):
        pixels = _rgb(data, image, ends, colour, remark)
        if reduced:
            pixels = pixels.resize(reduced.size, RESAMPLING[preprocessing.interpolation], reduced.box)
        whole = upright(pixels, orientation(image))
        if view != "whole":
            return augment(whole, preprocessing, view.draw(hashlib.sha256(data).hexdigest(), whole.size))
        shown = resize_and_crop(whole, preprocessing)
    if is_one_value(shown):
        remark("one value")
    return shown


def is_reduced(data: bytes, preprocessing: Preprocessing) -> bool:
    """Tell from an image's header whether `decode_image` with `draft` decodes it at a fraction of its size.

    Raises
    ------
    UnreadableImage, NotReadError
        As `decode_rgb`.
    """
    return _draft(open_image(data), preprocessing.resize) is not None


def decode_rgb(data: bytes, ends: Range | Whole = "whole", colour: Colour = "as-stored") -> Image.Image:
    """Decode an image of a format in `extractors.images.formats.READ` to upright RGB, whatever its file is called.

    The first frame of an animation is taken, EXIF orientation is applied, and 16 bits a channel become 8 by the range
    `ends`, which is their upper byte where it is whole. Transparent pixels are laid on white: cut-outs are mostly made
    for a white page, and the colour that is stored below full transparency is arbitrary, so that without this equal
    pictures would give different embeddings.

    Raises
    ------
    UnreadableImage
        The data are empty, of no known format, damaged, cut, over `MAX_PIXELS`, have bands that are no colours, or
        float or 32-bit integer pixels, whose black and white are not defined.
    NotReadError
        There is not enough memory.
    """
    image = open_image(data)
    with pixels_in_flight(image):
        return upright(_rgb(data, image, ends, colour), orientation(image))


def thumbnail(data: bytes, size: int, ends: Range | Whole = "whole") -> bytes:
    """Return the image as a small sRGB JPEG whose longest side has `size` pixels; `ends` are as for `decode_rgb`.

    Raises
    ------
    UnreadableImage, NotReadError
        As `decode_rgb`.
    """
    file = open_image(data)
    if isinstance(file, JpegImagePlugin.JpegImageFile):
        file.draft(None, (2 * size, 2 * size))  # at 1/2, 1/4 or 1/8, but not below twice what is shown
    with pixels_in_flight(file):
        image = upright(_rgb(data, file, ends, "srgb"), orientation(file))
    scale = size / max(image.size)
    shape = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    encoded = io.BytesIO()
    image.resize(shape, Image.Resampling.LANCZOS).save(encoded, "JPEG", quality=75, optimize=True)
    return encoded.getvalue()


def open_image(data: bytes) -> ImageFile.ImageFile:
    """Open by the format that the first bytes show; the size is checked before any pixel is decoded."""
    if not data:
        raise UnreadableImage("empty file (0 bytes)")
    found = format_of(data)
    if found is None or not found.reader:
        known = f"not an image in a known format ({', '.join(one.name for one in READ)})"
        raise UnreadableImage(f"{known}, but {found.name}; {found.instead}" if found else known)
    with damage_explained(found.name):
        image = reader_of(found)(io.BytesIO(data), "")
    if isinstance(image, TiffFile) and _is_preview(image):
        raise UnreadableImage(
            "a TIFF that begins with a preview, as a camera's raw formats do; develop it to JPEG or TIFF"
        )
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(f"{image.width} × {image.height} pixels is over the limit of {MAX_PIXELS:_}")
    return image


def _is_preview(image: TiffFile) -> bool:
    kind = image.tag_v2.get(_TIFF_SUBFILE, 0)
    return isinstance(kind, int) and bool(kind & 1)


def _rgb(
    data: bytes,
    image: ImageFile.ImageFile,
    ends: Range | Whole,
    colour: Colour,
    remark: Callable[[Remark], None] = lambda _: None,
) -> Image.Image:
    """Load an opened image as opaque RGB, as it is stored: it may lie on its side."""
    way, mode = conversion(image), image.mode
    upper_bytes = ends == "whole" and has_upper_bytes(image)
    with damage_explained(name_of(image)):
        deep = None if upper_bytes else deep_pixels(image, lambda: open_image(data))
        pixels = _loaded(image) if deep is None else image
    if deep is not None:
        pixels, used = to_eight_bits(deep, ends)
        _remark_on_values(deep, used, ends, remark)
        pixels.info.pop("transparency", None)  # what was transparent lies on white by now
        del deep  # its lower bytes
    if way and colour == "srgb" and mode == "CMYK":
        pixels = to_srgb(pixels, way)
    pixels = _to_rgb(pixels)
    if upper_bytes and np.max(pixels.getextrema()) < 32:
        remark("dark")
    if way and colour == "srgb":
        pixels = to_srgb(pixels, way, grey=mode.startswith(("1", "L", "I", "F")))
    elif way:
        remark("profile")
    with suppress(*DAMAGE):  # of a frame that nobody looks at
        if (
            image.several
            if isinstance(image, TiffFile)
            else image.format != "MPO" and getattr(image, "is_animated", False)
        ):
            remark("pages")
    return pixels


def _loaded(image: ImageFile.ImageFile) -> Image.Image:
    if isinstance(image, TiffFile) and image.in_planes:
        return image.merged()
    image.load()
    return image


def _remark_on_values(
    deep: DeepPixels, used: tuple[float, float], ends: Range | Whole, remark: Callable[[Remark], None]
) -> None:
    if ends == "whole":
        if deep.whole and used[1] < (deep.whole[1] + 1) / 8:
            remark("dark")
    elif used[0] < ends[0] or used[1] > ends[1]:
        remark("beyond")


def name_of(image: ImageFile.ImageFile) -> str:
    """Name of an opened image's format, as people call it."""
    return _NAMES.get(image.format or "", image.format or "")


class _Reduced(NamedTuple):
    """A JPEG that will be decoded at a fraction of its size."""

    size: tuple[int, int]  # (width, height) to resize to, as it is stored
    box: tuple[float, float, float, float]  # the part of the decoded pixels that the image covers


def _draft(image: ImageFile.ImageFile, resize: int | tuple[int, int] | None) -> _Reduced | None:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 of its size, and not below twice its new size; None if it cannot be."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or resize is None:
        return None
    if isinstance(resize, tuple) and orientation(image) in LIES_ON_ITS_SIDE:
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
    if has_other_band(image):
        return image.convert("RGB")
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:
        image.info["transparency"] = tuple(value >> 8 for value in key)  # of a 16-bit PNG, whose pixels now have 8
    if image.has_transparency_data:
        return on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")
