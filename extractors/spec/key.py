"""The name under which embeddings are cached: everything that changes the numbers, and nothing else."""

import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from headstart.extractors.spec.claims import claimed
from headstart.extractors.spec.preprocessing import Preprocessing
from headstart.extractors.spec.views import View

FORMAT_VERSION = 1  # raise it when decoding, pooling or the shard layout changes what a row holds

SMALLEST_SIDE, LARGEST_SIDE = 16, 4096  # pixels of what a network sees; positions of more fill any memory

Precision = Literal["fp32", "bf16"]
StoredDtype = Literal["float16", "float32"]
Decode = Literal["full", "draft", "nvjpeg"]
Colour = Literal["srgb", "as-stored"]
Range = tuple[float, float]  # (LOW, HIGH): values of pixels that become black and white
Whole = Literal["whole"]  # black and white are the ends of the pixels' type
_AS_BEFORE: tuple[tuple[str, Any], ...] = (
    *(("decode", "full"), ("exact", False), ("range", "whole"), ("colour", "as-stored")),
    *(("image_size", None), ("in_float32", [])),
)


@dataclass(frozen=True)
class Mixed:
    """bfloat16, but for some layers that compute in float32."""

    in_float32: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class EmbeddingKey:
    """Two runs with equal keys may share rows; any difference makes another key.

    Parameters
    ----------
    backbone : str
        Canonical name, such as ``torchvision/resnet50``.
    weights : str
        Digest of the weights themselves, such as ``sha256:9f3a…``; never a file name.
    taps : tuple of str
        Layers read out, each with its pooling (``layer3:avg``); kept sorted, so that their order does not matter.
    preprocessing : Preprocessing
        Resize, crop, interpolation, mean and standard deviation.
    precision : {"fp32", "bf16"}
        What the forward pass computes in.
    in_float32 : tuple of str
        Layers that compute in float32 while the others compute in bfloat16; kept sorted.
    dtype : {"float16", "float32"}
        What the cache stores.
    decode : {"full", "draft", "nvjpeg"}
        ``full`` is Pillow's decoding; ``draft`` lets it decode large JPEGs at a fraction of their size, and ``nvjpeg``
        decodes and resizes JPEGs on a GPU.
    exact : bool
        Each image is computed by itself, on one thread and without shortcuts: the bits of a row depend on nothing but
        the kind of processor and the versions of the libraries.
    range : "whole" or (float, float)
        Values that become black and white, of pixels of more than 8 bits; ``whole`` takes the ends of their type.
    colour : {"srgb", "as-stored"}
        ``srgb`` converts images that have another colour profile.
    image_size : int or None
        Pixels a side that were asked for in place of those of the weights; a ViT's positions are interpolated then.
    view : "whole" or View
        Which view of an image a row embeds; ``whole`` is the image as it is, which is view 0.
    format_version : int
        Version of the cache's format.
    """

    backbone: str
    weights: str
    taps: tuple[str, ...]
    preprocessing: Preprocessing
    precision: Precision = "fp32"
    in_float32: tuple[str, ...] = ()
    dtype: StoredDtype = "float32"
    decode: Decode = "full"
    exact: bool = False
    range: Whole | Range = "whole"
    colour: Colour = "as-stored"
    image_size: int | None = None
    view: View | Whole = "whole"
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.image_size is not None and not SMALLEST_SIDE <= self.image_size <= LARGEST_SIDE:
            raise ValueError(f"its image_size is {self.image_size}, expected {SMALLEST_SIDE} to {LARGEST_SIDE}")
        for name in ("taps", "in_float32"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        if self.range != "whole":  # 4095 and 4095.0 are one key
            low, high = (int(end) if end == int(end) else float(end) for end in self.range)
            object.__setattr__(self, "range", (low, high))

    @property
    def id(self) -> str:
        """A folder name that a person can read and that no other key has: ``resnet50-`` and 16 hex digits."""
        digest = hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()
        readable = re.sub(r"[^A-Za-z0-9_.]+", "_", short_name(self.backbone))
        return f"{readable}-{digest[:16]}"

    @property
    def title(self) -> str:
        """Name for people: the backbone, and which view of the images."""
        return short_name(self.backbone) + ("" if self.view == "whole" else f", view {self.view.number}")

    @property
    def arithmetic(self) -> Precision | Mixed:
        """The precision, with the layers that are left out of it."""
        return Mixed(self.in_float32) if self.in_float32 else self.precision

    @property
    def computed_in(self) -> str:
        """The precision, for people."""
        return computed_in(self.precision, self.in_float32)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; `from_dict` reads them back."""
        values = _every_field(self)
        # Keys that were made before there was a choice keep their ids.
        return {name: value for name, value in values.items() if (name, value) not in _AS_BEFORE}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild what `as_dict` wrote.

        Raises
        ------
        TypeError
            A field is unknown, missing, or of another type.
        """
        nested: dict[str, Any] = {"preprocessing": Preprocessing.from_dict(values["preprocessing"])}
        if values.get("view", "whole") != "whole":
            nested["view"] = claimed(View, values["view"])
        return claimed(cls, values | nested)

    def differences(self, other: "EmbeddingKey") -> str:
        """Say in words where `other` differs: ``weights: sha256:9f… here, sha256:11… there``; empty if equal."""
        mine, theirs = _every_field(self), _every_field(other)
        return "; ".join(
            f"{name}: {mine.get(name, 'absent')} here, {theirs.get(name, 'absent')} there"
            for name in {**mine, **theirs}
            if mine.get(name) != theirs.get(name)
        )


def short_name(backbone: str) -> str:
    """Return a backbone's name without its source: ``resnet50`` of ``torchvision/resnet50``."""
    return backbone.rpartition("/")[2]


def computed_in(precision: str, in_float32: Collection[str]) -> str:
    """Name a precision for people: ``bf16``, or ``bf16 with 8 layers in float32``."""
    if not in_float32:
        return precision
    return f"{precision} with {len(in_float32)} layer{'s' * (len(in_float32) != 1)} in float32"


def _every_field(key: EmbeddingKey) -> dict[str, Any]:
    """Return plain JSON values of all fields, also of those that `as_dict` leaves unsaid."""
    values = {name: getattr(key, name) for name in key.__dataclass_fields__}
    ends = key.range if key.range == "whole" else list(key.range)
    view = key.view if key.view == "whole" else asdict(key.view)
    lists: dict[str, Any] = {"taps": list(key.taps), "in_float32": list(key.in_float32)}
    return values | lists | {"range": ends, "preprocessing": key.preprocessing.as_dict(), "view": view}
