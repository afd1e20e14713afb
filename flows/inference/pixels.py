"""Images that lie in no file, as encoded files: bytes, PIL's images, and arrays."""

import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from headstart.flows.errors import JobError

if TYPE_CHECKING:
    from PIL.Image import Image

_AS_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")  # which it holds as they are
_AS_TIFF = ("CMYK", "F", "I", "I;16B")
_UNMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_CHANNELS = {"uint8": (1, 3, 4), "uint16": (1, 3), "int32": (1,), "float32": (1,)}


def in_memory(images: Any) -> list[Any]:
    """Return one or several images as a list: an array (n, height, width, channels) is several."""
    if isinstance(images, np.ndarray):
        return list(images) if images.ndim == 4 else [images]
    if isinstance(images, str | os.PathLike | bytes | bytearray | memoryview) or not isinstance(images, Iterable):
        return [images]
    return list(images)


def encoded_pixels(image: Any, number: int) -> tuple[bytes, str]:
    """Return an image as a file would hold it, without loss, and what it is called.

    Parameters
    ----------
    image : bytes, PIL image or array
        Bytes of a file; an image of PIL's, of which the orientation in its EXIF and its profile count; or pixels, uint8
        (height, width), or (height, width, 1, 3 or 4). Pixels of more than 8 bits are seen in the range of the model:
        uint16, grey or three colours, and grey of int32 or float32. PIL keeps but 8 bits of deep colours: of such,
        give the file.
    number : int
        Its place among those given, for its name.

    Raises
    ------
    JobError
        It is something else.
    """
    from PIL import Image  # noqa: PLC0415 - files do without

    name = f"image {number}"
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image), name
    if isinstance(image, np.ndarray):
        pixels = _checked(image, name)
        return _deep_colours(pixels) if pixels.ndim * pixels.itemsize == 6 else _as_file(Image.fromarray(pixels)), name
    if isinstance(image, Image.Image):
        return _as_file(image), str(getattr(image, "filename", "")) or name
    raise JobError(f"{name}: {type(image).__name__} is no image; give a path, bytes, an image of PIL's or an array")


def _checked(pixels: "np.ndarray[Any, Any]", name: str) -> "np.ndarray[Any, Any]":
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    known = pixels.ndim in (2, 3) and channels in _CHANNELS.get(pixels.dtype.name, ())
    if not known or not pixels.dtype.isnative or not pixels.size:
        raise JobError(
            f"{name}: an array of {pixels.dtype} {pixels.shape}; give uint8 (height, width), or (height, width, "
            "channels) with 1, 3 or 4 of them, from 0 to 255; of more bits, uint16 with 1 or 3, int32 or float32 with 1"
        )
    return np.ascontiguousarray(pixels[..., 0] if pixels.ndim == 3 and channels == 1 else pixels)


def _deep_colours(pixels: "np.ndarray[Any, Any]") -> bytes:
    """Write a PPM: PIL has no colours of 16 bits."""
    height, width, _ = pixels.shape
    return b"P6 %d %d 65535\n" % (width, height) + pixels.astype(">u2").tobytes()


def _as_file(image: "Image") -> bytes:
    kind = "PNG" if image.mode in _AS_PNG else "TIFF" if image.mode in _AS_TIFF else ""
    plain = _UNMULTIPLIED.get(image.mode) or ("RGBA" if image.has_transparency_data else "RGB")
    whole = image if kind else image.convert(plain)
    file = io.BytesIO()
    kept = {"exif": exif} if (exif := image.getexif()) and kind != "TIFF" else {}
    whole.save(file, kind or "PNG", **kept, **({} if kind == "TIFF" else {"compress_level": 1}))
    return file.getvalue()
