"""Memory that is freed stays with the process, so that the next batch does not wait for fresh pages."""

import ctypes
import platform

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
