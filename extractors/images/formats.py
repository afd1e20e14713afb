"""Formats of images, known by their first bytes: those that are read, and those that stay closed."""

import mimetypes
import os
import re
from dataclasses import dataclass
from pathlib import Path

START_BYTES = 192  # so many show any of the formats below

_PRINTED = "save it as JPEG, PNG or TIFF"


@dataclass(frozen=True)
class Format:
    """One kind of image file.

    Attributes
    ----------
    name : str
        For people.
    signature : pattern
        Matches how its files begin.
    reader : str
        Class of Pillow that reads it, as ``module:name``; "" where it is not opened.
    suffixes : tuple of str
        In lower case. Files that are called so are taken for images unopened: whoever decodes them says what they are.
    instead : str
        Advice, where it is not opened.
    """

    name: str
    signature: re.Pattern[bytes]
    reader: str = ""
    suffixes: tuple[str, ...] = ()
    instead: str = _PRINTED


def _starting(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(pattern, re.DOTALL)


# Many a text begins with BM: the size of the second header has to be one that there is.
_BMP = rb"BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0"
# TGA has no magic number: colour map, kind, size, depth and the bits that must be zero have to fit each other.
_TGA = (
    rb".(?:\0[\2\3\x0a\x0b]\0{5}|\x01[\1\x09]..(?!\0\0)..[\x0f\x10\x18 ])"
    rb"....(?!\0\0)..(?!\0\0)..[\x08\x10\x18 ][\0-\x3f]"
)

READ = (
    Format("JPEG", _starting(rb"\xff\xd8\xff"), "JpegImagePlugin:jpeg_factory", (".jpg", ".jpeg", ".jfif", ".jpe")),
    Format("PNG", _starting(rb"\x89PNG\r\n\x1a\n"), "PngImagePlugin:PngImageFile", (".png", ".apng")),
    Format("WebP", _starting(rb"RIFF....WEBPVP8"), "WebPImagePlugin:WebPImageFile", (".webp",)),
    Format("GIF", _starting(rb"GIF8[79]a"), "GifImagePlugin:GifImageFile", (".gif",)),
    Format("BMP", _starting(_BMP), "BmpImagePlugin:BmpImageFile", (".bmp",)),
    Format("TIFF", _starting(rb"II[*+]\0(?!....CR)|MM\0[*+]"), "TiffImagePlugin:TiffImageFile", (".tif", ".tiff")),
    Format("PNM", _starting(rb"P[1-6]\s+[#0-9]"), "PpmImagePlugin:PpmImageFile", (".ppm", ".pgm", ".pbm", ".pnm")),
    Format(
        "JPEG 2000",
        _starting(rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
        "Jpeg2KImagePlugin:Jpeg2KImageFile",
        (".jp2", ".j2k"),
    ),
    Format("AVIF", _starting(rb"....ftypavi[fs]"), "AvifImagePlugin:AvifImageFile", (".avif",)),
    Format("PCX", _starting(rb"\n[\0\2\3\5]\x01[\1\2\4\x08]"), "PcxImagePlugin:PcxImageFile"),
    Format("SGI", _starting(rb"\x01\xda[\0\1][\1\2]\0[\1\2\3]"), "SgiImagePlugin:SgiImageFile"),
    Format("TGA", _starting(_TGA), "TgaImagePlugin:TgaImageFile", (".tga",)),
)
"""Formats that are read: their readers take what they need from headers that can be checked, and run nothing."""

CLOSED = (
    Format("PostScript", _starting(rb"%!PS|\xc5\xd0\xd3\xc6"), instead="to draw it is to run a program; " + _PRINTED),
    Format("HEIC", _starting(rb"....ftyp(?:hei[cmsx]|hev[cmx]|mif1|msf1)")),
    Format("JPEG XL", _starting(rb"\xff\x0a|\0\0\0\x0cJXL ")),
    Format("JPEG XR", _starting(rb"II\xbc[\0\1]")),
    Format("Photoshop's", _starting(rb"8BPS")),
    Format("OpenEXR", _starting(rb"v/1\x01")),
    Format("QOI", _starting(rb"qoif")),
    Format("DDS", _starting(rb"DDS \x7c\0\0\0")),
    Format("FITS", _starting(rb"SIMPLE  =")),
    Format("DICOM", _starting(rb".{128}DICM")),
    Format(
        "a camera's raw format",
        _starting(rb"II[*+]\0....CR|....ftypcrx|IIU\0|IIR[OS]\0|FUJIFILMCCD-RAW|FOVb"),
        instead="develop it to JPEG or TIFF",
    ),
)
"""Formats that are known and stay closed: an image of one keeps its row, and gets a reason."""

IMAGE_SUFFIXES = tuple(suffix for one in READ for suffix in one.suffixes)
EXPECTED = ".bmp, .gif, .jpeg, .jpg, .png, .tif, .tiff, .webp or another image"


def format_of(start: bytes) -> Format | None:
    """Return the format of a file by its first bytes; None where it is no image."""
    return next((one for one in (*READ, *CLOSED) if one.signature.match(start)), None)


def is_image_name(name: str) -> bool:
    """Tell a file that is called like an image; whether it is one is told by whoever decodes it."""
    return f".{name.rpartition('.')[2].lower()}" in _SUFFIXES  # pathlib is 10 times slower


def may_be_image(name: str) -> bool:
    """Tell a name that does not say by its suffix that it is no image, as ``.json`` and ``.txt`` do."""
    kind, _ = _KINDS.guess_type(name)
    return kind is None or kind.startswith(("image/", "application/octet-stream"))


def begins_like_image(path: Path | str) -> bool:
    """Tell whether a file, whatever it is called, begins like an image; one that cannot be read does not."""
    try:
        # A pipe that took the file's place meanwhile would otherwise be waited for.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return format_of(os.read(file, START_BYTES)) is not None
    except OSError:
        return False
    finally:
        os.close(file)


_SUFFIXES = frozenset(IMAGE_SUFFIXES)
_KINDS = mimetypes.MimeTypes()  # Python's own table, which is the same on every machine
