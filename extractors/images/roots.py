"""Roots that the paths of an image set are relative to: a folder, or the prefix of an object store or web server."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from headstart.extractors.errors import NotAllowedError

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True)
class RemoteRoot:
    """The URL that the paths of a remote image set are relative to, without a slash at its end."""

    url: str

    def __str__(self) -> str:
        return self.url


ImageRoot = Path | RemoteRoot


def is_url(place: str) -> bool:
    """Tell ``s3://bucket/prefix`` and its like from a path."""
    return _URL.match(place) is not None


def parse_root(text: str) -> ImageRoot:
    """Return the root that `root_text` wrote, in another locale perhaps."""
    return RemoteRoot(text) if is_url(text) else Path(os.fsdecode(_bytes_of(text)))


def root_text(root: ImageRoot) -> str:
    """Return a root as files keep it."""
    return as_listed(str(root))


def relative_path(root: ImageRoot, path: str) -> str:
    """Return a whole path or URL that lies below the root as a listing calls it; others come back as they are."""
    if isinstance(root, RemoteRoot) or is_url(path):
        return path.removeprefix(f"{root}/")
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def place_of(root: ImageRoot, path: str) -> str:
    """Return the whole path or URL of what a listing calls `path`, which a manifest may have given whole.

    Listings hold names as UTF-8 has them; the path is as this process has to name the file.
    """
    if is_url(path):
        return path
    return f"{root.url}/{path}" if isinstance(root, RemoteRoot) else os.fsdecode(_bytes_of(str(root / path)))


def as_listed(path: str) -> str:
    """Return a path as listings hold it: in UTF-8 as far as it is, whatever this process takes names of files for."""
    return _bytes_of(path).decode("utf-8", "surrogateescape")


def _bytes_of(path: str) -> bytes:
    # Where names are taken for ASCII (LC_ALL=C), each byte above is a surrogate of its own.
    return path.encode("utf-8", "surrogateescape")


def split_place(place: ImageRoot) -> tuple[ImageRoot, str]:
    """Return the root that a file or object lies in, and its name."""
    if isinstance(place, RemoteRoot):
        above, _, name = place.url.rpartition("/")
        return RemoteRoot(above), name
    return place.parent, as_listed(place.name)


ENVIRONMENT = "HEADSTART_SECURITY"
NOT_ALLOWED = "it leads out of the folders and addresses that this process may read"


def allowed_roots() -> tuple[str, ...] | None:
    """Return the folders and URL prefixes that this process is held to; None where nothing is pinned.

    Raises
    ------
    NotAllowedError
        The environment pins something that cannot be understood, so that nothing is allowed.
    """
    pinned = os.environ.get(ENVIRONMENT)
    return None if not pinned else _pinned_roots(pinned)


def is_within(place: str | Path, roots: Iterable[str]) -> bool:
    """Tell whether a path, links and ``..`` followed, or a URL lies at or below one of the roots."""
    return any(_covers(root, str(place)) for root in roots)


def is_allowed(place: str | Path) -> bool:
    """Tell whether this process may read and write at `place`, a path or a URL.

    Raises
    ------
    NotAllowedError
        As `allowed_roots`.
    """
    roots = allowed_roots()
    return roots is None or is_within(place, roots)


@lru_cache(maxsize=4)
def _pinned_roots(pinned: str) -> tuple[str, ...] | None:
    try:
        roots = json.loads(pinned)["roots"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotAllowedError(f"{ENVIRONMENT} is no JSON object with roots; nothing may be read until it is") from error
    if roots is None:
        return None
    if not isinstance(roots, list) or not all(isinstance(root, str) and root for root in roots):
        raise NotAllowedError(f"{ENVIRONMENT}: roots is no list of folders and URLs; nothing may be read until it is")
    return tuple(roots)


def _covers(root: str, place: str) -> bool:
    if is_url(root) or is_url(place):
        of_root, of_place = _parts_of_url(root), _parts_of_url(place)
        return of_root is not None and of_place is not None and of_place[: len(of_root)] == of_root
    return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(root))


def _parts_of_url(url: str) -> tuple[str, ...] | None:
    """Cut a URL into scheme, host or bucket, and folders, so that s3://owls-evil is not below s3://owls."""
    if not is_url(url):
        return None
    split = urlsplit(url)
    # A server may decode %2e%2e before it follows it; no honest prefix needs a way up.
    path = unquote(split.path)
    if {".", ".."} & set(path.split("/")) or "\\" in path or "::" in url:
        return None
    folders = [part for part in path.split("/") if part]
    return (split.scheme.lower(), split.netloc, *folders)
