"""Looks at images before they are embedded: what their headers tell, and which values the deep ones use."""

from typing import NamedTuple

from headstart.extractors.decoding.damage import damage_explained
from headstart.extractors.decoding.decode import name_of, open_image
from headstart.extractors.decoding.deep_pixels import deep_pixels, is_deep, typical_ends
from headstart.extractors.decoding.pixel_memory import pixels_in_flight
from headstart.extractors.decoding.profiles import conversion
from headstart.extractors.spec import Range


class Used(NamedTuple):
    """Values that an image of more than 8 bits uses, but for a few, and the ends of their type, if it has any."""

    ends: Range
    whole: Range | None


def used_range(data: bytes) -> Used | None:
    """Decode an image for the range of its values; None where they have 8 bits.

    Raises
    ------
    UnreadableImage, NotReadError
        As `decode_rgb`.
    """
    image = open_image(data)
    with pixels_in_flight(image), damage_explained(name_of(image)):
        deep = deep_pixels(image, lambda: open_image(data))
        return Used(typical_ends(deep), deep.whole) if deep else None


class Looked(NamedTuple):
    """Facts that a header tells: more than 8 bits a channel, and a profile for other colours than sRGB."""

    deep: bool
    other_profile: bool


def look_at(data: bytes) -> Looked:
    """Open an image without decoding it.

    Raises
    ------
    UnreadableImage, NotReadError
        As `decode_rgb`.
    """
    image = open_image(data)
    return Looked(is_deep(image), conversion(image) is not None)
