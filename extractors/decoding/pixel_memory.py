"""Memory of the images that are being decoded: all threads share it, and what does not fit in it is not begun."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import ImageFile

from headstart.extractors.decoding.resizing import MAX_PIXELS
from headstart.extractors.errors import NotReadError
from headstart.extractors.memory import memory_left

# Bytes that a pixel takes while it is decoded, at most: four as Pillow holds colours, and as many for what is made of
# it. Progressive JPEGs keep their coefficients, WebP its canvases; bands of 16 bits lie beside each other, and
# those of JPEG 2000 have 32.
_BYTES_A_PIXEL = {"JPEG": 10, "MPO": 10, "WEBP": 18, "TIFF": 15, "JPEG2000": 25, "AVIF": 18, "SGI": 11}
_BYTES_OF_OTHERS = 9
_LARGE = 64 << 20  # below, it is not asked how much memory there is

PIXEL_BYTES = _BYTES_OF_OTHERS * MAX_PIXELS
"""Bytes that all threads of a process hold together: 1.5 GiB. An image that takes more is decoded alone."""


class _InFlight:
    """Bytes of pixels that are being decoded."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.n_bytes = 0

    def begin(self, n_bytes: int) -> int | None:
        """Wait until there is room; returns how many bytes are left in the machine where they are too few, or None."""
        with self.changed:
            while True:
                self.changed.wait_for(lambda: not self.n_bytes or self.n_bytes + n_bytes <= PIXEL_BYTES)
                left = memory_left() if n_bytes > _LARGE else None
                if left is None or n_bytes <= left:
                    self.n_bytes += n_bytes
                    return None
                if not self.n_bytes:
                    return left
                self.changed.wait()  # others will give theirs back

    def end(self, n_bytes: int) -> None:
        """Give room back."""
        with self.changed:
            self.n_bytes -= n_bytes
            self.changed.notify_all()


_IN_FLIGHT = _InFlight()


@contextmanager
def pixels_in_flight(image: ImageFile.ImageFile) -> Iterator[None]:
    """Hold the memory that an opened image takes while it is decoded; a thread holds that of one image at a time.

    Raises
    ------
    NotReadError
        There is not so much memory.
    """
    n_bytes = image.width * image.height * bytes_a_pixel(image)
    left = _IN_FLIGHT.begin(n_bytes)
    if left is not None:
        raise NotReadError(
            f"not enough memory for its {image.width} × {image.height} pixels: {_mib(n_bytes)} to decode them, and "
            f"{_mib(left)} are left; give it more memory, or make the image smaller"
        )
    try:
        yield
    finally:
        _IN_FLIGHT.end(n_bytes)


def bytes_a_pixel(image: ImageFile.ImageFile) -> int:
    """Return how many bytes a pixel of an opened image takes at most, beside its file and a few strips."""
    return getattr(image, "bytes_a_pixel", _BYTES_A_PIXEL.get(image.format or "", _BYTES_OF_OTHERS))


def _mib(n_bytes: int) -> str:
    return f"{max(n_bytes, 0) >> 20} MiB"
