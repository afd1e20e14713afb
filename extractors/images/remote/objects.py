"""Image sets in object stores and on web servers: what lies there, and by which tag an unchanged object is known."""

import io
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from headstart.extractors.errors import ImageSetError, NotAllowedError, NotReadError
from headstart.extractors.images import (
    EMPTY_FILE,
    QUARANTINED,
    START_BYTES,
    ListedImage,
    format_of,
    is_image_name,
    is_litter,
    may_be_image,
)
from headstart.extractors.images.remote.address import check_address
from headstart.extractors.images.remote.store import RangeFile, ask, read_at_most

_BUFFER_BYTES = 64 * 2**10  # a header and the labels beside it; the image itself is passed over
_LARGEST_MANIFEST = 2**30  # some ten million rows
_AT_ONCE = 32  # requests; each mostly waits

_Details = dict[str, Any]  # of an object, as its store tells them


def scan_prefix(url: str) -> tuple[list[ListedImage], Counter[str], list[str]]:
    """List every image below an address of an object store, sorted by path, and count the other objects by suffix.

    An image is what is called like one, and what begins like one, unless its name says that it is something else.

    Names that begin with a dot are passed over, as in a folder.

    Returns
    -------
    list of ListedImage, Counter of str, list of str
        The third names the ``.tar`` objects that lie directly below the address.

    Raises
    ------
    ImageSetError
        The address is one of a web server, which knows no folders, or the store does not answer.
    """
    check_address(url)
    if urlsplit(url).scheme in ("http", "https"):
        raise ImageSetError(
            f"{url}: a web server knows no folders; give a .csv or .parquet manifest whose column `path` names the "
            "images, or .tar shards"
        )
    try:
        found: dict[str, _Details] = ask(url, lambda store: store.find(url, detail=True))
    except NotReadError as error:
        raise ImageSetError(f"{url}: cannot be listed: {error}") from error
    above = url.partition("://")[2].rstrip("/") + "/"
    images: list[ListedImage] = []
    ignored: Counter[str] = Counter()
    shards: list[str] = []
    others: list[tuple[str, _Details]] = []  # which are not called like images
    for name, info in sorted(found.items()):
        path = name.removeprefix(above)
        parts = path.split("/")
        if info.get("type") == "directory" or name.endswith("/") or any(part[:1] == "." for part in parts):
            continue
        if litter := next((part for part in parts[:-1] if is_litter(part)), None):
            ignored[f"{litter}/"] += 1
            continue
        if is_image_name(path):
            images.append(_listed(path, info))
        else:
            others.append((path, info))

    def looks(other: tuple[str, _Details]) -> bool:
        path, info = other
        return bool(info.get("size")) and may_be_image(path) and _begins_like_image(f"{url}/{path}")

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="look") as pool:
        kinds = list(pool.map(looks, others))
    for (path, info), is_image in zip(others, kinds, strict=True):
        if is_image:
            images.append(_listed(path, info))
        else:
            suffix = PurePosixPath(path).suffix.lower()
            ignored[suffix] += 1
            shards += [path] if suffix == ".tar" and "/" not in path else []
    return sorted(images, key=lambda image: image.path), ignored, shards


def look_up(places: Iterable[tuple[str, str]]) -> list[ListedImage]:
    """Return the row of each object, given as its path in the listing and its URL; quarantined where it cannot be had.

    Raises
    ------
    ImageSetError
        An address is refused.
    """

    def one(place: tuple[str, str]) -> ListedImage:
        path, url = place
        try:
            return _listed(path, ask(url, lambda store: store.info(url)))
        except (NotReadError, NotAllowedError) as error:
            return ListedImage(path, status=QUARANTINED, reason=str(error))

    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="look up") as pool:
        return list(pool.map(one, places))


@contextmanager
def open_object(path: str, url: str) -> Iterator[tuple[BinaryIO, ListedImage]]:
    """Open an object that is read by ranges, and give its row in the listing.

    Raises
    ------
    NotReadError
        It cannot be had, also while it is read.
    ImageSetError, NotAllowedError
        As `extractors.images.remote.store.open_store`.
    """
    row = _listed(path, ask(url, lambda store: store.info(url)))
    if row.status == QUARANTINED:
        raise NotReadError(row.reason)
    with io.BufferedReader(RangeFile(url, row.bytes), _BUFFER_BYTES) as file:
        yield file, row


def read_whole(url: str) -> bytes:
    """Return the content of an object, for a manifest.

    Raises
    ------
    ImageSetError
        It cannot be had.
    """
    try:
        content = read_at_most(url, _LARGEST_MANIFEST)
    except NotReadError as error:
        raise ImageSetError(f"{url}: {error}") from error
    if len(content) > _LARGEST_MANIFEST:
        raise ImageSetError(f"{url}: over {_LARGEST_MANIFEST} bytes, which no manifest has; check the address")
    return content


def expand_remote(pattern: str) -> list[str]:
    """Return the addresses that a glob stands for, sorted.

    Raises
    ------
    ImageSetError
        The store does not answer.
    """
    try:
        found: list[str] = ask(pattern, lambda store: store.glob(pattern))
    except NotReadError as error:
        raise ImageSetError(f"{pattern}: cannot be listed: {error}") from error
    return sorted(f"{urlsplit(pattern).scheme}://{name}" for name in found)


def _begins_like_image(url: str) -> bool:
    try:
        start: bytes = ask(url, lambda store: store.cat_file(url, start=0, end=START_BYTES))
    except (NotReadError, NotAllowedError, ImageSetError):
        return False
    return format_of(start) is not None


def _listed(path: str, info: Mapping[str, Any]) -> ListedImage:
    image = ListedImage(path, mtime_ns=_changed_ns(info), etag=_tag(info))
    if info.get("type") == "directory":
        return image._replace(status=QUARANTINED, reason="is a folder, not a file")
    if "?" in path or "#" in path:
        reason = "a name with ? or # could not be told from an address with a query; rename it"
        return image._replace(status=QUARANTINED, reason=reason)
    if info.get("size") is None:
        return image._replace(status=QUARANTINED, reason="the server does not tell its size, so it cannot be checked")
    image = image._replace(bytes=int(info["size"]))
    return image if image.bytes else image._replace(status=QUARANTINED, reason=EMPTY_FILE)


def _tag(info: Mapping[str, Any]) -> str | None:
    """Return the tag that the store changes with every other content: its ETag, or the generation."""
    tag = info.get("ETag") or info.get("generation") or info.get("etag")
    return str(tag).strip('"') if tag else None


def _changed_ns(info: Mapping[str, Any]) -> int:
    changed = info.get("LastModified") or info.get("updated") or info.get("Last-Modified")
    try:
        if isinstance(changed, str):
            changed = parsedate_to_datetime(changed) if "," in changed else datetime.fromisoformat(changed)
    except ValueError:
        changed = None
    if not isinstance(changed, datetime):
        return 0 if _tag(info) else time.time_ns()  # what has neither a tag nor a time is read again every time
    moment = changed if changed.tzinfo else changed.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000
