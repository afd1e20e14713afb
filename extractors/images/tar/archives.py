"""Image sets that are tar shards in WebDataset's convention, listed so that any member can be read without unpacking.

Members whose names agree up to the first dot of the base name are one sample: `a/0007.jpg`, `a/0007.cls`,
`a/0007.json`. The convention: https://github.com/webdataset/webdataset.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images import (
    ImageRoot,
    ImageSet,
    ListedImage,
    RemoteRoot,
    count_by_suffix,
    expand_braces,
    expand_pattern,
    is_pattern,
    listing_frame,
    opened_archive,
    place_of,
    refuse_duplicates,
    split_place,
)
from headstart.extractors.images.remote import expand_remote
from headstart.extractors.images.tar.labels import Sample, describe
from headstart.extractors.images.tar.walk import TarContents, walk_tar

COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_REMOTE_AT_ONCE = 16  # archives; each is walked through header by header, and mostly waits


def list_tar(place: ImageRoot) -> ImageSet:
    """List the images inside one tar file, as `list_archives` does.

    Raises
    ------
    ImageSetError, NotAllowedError
        As `list_archives`, or its name says that it is compressed.
    """
    root, name = split_place(place)
    if not name.lower().endswith(".tar"):
        raise ImageSetError(f"{place}: a compressed archive; decompress it to a plain .tar")
    return list_archives(root, [name])


def list_pattern(place: ImageRoot) -> ImageSet:
    """List the images inside the tar files that a brace range or a glob stands for; web servers know no globs.

    Raises
    ------
    ImageSetError, NotAllowedError
        As `list_archives`, or a file of the pattern is missing or no tar.
    """
    if isinstance(place, Path):
        return list_archives(*expand_pattern(str(place)))
    addresses: list[str] = []
    for address in expand_braces(str(place)):
        found = expand_remote(address) if is_pattern(address) else [address]
        if not found:
            raise ImageSetError(f"{address}: nothing is there; check the pattern")
        addresses += found
    strangers = [address for address in addresses if not address.lower().endswith(".tar")]
    if strangers:
        raise ImageSetError(f"{place}: a pattern stands for .tar shards, but {strangers[0]} is none")
    parts = str(place).split("/")
    root = "/".join(parts[: next(number for number, part in enumerate(parts) if is_pattern(part))])
    return list_archives(RemoteRoot(root), [address.removeprefix(f"{root}/") for address in addresses])


def list_archives(root: ImageRoot, archives: Sequence[str]) -> ImageSet:
    """List the images inside tar files: by file name, then in the members' order, which is the fastest to read.

    `archives` are relative to `root`; of those at an address only the headers between the members are read.

    `.cls` gives the column `label` (int64 where each is a whole number, otherwise text); the scalar values of a `.json`
    object give label columns, and `split` and `group`. A key that would overwrite another column gets "json_" in front.

    A damaged or cut archive loses nothing that can still be read: the members before the damage are listed, and one
    more row, quarantined, stands for the rest, with the archive as its path and the damage's place as its offset.

    Raises
    ------
    ImageSetError
        A file is compressed, a member's name stands twice, a split is unknown, or no archive holds an image.
    """
    images: list[ListedImage] = []
    samples: list[Sample | None] = []
    ignored: Counter[str] = Counter()
    names = sorted(archives)
    for found in _walk(root, names):
        images.extend(found.images)
        samples.extend(found.samples)
        if found.defect:
            images.append(found.defect)
            samples.append(None)
        ignored += found.ignored
    _refuse_imageless(images, ignored, [place_of(root, name) for name in names])
    refuse_duplicates([image.path for image in images], root, "write each member under a name of its own")
    rows, labels = describe(images, samples, root)
    return ImageSet(root, "tar", listing_frame(rows, labels), dict(ignored))


def _walk(root: ImageRoot, names: Sequence[str]) -> list[TarContents]:
    def walk(name: str) -> TarContents:
        with opened_archive(root, name) as (file, archive):
            _refuse_compressed(file.read(8), place_of(root, name))
            file.seek(0)
            return walk_tar(file, archive)

    if isinstance(root, Path):
        return [walk(name) for name in names]
    with ThreadPoolExecutor(_REMOTE_AT_ONCE, thread_name_prefix="walk") as pool:
        return list(pool.map(walk, names))


def _refuse_compressed(start: bytes, archive: str) -> None:
    for magic, name in COMPRESSIONS.items():
        if start.startswith(magic):
            raise ImageSetError(
                f"{archive}: compressed with {name}, so no member can be read alone; decompress it to a plain .tar"
            )


def _refuse_imageless(images: Sequence[ListedImage], ignored: Counter[str], archives: Sequence[str]) -> None:
    if any(image.path != image.archive for image in images):
        return
    where = archives[0] if len(archives) == 1 else f"{archives[0].rpartition('/')[0]}: {len(archives)} archives"
    damage = f"; {images[0].path}: {images[0].reason}" if images else ""
    found = f"{ignored.total()} members, none an image ({count_by_suffix(ignored)})" if ignored else "no members"
    raise ImageSetError(f"{where}: {found}{damage}; check that these are shards of images")
