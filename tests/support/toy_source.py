"""An image source that a test adds: named sets of arrays in memory, at addresses such as toy://three."""

import io
from collections.abc import Iterator
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images import ImageRoot, ImageSet, ImageSource, ListedImage, listing_frame, text_series
from headstart.extractors.images.sources import Source

Arrays = dict[str, npt.NDArray[np.uint8]]
SETS: dict[str, Arrays] = {}
"""Name of a set → class/number → pixels."""

reads: list[str] = []

TOY = Source(
    title="toys",
    schemes=("toy",),
    lists="support.toy_source:list_toys",
    reads="support.toy_source:read_toy",
)


def list_toys(place: ImageRoot) -> ImageSet:
    arrays = SETS.get(str(place).removeprefix("toy://"))
    if not arrays:
        raise ImageSetError(f"{place}: no such set; there are {', '.join(SETS)}")
    images = [ListedImage(path, bytes=len(_encoded(pixels)), etag="1") for path, pixels in arrays.items()]
    labels = text_series(PurePosixPath(path).parent for path in arrays)
    return ImageSet(place, "toys", listing_frame(images, {"label": labels}), {})


def read_toy(root: ImageRoot, image: ImageSource, at_once: int) -> Iterator[bytes]:
    reads.append(image.path)
    yield _encoded(SETS[str(root).removeprefix("toy://")][image.path])


def _encoded(pixels: npt.NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
