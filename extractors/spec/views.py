"""Augmented views of an image: which there are, and the random numbers that each is drawn by."""

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple, TypedDict

import numpy as np

from headstart.extractors.errors import SettingsError
from headstart.extractors.spec.option import Option

_RATIO = (3 / 4, 4 / 3)  # width to height of what is cut out
_TRIES = 10  # to cut out what fits, as torchvision's RandomResizedCrop tries
_N_DRAWN = 4 * _TRIES + 1 + 8
_HUE = 0.25  # of the strength: colours are told apart by it, brightness is not

Box = tuple[int, int, int, int]  # top, left, height, width in pixels


class Draw(NamedTuple):
    """One draw of an augmentation, for an image of one size.

    Parameters
    ----------
    box : (int, int, int, int) or None
        Top, left, height and width of what is cut out and resized; None leaves the plain resize and crop.
    flip : bool
        Left and right are exchanged.
    jitter : tuple of (str, float)
        ``brightness``, ``contrast`` and ``saturation`` with their factors and ``hue`` with its shift in turns, in the
        order in which they are applied.
    """

    box: Box | None
    flip: bool
    jitter: tuple[tuple[str, float], ...]


@dataclass(frozen=True, kw_only=True)
class View:
    """A view of every image but its plain one: a random resized crop, a flip, and other colours.

    Parameters
    ----------
    number : int
        From 1; view 0 is the image as it is.
    seed : int
    crop : float
        Least share of an image's area that is cut out; with 1 the crop stays the plain one.
    flip : float
        Share of the images of which left and right are exchanged.
    jitter : float
        Largest change of brightness, contrast and saturation; that of the hue is a quarter of it, in turns.

    Raises
    ------
    SettingsError
        A value is out of its range.
    """

    number: int
    seed: int = 0
    crop: float = 0.35
    flip: float = 0.5
    jitter: float = 0.2

    def __post_init__(self) -> None:
        sound = self.number >= 1 and 0 <= self.seed < 2**32
        if not sound or not (0 < self.crop <= 1 and 0 <= self.flip <= 1 and 0 <= self.jitter < 1):
            raise SettingsError(
                f"view with seed {self.seed}, crop {self.crop}, flip {self.flip} and jitter {self.jitter}: expected a "
                "seed of at least 0, a crop above 0 and up to 1, a flip from 0 to 1 and a jitter from 0 to below 1"
            )
        for name in ("crop", "flip", "jitter"):  # 1 and 1.0 are one view
            object.__setattr__(self, name, float(getattr(self, name)))

    def draw(self, digest: str, size: tuple[int, int]) -> Draw:
        """Draw the view of one image: seed, number and content decide, and nothing else.

        The numbers are those of SHAKE-256, which no library's version changes.

        Parameters
        ----------
        digest : str
            SHA-256 (hex) of the image.
        size : (int, int)
            Its width and height.
        """
        drawn = hashlib.shake_256(f"{self.seed} {self.number} {digest}".encode()).digest(8 * _N_DRAWN)
        numbers = (np.frombuffer(drawn, "<u8") >> 11) * 2.0**-53  # in [0, 1)
        boxes, flip, factors, order = np.split(numbers, [4 * _TRIES, 4 * _TRIES + 1, 4 * _TRIES + 5])
        strengths = self.jitter * np.array([1.0, 1.0, 1.0, _HUE])
        values = np.array([1.0, 1.0, 1.0, 0.0]) + strengths * (2.0 * factors - 1.0)
        named = list(zip(("brightness", "contrast", "saturation", "hue"), values.tolist(), strict=True))
        return Draw(
            box=None if self.crop == 1 else _box(boxes.reshape(_TRIES, 4), size, self.crop),
            flip=bool(flip[0] < self.flip),
            jitter=tuple(named[at] for at in np.argsort(order, kind="stable")) if self.jitter else (),
        )


def _box(tries: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", size: tuple[int, int], least: float) -> Box:
    """Choose what is cut out as torchvision's RandomResizedCrop does, by numbers in [0, 1) (n_tries, 4)."""
    width, height = size
    low, high = map(math.log, _RATIO)
    for of_area, of_ratio, of_top, of_left in tries.tolist():
        area = width * height * (least + (1.0 - least) * of_area)
        ratio = math.exp(low + (high - low) * of_ratio)
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            return int(of_top * (height - tall + 1)), int(of_left * (width - wide + 1)), tall, wide
    wide, tall = min(width, max(1, round(height * _RATIO[1]))), min(height, max(1, round(width / _RATIO[0])))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """How many views of each image are embedded, and how they are drawn.

    Parameters
    ----------
    views : int
        Views of each image, the plain one included.
    view_seed, view_crop, view_flip, view_jitter
        As `View` has them.
    """

    views: Annotated[int, Option("Views of each image, the plain one included.", least=1, below=1025)] = 1
    view_seed: Annotated[int, Option("What views are drawn by.", least=0, below=2**32)] = View.seed
    view_crop: Annotated[float, Option("Least share of the area in a view; 1: no crop.", above=0)] = View.crop
    view_flip: Annotated[float, Option("Share of views that are mirrored.", least=0)] = View.flip
    view_jitter: Annotated[float, Option("Largest change of colours.", least=0, below=1)] = View.jitter

    @property
    def drawn(self) -> list[View]:
        """The views beside the plain one.

        Raises
        ------
        SettingsError
            A value is out of its range.
        """
        if self.views < 1:
            raise SettingsError(f"views is {self.views}, expected at least 1: the plain image")
        first = View(number=1, seed=self.view_seed, crop=self.view_crop, flip=self.view_flip, jitter=self.view_jitter)
        return [replace(first, number=number) for number in range(1, self.views)]


class ViewKeywords(TypedDict, total=False):
    """`ViewOptions`, as the keywords of a function."""

    views: int
    view_seed: int
    view_crop: float
    view_flip: float
    view_jitter: float
