"""Where the forward pass computes, and whether it is fast at bfloat16 there."""

import re

import torch

from headstart.extractors.errors import ExtractorError


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
