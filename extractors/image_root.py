"""What the paths of an image set are relative to: a folder, or the prefix of an object store or web server."""

import re
from dataclasses import dataclass
from pathlib import Path

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
    """Return the root that `str` wrote."""
    return RemoteRoot(text) if is_url(text) else Path(text)


def relative_path(root: ImageRoot, path: str) -> str:
    """Return a whole path or URL that lies below the root as a listing calls it; others come back as they are."""
    if isinstance(root, RemoteRoot) or is_url(path):
        return path.removeprefix(f"{root}/")
    return str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else path


def place_of(root: ImageRoot, path: str) -> str:
    """Return the whole path or URL of what a listing calls `path`, which a manifest may have given whole."""
    if is_url(path):
        return path
    return f"{root.url}/{path}" if isinstance(root, RemoteRoot) else str(root / path)
