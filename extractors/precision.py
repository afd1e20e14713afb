"""Where and how precisely the forward pass computes, and what that costs in fidelity."""

import re
from collections.abc import Mapping

import numpy as np
import torch

from extractors.errors import ExtractorError
from extractors.shards import Array

# Below this cosine similarity to float32 a reduced precision is not used.
LOWEST_COSINE = 0.999


class DeviceError(ExtractorError, ValueError):
    """The device that was asked for is not there."""


def resolve_device(device: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:1`` into a device that exists.

    Raises
    ------
    DeviceError
        CUDA was asked for and is not available, or the name is none of these.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", device):
        raise DeviceError(f"device {device!r}: unknown; expected auto, cpu or cuda")
    found = torch.device(device)
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device {device!r}: this machine has {torch.cuda.device_count()} CUDA devices; use --device cpu"
        )
    return found


def has_fast_bf16(device: torch.device) -> bool:
    """Tell whether the device multiplies bfloat16 matrices in hardware; elsewhere bf16 would only lose precision."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch has no public name for this; both queries exist since 2.6.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())  # noqa: SLF001 - see above


def compare_features(reference: Mapping[str, Array], features: Mapping[str, Array]) -> dict[str, dict[str, float]]:
    """Compare features with those of float32, row by row.

    Parameters
    ----------
    reference, features : mapping of tap to float32 array (n_images, …)
        Of the same images, in the same order.

    Returns
    -------
    dict
        For each tap the lowest ``cosine`` similarity and the largest ``relative_error`` ‖a − b‖ / ‖a‖ over the images.
    """
    comparison = {}
    for tap, exact in reference.items():
        a = exact.reshape(len(exact), -1).astype(np.float64)
        b = features[tap].reshape(len(exact), -1).astype(np.float64)
        norms = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
        tiny = np.finfo(np.float64).tiny
        cosine = np.where(norms[0] + norms[1] == 0, 1.0, (a * b).sum(axis=1) / np.maximum(norms[0] * norms[1], tiny))
        relative = np.linalg.norm(a - b, axis=1) / np.maximum(norms[0], tiny)
        comparison[tap] = {"cosine": float(cosine.min()), "relative_error": float(relative.max())}
    return comparison
