"""Pixels of more than 8 bits: read whole, in strips, and made 8 bits by the range that their set uses."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from headstart.extractors.arrays import Array
from headstart.extractors.decoding.readers import PnmFile, is_cut_to_eight_bits, raw_mode, set_raw_mode
from headstart.extractors.decoding.tiff_bands import TiffFile, alpha_is_meant
from headstart.extractors.errors import UnreadableImage
from headstart.extractors.spec import Range, Whole

_STRIP = 1 << 16  # pixels at a time: what is computed between takes ten times their memory
_SAMPLED = 1 << 18  # values of an image that say which it uses
_LEVELS = 64  # of grey, at least: fewer of a range are not what a person sees
_RARE = 0.001  # of the values, on each side: broken pixels and glints decide nothing
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


@dataclass(frozen=True)
class DeepPixels:
    """Values of a decoded image of more than 8 bits.

    Attributes
    ----------
    size : (int, int)
        Width and height.
    rows : callable
        Returns the values of rows first … last as (n_rows, width, n_bands).
    whole : (int, int) or None
        Black and white where nothing else is said; None where they are not defined.
    alpha : bool
        Whether the last band says what is transparent, as 0 … 65535.
    premultiplied, white_is_zero : bool
    clear : tuple of int
        The one value or colour that is transparent; empty for none.
    largest : int or None
        As the file says.
    cut : bool
        Whether but the upper 8 bits were read.
    into : Image or None
        Takes the 8 bits strip by strip, after their values were read of it.
    """

    size: tuple[int, int]
    rows: Callable[[int, int], Array]
    whole: tuple[int, int] | None = (0, 65535)
    alpha: bool = False
    premultiplied: bool = False
    white_is_zero: bool = False
    clear: tuple[int, ...] = ()
    largest: int | None = None
    cut: bool = False
    into: Image.Image | None = None

    def strips(self) -> Iterator[tuple[int, Array, Array | None]]:
        """Yield strips from the top: first row, colours (n_rows, width, n_colours), and alpha (n_rows, width, 1)."""
        width, height = self.size
        step = max(1, _STRIP // max(width, 1))
        for top in range(0, height, step):
            values = self.rows(top, min(top + step, height))
            if not self.alpha:
                yield top, values, None
                continue
            colours, alpha = values[..., :-1], values[..., -1:]
            if self.premultiplied:
                colours = np.minimum(colours.astype(np.int64) * 65535 // np.maximum(alpha, 1), 65535).astype(np.uint16)
            yield top, colours, alpha

    @property
    def extremes(self) -> tuple[float, float]:
        """Lowest and highest value; what is no number counts for nothing."""
        ends = [(np.nanmin(part), np.nanmax(part)) for _, part, _ in self.strips()]
        return min(low for low, _ in ends), max(high for _, high in ends)


def deep_pixels(image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile]) -> DeepPixels | None:
    """Decode an opened image of more than 8 bits; None for one of 8, which is left as it is.

    Pillow keeps the upper bytes of colours. `again` opens the file anew, so that the lower ones are read, too.
    """
    if not is_deep(image):
        return None
    if isinstance(image, PnmFile):
        return DeepPixels(image.size, image.deep_rows())
    if isinstance(image, TiffFile) and image.in_planes:
        return _planes(image)
    if image.mode.startswith(("I", "F")):
        return _grey(image)
    return _cut(image) if is_cut_to_eight_bits(image) else _colours(image, again)


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Tell whether an image that was opened has more than 8 bits a channel."""
    planes = isinstance(image, TiffFile) and image.in_planes and image.bits > 8
    deep = planes or (isinstance(image, PnmFile) and image.white > 255) or is_cut_to_eight_bits(image)
    return deep or image.mode.startswith(("I", "F")) or has_upper_bytes(image)


def has_other_band(image: Image.Image) -> bool:
    """Tell whether the last band of a decoded image, which may be an alpha band, is none by its values."""
    return getattr(image, "doubtful_alpha", False) and not alpha_is_meant(image.getchannel("A"))


def has_upper_bytes(image: ImageFile.ImageFile) -> bool:
    """Tell whether an image that was opened has deep colours of which Pillow keeps the upper bytes."""
    raw = raw_mode(image)
    planes = isinstance(image, TiffFile) and image.in_planes
    return ";16" in raw and not raw.startswith(("I", "CMYK")) and not planes


def typical_ends(deep: DeepPixels) -> tuple[float, float]:
    """Return the values between which an image's lie, but for a thousandth on each side."""
    width, height = deep.size
    step = max(1, width * height // _SAMPLED)
    sample = np.concatenate([colours[..., 0].ravel()[::step] if colours.shape[-1] == 1 else colours.ravel()[::step]
                             for _, colours, _ in deep.strips()])  # fmt: skip
    low = float(np.nanquantile(sample, _RARE, method="lower"))
    high = float(np.nanquantile(sample, 1 - _RARE, method="higher"))
    declared = deep.largest
    return low, float(declared) if declared is not None and high <= declared < 65535 else high


def range_of(ends: Sequence[tuple[float, float]]) -> Range:
    """Return the range of a set by what its images use, in round numbers, so that other images lead to the same.

    It is 0 … 2ⁿ − 1 of as many bits as are used, and not under 8 but for masks; with as many below zero where there are
    such values. Values that lie far from zero, as temperatures do, have ends of their own.
    """
    low, high = min(one for one, _ in ends), max(one for _, one in ends)
    if low > high / 2 and high > 255:
        step = 1 << max(0, int(high - low).bit_length() - 4)
        return low // step * step, (high // step + 1) * step - 1
    bits = int(max(high, 1)).bit_length()
    top = (1 << (bits if bits < 5 else max(bits, 8))) - 1
    return (float(-(1 << int(-low - 1).bit_length())) if low < 0 else 0.0), float(top)


def to_eight_bits(deep: DeepPixels, ends: Range | Whole) -> tuple[Image.Image, tuple[float, float]]:
    """Return an image in grey or RGB, and the lowest and highest of its values.

    What is transparent is laid on white. Of a whole range the upper byte is taken, as Pillow does for colours.

    Raises
    ------
    UnreadableImage
        Black and white are not defined.
    """
    low, high = _defined(deep) if ends == "whole" else ends
    if deep.cut and high - low < _LEVELS * 256 - 1:
        raise UnreadableImage(
            f"of its colours the upper 8 bits can be read, too few for a range from {low:g} to {high:g}; save it as "
            "TIFF or PNG, or say --range whole"
        )
    shown = deep.into
    lowest, highest = np.inf, -np.inf
    for top, values, alpha in deep.strips():
        with np.errstate(invalid="ignore"):
            lowest, highest = min(lowest, np.nanmin(values)), max(highest, np.nanmax(values))
        grey = _scaled(values, low, high)
        if deep.white_is_zero:
            grey = 255 - grey
        if deep.clear:
            grey[(values == deep.clear).all(axis=-1)] = 255
        if alpha is not None:
            grey = 255 - ((255 - grey).astype(np.uint16) * (alpha >> 8) + 127) // 255
        eight = grey.astype(np.uint8)
        strip = Image.fromarray(eight[..., 0] if eight.shape[-1] == 1 else eight)
        if shown is None:
            shown = Image.new(strip.mode, deep.size)
        shown.paste(strip, (0, top))
    if shown is None:
        raise UnreadableImage("an image without a pixel")
    return shown, (float(lowest), float(highest))


def _defined(deep: DeepPixels) -> Range:
    if deep.whole is None:
        raise UnreadableImage(
            "float pixels, whose black and white are not defined; save it with 8 or 16 bits a channel, or say them: "
            "--range LOW HIGH"
        )
    if deep.whole[1] == 65535:
        low, high = deep.extremes
        if low < 0 or high > 65535:
            raise UnreadableImage(
                f"integer pixels from {low} to {high}, beyond 0…65535; save it with 8 or 16 bits a channel, or say "
                "what is black and white: --range LOW HIGH"
            )
    return deep.whole


def _scaled(values: Array, low: float, high: float) -> npt.NDArray[np.uint8]:
    if values.dtype == np.uint16:
        return _table(low, high)[values]
    return _by_range(values, low, high)


@lru_cache(maxsize=16)
def _table(low: float, high: float) -> npt.NDArray[np.uint8]:
    return _by_range(np.arange(1 << 16, dtype=np.uint16), low, high)


def _by_range(values: Array, low: float, high: float) -> npt.NDArray[np.uint8]:
    # Of whole numbers the last one has a share of its own: 0 … 65535 are the upper bytes, 0 … 255 stay as they are.
    span = high - low + (0 if np.issubdtype(values.dtype, np.floating) else 1)
    levels = np.nan_to_num((values.astype(np.float64) - low) * 256 / span, nan=0.0)
    return np.clip(levels, 0, 255).astype(np.uint8)


def _colours(image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile]) -> DeepPixels:
    raw, key = raw_mode(image), image.info.get("transparency")
    clear = key if isinstance(key, tuple) else ()
    if raw.startswith("LA"):  # two bytes of grey and two of alpha, read as four of 8 bits
        set_raw_mode(image, "RGBA")
        image.load()
        return DeepPixels(image.size, lambda top, bottom: _joined(_bytes(image, top, bottom)), alpha=True)
    straight = raw.replace("RGBa", "RGBA")
    lower = again()
    set_raw_mode(image, straight)
    set_raw_mode(lower, straight[:-1] + _OTHER_BYTE[straight[-1]])
    image.load()
    lower.load()
    alpha = image.mode == "RGBA" and not has_other_band(image)
    n_bands = 4 if alpha else 3

    def rows(top: int, bottom: int) -> Array:
        high, low = (_bytes(one, top, bottom)[..., :n_bands].astype(np.uint16) for one in (image, lower))
        return high << 8 | low

    return DeepPixels(image.size, rows, alpha=alpha, premultiplied=straight != raw, clear=clear, into=image)


def _grey(image: ImageFile.ImageFile) -> DeepPixels:
    image.load()
    tiff = image if isinstance(image, TiffFile) else None
    kind = np.dtype(np.uint16) if image.mode.startswith("I;16") else None

    def rows(top: int, bottom: int) -> Array:
        values = np.asarray(image.crop((0, top, image.width, bottom)))
        values = values.astype(kind) if kind else values.view(np.uint32) if tiff and tiff.unsigned else values
        return values[..., None]

    bits = tiff.bits if tiff and tiff.bits < 32 else 16  # files of 32 bits are written from arrays that hold 16
    key = image.info.get("transparency")
    return DeepPixels(
        image.size,
        rows,
        whole=None if image.mode == "F" else (0, (1 << bits) - 1),
        white_is_zero=tiff is not None and tiff.white_is_zero,
        clear=(key,) if isinstance(key, int) else (),
        largest=tiff.largest if tiff else None,
    )


def _cut(image: ImageFile.ImageFile) -> DeepPixels:
    image.load()
    shown = image.convert(image.mode.rstrip("A")) if has_other_band(image) else image

    def rows(top: int, bottom: int) -> Array:
        return _bytes(shown, top, bottom).reshape(bottom - top, shown.width, -1).astype(np.uint16) * 257

    return DeepPixels(image.size, rows, alpha=shown.mode.endswith("A"), cut=True)


def _planes(image: TiffFile) -> DeepPixels:
    planes = image.planes()
    meant = len(planes) == 4 and "A" in image.mode and (not image.doubtful_alpha or alpha_is_meant(_upper(planes[3])))
    used = planes if meant else planes[:3]

    def rows(top: int, bottom: int) -> Array:
        parts = [np.asarray(one.crop((0, top, one.width, bottom))).astype(np.uint16) for one in used]
        return np.stack(parts, axis=-1)

    return DeepPixels(planes[0].size, rows, alpha=meant, premultiplied=image.premultiplied)


def _upper(plane: Image.Image) -> Image.Image:
    return Image.fromarray((np.asarray(plane).astype(np.uint16) >> 8).astype(np.uint8))


def _bytes(image: Image.Image, top: int, bottom: int) -> npt.NDArray[np.uint8]:
    return np.asarray(image.crop((0, top, image.width, bottom)))


def _joined(four: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    """Make (n_rows, width, 2) of pairs of bytes, the upper one first."""
    return np.left_shift(four[..., ::2], 8, dtype=np.uint16) | four[..., 1::2]
