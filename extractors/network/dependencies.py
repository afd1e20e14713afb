"""All that compiled code follows from: where one entry differs, what was compiled before is not taken."""

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from headstart.extractors.backbones import Backbone
from headstart.extractors.network.compilation import find_compiler
from headstart.extractors.spec import Tap

_WINGS = ("backbones", "network")  # whose code makes, simplifies and reads the network
# Not those of OpenMP, KMP_… and OMP_…: libraries set some as they are imported, and threads are counted above.
_SETTINGS = ("AOT_", "ATEN_", "CPATH", "CPLUS_", "CXX", "DNNL_", "MKL_", "ONEDNN_", "TORCH")
_NO_SETTINGS = {"TORCHINDUCTOR_CACHE_DIR", "TORCH_HOME", "MKL_NUM_THREADS"}  # say where, and on how many threads


def all_dependencies(backbone: Backbone, taps: Sequence[Tap], shape: Sequence[int], **how: Any) -> dict[str, Any]:
    """Gather what the code of a compiled forward pass on the CPU follows from, as plain values.

    Parameters
    ----------
    backbone : Backbone
        Its weights go by their digest, in which the code of a callable of yours has part.
    taps : sequence of Tap
    shape : sequence of int
        Of a batch of pixels: (n_images, height, width, 3).
    **how
        Precision, and what else the forward pass is made by.
    """
    named = [field.name for field in fields(backbone) if field.name not in {"module", "notes", "weights_name"}]
    return {
        "backbone": {name: repr(getattr(backbone, name)) for name in named},
        "taps": [str(tap) for tap in taps],
        "how": {name: repr(value) for name, value in how.items()},
        "shape": list(shape),
        "threads": torch.get_num_threads(),
        "versions": {name: _version_of(name) for name in ("headstart", "torch", "torchvision", "timm")},
        "torch": [torch.__version__, torch.version.git_version, torch.get_float32_matmul_precision()],
        "mkldnn": [torch.backends.mkldnn.enabled, torch.are_deterministic_algorithms_enabled()],
        "code": _digest_of_code(),
        "processor": _processor(),
        "compiler": _compiler(),
        "environment": settings_of(os.environ),
    }


def settings_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that change what compilers and libraries do."""
    return {
        name: environment[name]
        for name in sorted(environment)
        if name.startswith(_SETTINGS) and name not in _NO_SETTINGS
    }


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _digest_of_code() -> str:
    """Digest of our own rooms: a change of the folding, say, gives another network under the same version."""
    extractors = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for path in sorted(path for wing in _WINGS for path in (extractors / wing).rglob("*.py")):
        digest.update(f"{path.relative_to(extractors)}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


@cache
def _processor() -> list[str]:
    """Kind of processor with its sets of instructions, and those of them that torch takes."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").split("\n\n", 1)[0].splitlines()
    except OSError:  # not Linux
        lines = [f"flags: {platform.processor()}"]
    kinds = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU ")
    lines_of_kinds = [" ".join(line.split()) for line in lines if line.startswith(kinds)]
    return [platform.system(), platform.machine(), torch.backends.cpu.get_cpu_capability(), *lines_of_kinds]


def _compiler() -> list[str | int] | None:
    """Compiler with size and time of its file: to ask it for its version takes a process."""
    found = find_compiler()
    if not found:
        return None
    path = Path(found).resolve()
    about = path.stat()
    return [str(path), about.st_size, about.st_mtime_ns]
