"""How an extraction computes, as plain values: to ask for it needs no torch."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from headstart.extractors.errors import SettingsError
from headstart.extractors.spec.key import (
    LARGEST_SIDE,
    SMALLEST_SIDE,
    Colour,
    Decode,
    EmbeddingKey,
    Range,
    StoredDtype,
    Whole,
)
from headstart.extractors.spec.option import Option, shared_values
from headstart.extractors.spec.views import View

Device = Annotated[str, Option("auto, cpu or cuda.")]
Workers = Annotated[int | None, Option("Decoding threads.", unset="one a core", least=1)]

LARGEST_BATCH = 2**16  # images; activations of far fewer fill any memory
_TRIED = ("precision", "decode", "range", "colour")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to compute; only what a key has a field for changes the numbers, such as `precision` and `image_size`.

    Parameters
    ----------
    precision : {"auto", "fp32", "bf16"}
        ``auto`` is bf16 where the device is fast at it and the first batch agrees with fp32 to a cosine of 0.999.
        A network that agrees less has its worst layers computed in float32, where that is enough.
    in_float32 : sequence of str
        Layers that are computed in float32 beside others in bfloat16; ``auto`` finds them itself.
    decode : {"auto", "full", "draft", "nvjpeg"}
        ``draft`` decodes large JPEGs at a fraction of their size, ``nvjpeg`` decodes and resizes JPEGs on the device;
        ``auto`` does one or the other where the features of the first images stay the same to a cosine of 0.999.
    range : (float, float), optional
        Values of pixels of more than 8 bits that become black and white; by default found once in images of the set.
        ``whole`` takes the ends of the pixels' type.
    colour : {"auto", "srgb", "as-stored"}
        ``srgb`` converts what has another colour profile; ``auto`` does where one of the set's images has one.
    compile : {"auto", "on", "off"}
        ``auto`` compiles the network where there are so many images that it pays.
    device : str
        ``auto`` (CUDA where there is one), ``cpu``, ``cuda``.
    dtype : {"float16", "float32"}, optional
        Stored features; float16 halves the cache and is refused where it would lose more than its rounding. By default
        float32, and of maps float16 where the first images lose nothing else.
    batch_size : int, optional
        Images a forward pass; by default that of the key's rows, or what is fast on most processors.
    exact : bool
        Compute each image by itself, on one thread and without shortcuts; with ``auto``, in float32 of pixels that were
        decoded in full.
    image_size : int, optional
        Pixels a side of the images that the network sees, in place of those of its weights: positions of a ViT are
        interpolated, and the resize before the crop goes along.
    workers : int, optional
        Decoding threads; by default one a core.
    view : View, optional
        Embed this view of each image in place of the plain one.

    Raises
    ------
    SettingsError
        A range is none, `exact` stands beside a batch size or compilation, or layers in float32 not beside bf16.
    """

    precision: Annotated[
        Literal["auto", "fp32", "bf16"], Option("auto takes bf16 where it is fast and agrees with fp32.")
    ] = "auto"
    in_float32: Annotated[
        Sequence[str],
        Option("With bf16: layers that stay in float32.", unset="with auto, those that need it", table=False),
    ] = ()
    decode: Annotated[
        Literal["auto"] | Decode,
        Option("draft decodes large JPEGs reduced; auto does where features stay.", choices=("auto", "full", "draft")),
    ] = "auto"
    range: Annotated[
        Range | Whole | None, Option("Black and white of pixels of over 8 bits: LOW HIGH.", unset="as the images need")
    ] = None
    colour: Annotated[
        Literal["auto"] | Colour,
        Option("srgb converts other profiles; auto does where there are.", choices=("auto", "srgb", "as-stored")),
    ] = "auto"
    compile: Annotated[Literal["auto", "on", "off"], Option("auto compiles the network where it pays.")] = "auto"
    device: Device = "auto"
    dtype: Annotated[StoredDtype | None, Option("What the cache stores.", unset="float32; maps may be float16")] = None
    batch_size: Annotated[
        int | None,
        Option("Images a forward pass.", unset="8, compiled 16, on a GPU 128", least=1, below=LARGEST_BATCH + 1),
    ] = None
    exact: Annotated[bool, Option("The same bits on every machine of a kind; slower.")] = False
    image_size: Annotated[
        int | None,
        Option(
            "Pixels a side that the network sees.",
            unset="as its weights were trained",
            least=SMALLEST_SIDE,
            below=LARGEST_SIDE + 1,
        ),
    ] = None
    workers: Workers = None
    view: Annotated[View | Whole, Option("Which view of each image.", command=False, table=False)] = "whole"

    def __post_init__(self) -> None:
        if self.range is not None and self.range != "whole":
            object.__setattr__(self, "range", checked_range(self.range))
        object.__setattr__(self, "in_float32", tuple(sorted(set(self.in_float32))))
        if self.in_float32 and self.precision != "bf16":
            raise SettingsError(
                f"layers in float32 ({', '.join(self.in_float32)}) with precision {self.precision}: expected bf16, for "
                "they stay behind where others compute in bfloat16; add --precision bf16, or leave them out"
            )
        if self.exact and (self.batch_size or self.compile == "on"):
            raise SettingsError(
                "exact takes each image by itself and compiles nothing; leave out the batch size and what is compiled"
            )

    @classmethod
    def for_key(cls, key: EmbeddingKey, *, device: str = "auto", workers: int | None = None) -> "Settings":
        """Return the settings that give rows of just this key, or an extraction of another key."""
        return cls(device=device, workers=workers, **shared_values(cls, key))

    @property
    def as_asked(self) -> dict[str, Any]:
        """Values that a key has as asked for; all others are tried on the first images, see `extractors.tuning`."""
        values = shared_values(EmbeddingKey, self)
        return {name: value for name, value in values.items() if name not in _TRIED and value is not None}

    @property
    def n_workers(self) -> int:
        """Decoding threads to start."""
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return self.workers or usable or 1


def checked_range(ends: Sequence[float]) -> Range:
    """Return the two ends of a range as a person gave them.

    Raises
    ------
    SettingsError
        They are no two finite numbers, the lower one first.
    """
    if len(ends) != 2 or not all(map(math.isfinite, ends)) or ends[0] >= ends[1]:
        shown = " ".join(map(str, ends))
        raise SettingsError(f"range {shown}: expected two numbers, the lower one first, such as --range 0 4095")
    return ends[0], ends[1]


class SettingsKeywords(TypedDict, total=False):
    """`Settings`, as the keywords of a function."""

    precision: Literal["auto", "fp32", "bf16"]
    in_float32: Sequence[str]
    decode: Literal["auto"] | Decode
    range: Range | Whole | None
    colour: Literal["auto"] | Colour
    compile: Literal["auto", "on", "off"]
    device: str
    dtype: StoredDtype | None
    batch_size: int | None
    exact: bool
    image_size: int | None
    workers: int | None
    view: View | Whole
