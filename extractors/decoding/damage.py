"""Errors of Pillow's readers, told as what is wrong with an image or as memory that was not there."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from headstart.extractors.decoding.resizing import MAX_PIXELS
from headstart.extractors.errors import NotReadError, UnreadableImage

# What Pillow was seen to raise on damaged files, or says that it raises. It is caught around Pillow's reading alone.
DAMAGE: tuple[type[Exception], ...] = (
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
    Warning,  # of damage, in a process that turns warnings into errors later than the filters of `decode`
)
_NO_MEMORY = ("out of memory", "Error -4 ")  # of Pillow's codecs, and of zlib


@contextmanager
def damage_explained(name: str) -> Iterator[None]:
    """Say what is wrong with an image in the words of the format's reader."""
    try:
        yield
    except (UnreadableImage, NotReadError):  # said already
        raise
    except Image.DecompressionBombError as error:  # WebP and GIF look at sizes while they are opened
        raise UnreadableImage(f"{name} with more pixels than the limit of {MAX_PIXELS:_}") from error
    except MemoryError as error:
        raise NotReadError(f"not enough memory to decode this {name}") from error
    except DAMAGE as error:
        if any(words in str(error) for words in _NO_MEMORY):
            raise NotReadError(f"not enough memory to decode this {name}") from error
        raise UnreadableImage(f"damaged {name}: {str(error) or type(error).__name__}") from error
