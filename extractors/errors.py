"""Errors on the way from an image to its embedding, each also rooted in the fitting builtin."""

import errno
import os
import re
from pathlib import Path


class ExtractorError(Exception):
    """Anything that `extractors` raises on purpose; the message says what, where, found, expected and the next step."""


class SettingsError(ExtractorError, ValueError):
    """Settings exclude each other."""


class ImageSetError(ExtractorError, ValueError):
    """An image set cannot be listed: it is missing, empty, or its manifest is wrong."""


class UnreadableImage(ExtractorError, ValueError):  # noqa: N818 - an image is unreadable; the engine turns this into a quarantine entry
    """One image cannot be decoded; the message is the reason that stands in the quarantine."""


class NotAllowedError(ExtractorError, PermissionError):
    """A place lies outside the folders and URL prefixes to which this process is held."""


class NotReadError(ExtractorError, OSError):
    """An image could not be read this time; nothing is known against its content."""


class BackboneError(ExtractorError, LookupError):
    """A backbone, tap or pooling is unknown or cannot be built."""


class WeightsError(ExtractorError, ValueError):
    """Weights are missing, cannot be fetched, or belong to another architecture."""


class BatchTooLargeError(ExtractorError, MemoryError):
    """A batch does not fit into the memory of the device that computes it."""


class FeatureError(ExtractorError, ArithmeticError):
    """A backbone gave features that cannot be used (not finite, or too large for the stored dtype)."""


class CacheError(ExtractorError, OSError):
    """The cache cannot be read or written: another format, damage, permissions, a full disk."""


class UnavailableError(CacheError):
    """A file could not be had this time, for a fault of disk, rights or memory; nothing is known against it."""


_PASSING_NAMES = (
    *("EIO", "ENXIO", "ENODEV", "EACCES", "EPERM", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EAGAIN", "EBUSY", "EINTR"),
    *("ESTALE", "ETIMEDOUT", "ENOLCK", "ENOTCONN", "ECONNRESET", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "EREMOTEIO"),
)
_PASSING = {getattr(errno, name) for name in _PASSING_NAMES if hasattr(errno, name)}


def passing_fault(error: BaseException) -> str:
    """Say which fault of disk, network, rights or memory kept a file from being read; empty if it is its own."""
    if isinstance(error, MemoryError):
        return os.strerror(errno.ENOMEM)
    number = errno_of(error)
    return os.strerror(number) if number is not None and number in _PASSING else ""


def errno_of(error: BaseException) -> int | None:
    """Return the number of the system's error behind an error, if there is one: HDF5 names it in its message alone."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    named = re.search(r"\berrno = (\d+)", str(error))
    return int(named[1]) if named else None


def refuse_passing_fault(path: Path, error: BaseException) -> None:
    """Raise where an error says nothing against the file itself.

    Raises
    ------
    UnavailableError
        Disk, network, rights or memory are at fault.
    """
    if isinstance(error, UnavailableError):
        raise error
    if fault := passing_fault(error):
        raise UnavailableError(
            f"{path}: cannot be read now ({fault}), which says nothing against the file, and nothing was touched; "
            f"see to disk, rights or memory and run the same command again"
        ) from error
