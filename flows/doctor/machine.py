"""Equipment of the machine: cores, bfloat16, GPUs, a compiler, and free disk."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from headstart.flows.doctor.finding import Finding, State
from headstart.flows.output import nearby, size_text

SCARCE_BYTES = 10 * 10**9  # a million float32 rows of 2048 features take 8 GB
FEWEST_BYTES = 10**9


def check_cpu() -> Finding:
    """Compare the cores that this process may use with the threads that torch takes."""
    import torch  # noqa: PLC0415 - takes seconds

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    found = f"{cores} of {os.cpu_count()} cores may be used, torch computes on {threads}"
    variable = next((name for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS") if os.environ.get(name)), None)
    if threads < cores and variable:
        return Finding(
            "CPU", "warn", f"{found} ({variable}={os.environ[variable]})", f"unset {variable} to compute on all"
        )
    return Finding("CPU", "ok", found)


def check_low_precision() -> Finding:
    """Say whether bfloat16 is fast on the device that ``auto`` takes."""
    from headstart.extractors.network import has_fast_bf16, resolve_device  # noqa: PLC0415 - loads torch

    device = resolve_device("auto")
    if has_fast_bf16(device):
        return Finding("bf16", "ok", f"in hardware on {device}; precision auto takes it where features stay the same")
    return Finding("bf16", "ok", f"not in hardware on {device}; precision auto computes in fp32")


def check_gpu(device: str) -> Finding:
    """Say which GPUs torch can use, and whether the device that is asked for is among them."""
    import torch  # noqa: PLC0415 - takes seconds

    from headstart.extractors.decoding import jpeg_decoder  # noqa: PLC0415 - loads torch
    from headstart.extractors.network import DeviceError, resolve_device  # noqa: PLC0415 - loads torch

    cuda = torch.version.cuda
    count = torch.cuda.device_count()
    names = [torch.cuda.get_device_properties(number) for number in range(count)]
    shown = ", ".join(f"{gpu.name} with {size_text(gpu.total_memory)}" for gpu in names)
    try:
        resolve_device(device)
    except DeviceError as error:
        return Finding("GPU", "fail", str(error), 'set device = "auto" in the experiment, or mend driver and torch')
    if shown:
        decoder = jpeg_decoder()
        decoded = f"JPEGs are decoded by {decoder.library}" if decoder else "JPEGs are decoded on the CPU"
        return Finding("GPU", "ok", f"{shown}; torch is built for CUDA {cuda}; {decoded}")
    if sorted(Path("/dev").glob("nvidia[0-9]*")):
        found = f"there is one, but torch (built for {f'CUDA {cuda}' if cuda else 'the CPU'}) cannot use it"
        advice = "look at nvidia-smi and CUDA_VISIBLE_DEVICES" if cuda else "install torch and torchvision for CUDA"
        return Finding("GPU", "warn", found, advice)
    return Finding("GPU", "ok", "none here; extraction runs on the CPU")


def check_compiler(wanted: str) -> Finding:
    """Look for the C++ compiler with which torch compiles networks for the CPU."""
    from headstart.extractors.network import find_compiler  # noqa: PLC0415 - loads torch

    if found := find_compiler():
        return Finding("compiler", "ok", found)
    advice = "install g++ or clang++, or set CXX: large extractions on a CPU gain by it"
    state: State = "fail" if wanted == "on" else "warn"
    return Finding("compiler", state, "no C++ compiler, so networks run uncompiled", advice)


def check_disk(folders: Sequence[Path]) -> list[Finding]:
    """Say how much space is free where cache and results go, or will go, and whether they may be written."""
    places = {folder: _existing(folder) for folder in folders}
    denied = [
        Finding("disk", "fail", f"{nearby(str(there))} may not be written", f"make it writable, or move {folder}")
        for folder, there in places.items()
        if not os.access(there, os.W_OK)
    ]
    disks = {there.stat().st_dev: there for there in reversed(places.values())}
    return [*denied, *(_check_free(there) for there in disks.values())]


def _check_free(folder: Path) -> Finding:
    free, where = shutil.disk_usage(folder).free, nearby(str(folder))
    found = f"{size_text(free)} free for {where}"
    if free >= SCARCE_BYTES:
        return Finding("disk", "ok", found)
    advice = "free some space: a million rows of 2048 features take 8 GB"
    return Finding("disk", "fail" if free < FEWEST_BYTES else "warn", found, advice)


def _existing(folder: Path) -> Path:
    """Return the folder, or what is there of the way to it."""
    whole = folder.absolute()
    return next(place for place in (whole, *whole.parents) if place.exists())
