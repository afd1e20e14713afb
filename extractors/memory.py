"""Memory: how much is left, and what is freed, kept for the next batch or given back for what follows."""

import ctypes
import platform
import re
import sys
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)
_BYTES = 1 << 30  # more than a batch's activations


def keep_freed_memory() -> bool:
    """Tell glibc's allocator to keep what a forward pass frees; returns whether it could be told.

    By default it gives large blocks back to the system and gets them again, zeroed page by page, for every layer of
    every batch: a thousand page faults an image, and up to a third of the time.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return all(libc.mallopt(option, _BYTES) for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD))


def give_back_freed_memory() -> bool:
    """Give back to the system what glibc's and Arrow's allocators hold of freed memory; returns whether glibc was told.

    They give back by themselves what lies at the end, and arrays of millions of rows that come and go leave holes of
    hundreds of megabytes below those that stay.
    """
    if arrow := sys.modules.get("pyarrow"):  # where it was not loaded it holds nothing
        arrow.default_memory_pool().release_unused()
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))


def memory_left() -> int | None:
    """Return how many more bytes this process can have: of the machine, its control group, and its own limit.

    None where the system does not say. What a group holds of files counts as free.
    """
    found = [_machine_left(), _address_space_left(), *_groups_left()]
    return min((one for one in found if one is not None), default=None)


def _machine_left() -> int | None:
    return _field("/proc/meminfo", "MemAvailable", 1024)


def _address_space_left() -> int | None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    taken = _field("/proc/self/status", "VmSize", 1024)
    return None if limit == resource.RLIM_INFINITY or taken is None else limit - taken


def _groups_left() -> list[int | None]:
    """Return the bytes left to each control group (version 2) that the process is in, from its own to the root."""
    line = next((one for one in _text("/proc/self/cgroup").splitlines() if one.startswith("0::")), "")
    own = Path("/sys/fs/cgroup", line.removeprefix("0::").lstrip("/"))
    return [_group_left(one) for one in (own, *own.parents) if one.is_relative_to("/sys/fs/cgroup")] if line else []


def _group_left(folder: Path) -> int | None:
    limit, taken = _text(folder / "memory.max").strip(), _text(folder / "memory.current").strip()
    if not limit.isdigit() or not taken.isdigit():  # "max", or the root, which has neither
        return None
    return int(limit) - int(taken) + (_field(folder / "memory.stat", "inactive_file", 1) or 0)


def _field(path: str | Path, name: str, unit: int) -> int | None:
    found = re.search(rf"^{name}:?\s+(\d+)", _text(path), re.MULTILINE)
    return int(found[1]) * unit if found else None


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
