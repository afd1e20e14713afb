"""Memory that is freed: kept, so that the next batch does not wait for fresh pages, or given back, for what follows."""

import ctypes
import platform
import sys

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
