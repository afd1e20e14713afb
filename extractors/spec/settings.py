"""How an extraction computes, as plain values: to ask for it needs no torch."""

import os
from dataclasses import dataclass
from typing import Literal

from headstart.extractors.spec.key import Decode, EmbeddingKey, StoredDtype


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to compute; only `precision`, `decode` and `dtype` change the numbers, and they are in the key.

    Parameters
    ----------
    device : str
        ``auto`` (CUDA where there is one), ``cpu``, ``cuda``.
    precision : {"auto", "fp32", "bf16"}
        ``auto`` is bf16 where the device is fast at it and the first batch agrees with fp32 to a cosine of 0.999.
    dtype : {"float16", "float32"}
        Stored features; float16 halves the cache and is refused where it would lose more than its rounding.
    batch_size : int, optional
        Images a forward pass; by default that of the key's rows, or what the first images show to be fastest.
    workers : int, optional
        Decoding threads; by default one a core.
    decode : {"auto", "full", "draft", "nvjpeg"}
        ``draft`` decodes large JPEGs at a fraction of their size, ``nvjpeg`` decodes and resizes JPEGs on the device;
        ``auto`` does one or the other where the features of the first images stay the same to a cosine of 0.999.
    compile : {"auto", "on", "off"}
        ``auto`` compiles the network where there are so many images that it pays.
    """

    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    dtype: StoredDtype = "float32"
    batch_size: int | None = None
    workers: int | None = None
    decode: Literal["auto"] | Decode = "auto"
    compile: Literal["auto", "on", "off"] = "auto"

    @classmethod
    def for_key(cls, key: EmbeddingKey, *, device: str = "auto", workers: int | None = None) -> "Settings":
        """Return the settings that give rows of just this key, or an extraction of another key."""
        return cls(device=device, precision=key.precision, dtype=key.dtype, workers=workers, decode=key.decode)

    @property
    def n_workers(self) -> int:
        """Decoding threads to start."""
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return self.workers or usable or 1
