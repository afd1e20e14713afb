"""Steps of an image between decoding and the backbone, as plain numbers that go into the cache key."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self

from headstart.extractors.spec.claims import claimed

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Resize, then cut out the centre, then scale to [0, 1] and normalise with `mean` and `std`.

    Parameters
    ----------
    resize : int or (int, int) or None
        Pixels of the shorter side (the aspect ratio is kept), or (height, width) exactly; None leaves the size alone.
    crop : (int, int)
        (height, width) in pixels of the centre crop, which the backbone sees; smaller images are padded with black.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos"}
        Pillow's filter for the resize; like Pillow, it always removes aliasing.
    mean, std : (float, float, float)
        Per RGB channel, in units of the full range 0…1.
    """

    resize: int | tuple[int, int] | None = 256
    crop: tuple[int, int] = (224, 224)
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def resized(self, side: int) -> Self:
        """Return the same steps for images that the backbone sees as squares of `side` pixels."""
        scale = side / min(self.crop)
        resize = self.resize
        if isinstance(resize, tuple):
            resize = (round(resize[0] * scale), round(resize[1] * scale))
        elif resize is not None:
            resize = round(resize * scale)
        return replace(self, resize=resize, crop=(side, side))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild what `as_dict` wrote.

        Raises
        ------
        TypeError
            A field is unknown, or of another type.
        """
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in dict(values).items()
        }
        return claimed(cls, fields)
