"""Transparent pixels laid on white, strip by strip: no second copy of the image is made for it."""

from PIL import Image

_STRIP = 1 << 16  # pixels at a time


def on_white(image: Image.Image) -> Image.Image:
    """Return an image that has transparency as opaque RGB."""
    shown = Image.new("RGB", image.size, "white")
    step = max(1, _STRIP // max(image.width, 1))
    for top in range(0, image.height, step):
        strip = image.crop((0, top, image.width, min(top + step, image.height)))
        rgba = strip.convert("LA").convert("RGBA") if strip.mode == "La" else strip.convert("RGBA")
        shown.paste(rgba, (0, top), rgba.getchannel("A"))
    return shown
