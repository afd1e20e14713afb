"""Small pictures of the images of a listing, wherever they can still be read."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from headstart.extractors.decoding import thumbnail
from headstart.extractors.errors import NotReadError, UnreadableImage
from headstart.extractors.images import ImageRoot, ImageSource, read_bytes
from headstart.extractors.spec import Range, Whole


def read_thumbnails(
    root: ImageRoot, sources: Iterable[ImageSource], size: int, ends: Range | Whole = "whole"
) -> list[bytes | None]:
    """Return a JPEG whose longest side has `size` pixels for each image, in parallel; None where it cannot be read.

    Pixels of more than 8 bits are shown from the lower to the upper one of `ends`, as the backbone saw them.

    Images may be gone long after they were embedded: whoever shows these says so in the picture's place.
    """

    def read(source: ImageSource) -> bytes | None:
        try:
            return thumbnail(read_bytes(root, source), size, ends)
        except (UnreadableImage, NotReadError):
            return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(read, sources))
