"""Image sets that are folders: one folder per class, perhaps below train/, val/ and test/, or no classes at all."""

import heapq
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.formats import EXPECTED, begins_like_image, is_image_name
from headstart.extractors.images.image_set import (
    QUARANTINED,
    ImageSet,
    ListedImage,
    count_by_suffix,
    displayable,
    listed_file,
    listing_frame,
    os_reason,
    refuse_duplicates,
    text_series,
)
from headstart.extractors.images.layout import Layout, is_litter, split_folders
from headstart.extractors.images.roots import NOT_ALLOWED, ImageRoot, as_listed, is_allowed
from headstart.extractors.images.sources import SOURCES
from headstart.extractors.images.tar import list_archives

_LOOKED_AT_ONCE = 16
_Found = tuple[str, os.DirEntry[str], bool]  # path below the root, and whether it leads out of what may be read


def is_folder(place: ImageRoot) -> bool:
    """Tell a folder of this machine."""
    return isinstance(place, Path) and place.is_dir()


def list_folder(place: ImageRoot, layout: Layout | None = None) -> ImageSet:
    """List the images of a folder, or the tar shards in it where it has no images of its own.

    Raises
    ------
    ImageSetError
        It holds neither, or cannot be read.
    NotAllowedError
        A shard in it is a link that leads out of where this process may read.
    """
    root = Path(str(place))
    images, ignored = scan_folder(root)
    if images:
        return folder_image_set(root, images, ignored, layout)
    files = [path for path in sorted(root.iterdir()) if path.name[0] != "."]
    if shards := [as_listed(path.name) for path in files if path.suffix.lower() == ".tar"]:
        return list_archives(root, shards)
    expected = f"expected {EXPECTED}, or .tar shards"
    if not ignored:
        raise ImageSetError(f"{root}: the folder is empty; {expected}")
    found = f"{ignored.total()} files, none an image ({count_by_suffix(ignored)})"
    named = [f"{path} ({one.title})" for path in files for one in SOURCES if one.suffixes and one.claims_place(path)]
    advice = f"; give the file itself: {named[0]}" if named else ""
    raise ImageSetError(f"{root}: {found}; {expected}{advice}")


def scan_folder(root: Path) -> tuple[list[ListedImage], Counter[str]]:
    """List every image below a folder, sorted by path, and count the other files by suffix.

    An image is what is called like one, and what begins like one. Names that begin with a dot are passed over; folders
    of thumbnails and deleted files are counted. Links to folders are followed, but every folder is listed once, however
    many paths lead to it: under its own path where it has one below `root`, else under the first link to it in the
    order of their paths. A folder below `root` that cannot be read becomes one quarantined row, because its images
    cannot be named.

    Raises
    ------
    ImageSetError
        `root` itself cannot be read, or two names that are not UTF-8 would be shown alike.
    """
    images: list[ListedImage] = []
    ignored: Counter[str] = Counter()
    others: list[_Found] = []  # which are not called like images
    listed: set[tuple[int, int]] = set()
    pending = [(False, "", _identity(root.stat()))]  # a heap: links wait until no folder proper is left
    while pending:
        _, folder, identity = heapq.heappop(pending)
        if identity in listed:
            continue
        listed.add(identity)
        try:
            with os.scandir(root / folder) as found:
                entries = list(found)
        except OSError as error:
            if not folder:
                raise ImageSetError(
                    f"{root}: the folder cannot be read ({os_reason(error)}); check its owner"
                ) from error
            images.append(_quarantined(folder, f"the folder cannot be read: {os_reason(error)}"))
            continue
        for entry in entries:
            if _is_passed_over(entry, ignored):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            leads_out = entry.is_symlink() and not is_allowed(entry.path)
            if not _leads_to_folder(entry):
                if is_image_name(entry.name):
                    images.append(_quarantined(path, NOT_ALLOWED) if leads_out else _listed_entry(entry, path))
                else:
                    others.append((path, entry, leads_out))
                continue
            there = NOT_ALLOWED if leads_out else _identity_or_reason(entry)
            if isinstance(there, str):
                images.append(_quarantined(path, there))
            else:
                heapq.heappush(pending, (entry.is_symlink(), path, there))
    _tell_images(others, images, ignored)
    images.sort(key=lambda image: image.path)
    refuse_duplicates([image.path for image in images], root, "rename those whose names are not valid UTF-8")
    return images, ignored


def folder_image_set(
    root: ImageRoot, images: Sequence[ListedImage], ignored: Counter[str], layout: Layout | None = None
) -> ImageSet:
    """Give the images of a folder their splits and labels, both read from the names of the folders they lie in.

    The class is the first folder, as in torchvision's ImageFolder, or the second where the first is a split (see
    `split_folders`). Images beside class folders, or beside split folders, have no label.

    Raises
    ------
    ImageSetError
        As `split_folders`.
    """
    splits = split_folders((image.path for image in images), layout, root)
    labels: list[str | None] = []
    rows: list[ListedImage] = []
    for image in images:
        first, _, below = image.path.partition("/")
        if splits:
            split = splits.get(first)
            rows.append(image._replace(split=split))
            labels.append(below.split("/")[0] if split and "/" in below else None)
        else:
            rows.append(image)
            labels.append(first if below else None)
    if not any(labels):
        return ImageSet(root, "flat", listing_frame(rows, {}), dict(ignored))
    return ImageSet(root, "folder", listing_frame(rows, {"label": text_series(labels)}), dict(ignored))


def _is_passed_over(entry: os.DirEntry[str], ignored: Counter[str]) -> bool:
    if is_litter(entry.name):
        ignored[f"{entry.name}/"] += 1
        return True
    return entry.name.startswith(".")


def _tell_images(others: Sequence[_Found], images: list[ListedImage], ignored: Counter[str]) -> None:
    """Look into files that are not called like images, many at once: a file server answers each after a while."""

    def looks(other: _Found) -> bool:
        _, entry, leads_out = other
        try:
            return not leads_out and entry.is_file() and begins_like_image(entry.path)
        except OSError:  # a link that leads to itself
            return False

    with ThreadPoolExecutor(_LOOKED_AT_ONCE, thread_name_prefix="look") as pool:
        kinds = list(pool.map(looks, others))
    for (path, entry, _), is_image in zip(others, kinds, strict=True):
        if is_image:
            images.append(_listed_entry(entry, path))
        else:
            ignored[PurePosixPath(entry.name).suffix.lower()] += 1


def _listed_entry(entry: os.DirEntry[str], path: str) -> ListedImage:
    """Return the row of one file, found by a single stat."""
    shown = displayable(path)
    try:
        image = listed_file(shown, entry.stat())
    except OSError as error:
        return _quarantined(path, "a link to nowhere" if entry.is_symlink() else os_reason(error))
    if shown != as_listed(path):
        return image._replace(status=QUARANTINED, reason="the name is not valid UTF-8; rename the file")
    return image


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself: the stat in _listed_entry fails in the same way, and says so in the listing.
        return False


def _quarantined(path: str, reason: str) -> ListedImage:
    return ListedImage(displayable(path), status=QUARANTINED, reason=reason)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _identity_or_reason(entry: os.DirEntry[str]) -> tuple[int, int] | str:
    try:
        return _identity(entry.stat())
    except OSError as error:  # closed to us, too deep, or gone since its name was read
        return f"the folder cannot be looked at: {os_reason(error)}"
