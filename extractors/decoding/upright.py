"""Orientation of a photograph by its EXIF: what a turned camera stored on its side stands upright."""

from PIL import Image, ImageFile

from headstart.extractors.decoding.damage import DAMAGE

EXIF_ORIENTATION = 274
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
LIES_ON_ITS_SIDE = range(5, 9)  # width and height are exchanged


def orientation(image: ImageFile.ImageFile) -> int:
    """Return the EXIF orientation of a loaded image; damaged metadata leave the pixels as they are stored."""
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except DAMAGE:
        return 1


def upright(image: Image.Image, turned: int) -> Image.Image:
    """Return the image as it stands when its orientation is `turned`."""
    return image.transpose(_UPRIGHT[turned]) if turned in _UPRIGHT else image
