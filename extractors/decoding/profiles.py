"""Colour profiles: images that were made for other colours than sRGB's are converted, where the key asks for it."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_NEAR = 12  # grey levels: profiles that are called sRGB differ by up to 9, those of cameras and Adobe by over 60
_LARGEST = 4 << 20  # bytes of a profile; those of presses take up to two million
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # of profiles, and the pixels that they are for


def conversion(image: Image.Image) -> ImageCms.ImageCmsTransform | None:
    """Return the way to sRGB of an image's profile; None where it has none, a damaged one, or one that is near sRGB."""
    profile = image.info.get("icc_profile")
    return _conversion(profile) if isinstance(profile, bytes) and 0 < len(profile) <= _LARGEST else None


def to_srgb(pixels: Image.Image, way: ImageCms.ImageCmsTransform, *, grey: bool = False) -> Image.Image:
    """Convert pixels of the way's mode, or RGB that was made of `grey`; others have a profile that is not theirs."""
    if grey and way.input_mode == "L":
        pixels = pixels.getchannel(0)
    if pixels.mode != way.input_mode:
        return pixels
    if pixels.mode == "RGB":
        ImageCms.applyTransform(pixels, way, inPlace=True)
        return pixels
    converted = ImageCms.applyTransform(pixels, way)
    return pixels if converted is None else converted


@lru_cache(maxsize=32)
def _conversion(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Build a transform once for all images of a camera; it may be used by many threads at once."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _SPACES.get(source.profile.xcolor_space.strip())
        if mode is None:
            return None
        way = ImageCms.buildTransform(source, _SRGB, mode, "RGB")
        return way if mode == "CMYK" or _differs(way, mode) else None
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        return None  # it cannot be followed: the pixels are taken as most programs would show them


def _differs(way: ImageCms.ImageCmsTransform, mode: str) -> bool:
    levels = np.arange(0, 256, 17 if mode == "RGB" else 1, dtype=np.uint8)
    grid = (
        np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3) if mode == "RGB" else levels[:, None]
    )
    shown = ImageCms.applyTransform(Image.fromarray(grid), way)
    return shown is None or bool(np.abs(np.asarray(shown).astype(int) - grid.reshape(len(grid), 1, -1)).max() > _NEAR)
