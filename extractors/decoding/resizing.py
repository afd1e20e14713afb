"""Resize, crop and augment: torchvision's way with Pillow images to the pixel, so that features agree with its own."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from headstart.extractors.spec import Draw, Preprocessing

MAX_PIXELS = 178_956_970  # where Pillow, too, refuses by default; 683 MiB as RGB, of which Pillow makes four bytes

RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

_ENHANCERS = {
    "brightness": ImageEnhance.Brightness,
    "contrast": ImageEnhance.Contrast,
    "saturation": ImageEnhance.Color,
}


def resize_and_crop(image: Image.Image, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return the pixels that the backbone sees of an upright RGB image, (crop height, crop width, 3) uint8."""
    width, height = new_size(image.size, preprocessing.resize)
    crop_height, crop_width = preprocessing.crop
    left, top = _margin(width, crop_width), _margin(height, crop_height)
    window = left, top, left + crop_width, top + crop_height
    if (width, height) != image.size:
        resampling = RESAMPLING[preprocessing.interpolation]
        if width * height > MAX_PIXELS:
            # A line of pixels would become gigantic, though hardly anything of it is looked at.
            return np.array(_resized_window(image, (width, height), window, resampling))
        image = image.resize((width, height), resampling)
    # What lies outside the image becomes black, which is the padding that torchvision's center_crop adds.
    return np.array(image.crop(window))


def augment(image: Image.Image, preprocessing: Preprocessing, draw: Draw) -> NDArray[np.uint8]:
    """Return the pixels of a view of an upright RGB image, (crop height, crop width, 3) uint8."""
    if draw.box is None:
        view = Image.fromarray(resize_and_crop(image, preprocessing))
    else:
        top, left, height, width = draw.box
        # Cut out first: with a box, Pillow's filter would reach beyond its edges.
        part = image.crop((left, top, left + width, top + height))
        view = part.resize(preprocessing.crop[::-1], RESAMPLING[preprocessing.interpolation])
    if draw.flip:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for name, value in draw.jitter:
        view = _turn_hue(view, value) if name == "hue" else _ENHANCERS[name](view).enhance(value)
    return np.array(view)


def _turn_hue(image: Image.Image, shift: float) -> Image.Image:
    """Shift the hue by a share of a turn, in steps of 1/256 towards 0; it wraps around."""
    hue, saturation, value = image.convert("HSV").split()
    turned = np.array(hue) + np.array(int(shift * 255)).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")


def new_size(size: tuple[int, int], resize: int | tuple[int, int] | None) -> tuple[int, int]:
    """Return the size that an image of `size` (width, height) is resized to, as (width, height)."""
    width, height = size
    if resize is None:
        return width, height
    if isinstance(resize, tuple):
        return resize[1], resize[0]
    if width <= height:
        return resize, int(resize * height / width)
    return int(resize * width / height), resize


def _resized_window(
    image: Image.Image, size: tuple[int, int], window: tuple[int, int, int, int], resampling: Image.Resampling
) -> Image.Image:
    """Return the part in `window` of the image resized to `size`, without making the rest; black outside the image."""
    (left, right), (top, bottom) = ((max(window[axis], 0), min(window[axis + 2], size[axis])) for axis in (0, 1))
    # The part of the image that is seen, with what the filter reaches beyond it (3 pixels for Lanczos, more where it
    # makes the image smaller). It is cut out first because Pillow keeps a box as 32-bit floats, too coarse for a place
    # far along a line.
    scales = image.width / size[0], image.height / size[1]
    seen = left * scales[0], top * scales[1], right * scales[0], bottom * scales[1]
    reach = [math.ceil(3 * max(scale, 1)) + 1 for scale in scales]
    part = (
        max(math.floor(seen[0]) - reach[0], 0),
        max(math.floor(seen[1]) - reach[1], 0),
        min(math.ceil(seen[2]) + reach[0], image.width),
        min(math.ceil(seen[3]) + reach[1], image.height),
    )
    box = seen[0] - part[0], seen[1] - part[1], seen[2] - part[0], seen[3] - part[1]
    shown = image.crop(part).resize((right - left, bottom - top), resampling, box)
    return shown.crop((window[0] - left, window[1] - top, window[2] - left, window[3] - top))


def _margin(length: int, crop: int) -> int:
    """Return where a centre crop begins, negative for padding; rounded as torchvision's center_crop rounds."""
    return -((crop - length) // 2) if crop > length else round((length - crop) / 2)
