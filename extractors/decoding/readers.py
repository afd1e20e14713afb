"""Readers of formats: Pillow's, or one of our own on top of it where Pillow's takes bands or depth for less."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import IO

from PIL import ImageFile

from headstart.extractors.decoding.tiff_bands import TiffFile
from headstart.extractors.errors import UnreadableImage
from headstart.extractors.images import Format

_Reader = Callable[[IO[bytes], str], ImageFile.ImageFile]
_OWN: dict[str, _Reader] = {"TIFF": TiffFile}


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
