"""From encoded bytes to uint8 RGB as the backbone sees it; what cannot be decoded says why.

Pillow decodes, and the geometry is torchvision's for Pillow images to the pixel, so that features agree with those of a
torchvision pipeline.
"""

import io
import math
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from extractors.errors import NotReadError, UnreadableImage
from extractors.preprocessing import Preprocessing

MAX_PIXELS = 178_956_970  # where Pillow, too, refuses by default; 512 MiB as RGB

# Format, how its files begin, and its reader. Files in other formats are refused, above all PostScript, for which
# Pillow runs a program. The readers are called directly because Image.open hides why a reader gave up, and warns of
# sizes by a limit of its own, which no thread can silence for itself.
_Reader = Callable[[IO[bytes], str], ImageFile.ImageFile]
_FORMATS: tuple[tuple[str, re.Pattern[bytes], _Reader], ...] = (
    ("JPEG", re.compile(rb"\xff\xd8\xff"), JpegImagePlugin.jpeg_factory),  # also MPO, which begins with a whole JPEG
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    ("WebP", re.compile(rb"RIFF....WEBPVP8", re.DOTALL), WebPImagePlugin.WebPImageFile),
    ("GIF", re.compile(rb"GIF8[79]a"), GifImagePlugin.GifImageFile),
    ("BMP", re.compile(rb"BM"), BmpImagePlugin.BmpImageFile),
    ("TIFF", re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImagePlugin.TiffImageFile),
)

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
    OverflowError,  # a TIFF offset beyond what a file can have
    Image.DecompressionBombError,  # a frame or tile far larger than the image's header says
    Warning,  # of damage, in a process that turns warnings into errors later than the filters below
)

# Damaged metadata and frames of unusual size make Pillow warn; that says nothing of the pixels, and would break through
# the progress bar. It stands here because filters belong to the process: changing them around a decode would race with
# other threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, module=r"PIL\.")

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_EXIF_ORIENTATION, _TIFF_BITS_PER_SAMPLE, _TIFF_PHOTOMETRIC = 274, 258, 262
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


def decode_image(data: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Decode, resize and crop one image; scaling and normalisation are left to the batch.

    Parameters
    ----------
    data : bytes
        An encoded image in any of the formats of `decode_rgb`.
    preprocessing : Preprocessing
        Its `resize`, `crop` and `interpolation` are applied, exactly as torchvision's `resize` and `center_crop` do.

    Returns
    -------
    ndarray of shape (crop height, crop width, 3), dtype uint8
        RGB, 0…255, C-contiguous and owned by the caller.

    Raises
    ------
    UnreadableImage, NotReadError
        As `decode_rgb`.
    """
    image = decode_rgb(data)
    new_width, new_height = _new_size(image, preprocessing.resize)
    crop_height, crop_width = preprocessing.crop
    left, top = _margin(new_width, crop_width), _margin(new_height, crop_height)
    window = left, top, left + crop_width, top + crop_height
    if (new_width, new_height) != image.size:
        resampling = _RESAMPLING[preprocessing.interpolation]
        if new_width * new_height > MAX_PIXELS:
            # A line of pixels would become gigantic, though hardly anything of it is looked at.
            return np.array(_resized_window(image, (new_width, new_height), window, resampling))
        image = image.resize((new_width, new_height), resampling)
    # What lies outside the image becomes black, which is the padding that torchvision's center_crop adds.
    return np.array(image.crop(window))


def decode_rgb(data: bytes) -> Image.Image:
    """Decode a JPEG, PNG, WebP, GIF, BMP or TIFF to an upright RGB image, whatever its file is called.

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
    image = _read(data)
    return _upright(_to_rgb(image), _orientation(image))


def thumbnail(data: bytes, size: int) -> bytes:
    """Return the image as a small JPEG whose longest side has `size` pixels.

    Raises
    ------
    UnreadableImage, NotReadError
        As `decode_rgb`.
    """
    image = decode_rgb(data)
    scale = size / max(image.size)
    shape = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    file = io.BytesIO()
    image.resize(shape, Image.Resampling.LANCZOS).save(file, "JPEG", quality=85)
    return file.getvalue()


def _read(data: bytes) -> ImageFile.ImageFile:
    """Open and load by the format that the first bytes show; the size is checked before any pixel is decoded."""
    if not data:
        raise UnreadableImage("empty file (0 bytes)")
    found = next(((name, reader) for name, signature, reader in _FORMATS if signature.match(data)), None)
    if found is None:
        raise UnreadableImage(f"not an image in a known format ({', '.join(name for name, _, _ in _FORMATS)})")
    name, reader = found
    try:
        image = reader(io.BytesIO(data), "")
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableImage(  # noqa: TRY301 - it is passed on below
                f"{image.width} × {image.height} pixels is over the limit of {MAX_PIXELS:_}"
            )
        image.load()
    except UnreadableImage:
        raise  # it is a ValueError, too
    except Image.DecompressionBombError as error:  # WebP and GIF look at sizes while they are opened
        raise UnreadableImage(f"{name} with more pixels than the limit of {MAX_PIXELS:_}") from error
    except MemoryError as error:
        raise NotReadError(f"not enough memory to decode this {name}") from error
    except _DAMAGE as error:
        raise UnreadableImage(f"damaged {name}: {str(error) or type(error).__name__}") from error
    return image


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
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except _DAMAGE:
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _new_size(image: Image.Image, resize: int | tuple[int, int] | None) -> tuple[int, int]:
    """Return (width, height) after the resize."""
    width, height = image.size
    if resize is None:
        return width, height
    if isinstance(resize, tuple):
        return resize[1], resize[0]
    if width <= height:
        return resize, int(resize * height / width)
    return int(resize * width / height), resize


def _resized_window(
    image: Image.Image, size: tuple[int, int], window: tuple[int, int, int, int], resampling: Image.Resampling
) -> Image.Image:
    """Return what `window` shows of the image resized to `size`, without making the rest; black outside the image."""
    (left, right), (top, bottom) = ((max(window[axis], 0), min(window[axis + 2], size[axis])) for axis in (0, 1))
    # The part of the image that is seen, with what the filter reaches beyond it (3 pixels for Lanczos, more where it
    # makes the image smaller). It is cut out first because Pillow keeps a box as 32-bit floats, too coarse for a place
    # far along a line.
    scales = image.width / size[0], image.height / size[1]
    seen = left * scales[0], top * scales[1], right * scales[0], bottom * scales[1]
    reach = [math.ceil(3 * max(scale, 1)) + 1 for scale in scales]
    part = (
        max(math.floor(seen[0]) - reach[0], 0),
        max(math.floor(seen[1]) - reach[1], 0),
        min(math.ceil(seen[2]) + reach[0], image.width),
        min(math.ceil(seen[3]) + reach[1], image.height),
    )
    box = seen[0] - part[0], seen[1] - part[1], seen[2] - part[0], seen[3] - part[1]
    shown = image.crop(part).resize((right - left, bottom - top), resampling, box)
    return shown.crop((window[0] - left, window[1] - top, window[2] - left, window[3] - top))


def _margin(length: int, crop: int) -> int:
    """Return where a centre crop begins, negative for padding; rounded as torchvision's center_crop rounds."""
    return -((crop - length) // 2) if crop > length else round((length - crop) / 2)
