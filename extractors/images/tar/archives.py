"""Image sets that are tar shards in WebDataset's convention, listed so that any member can be read without unpacking.

Members whose names agree up to the first dot of the base name are one sample: `a/0007.jpg`, `a/0007.cls`,
`a/0007.json`. The convention: https://github.com/webdataset/webdataset.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from headstart.extractors.errors import ImageSetError, NotAllowedError, NotReadError
from headstart.extractors.images import (
    NOT_ALLOWED,
    ImageRoot,
    ImageSet,
    ListedImage,
    RemoteRoot,
    count_by_suffix,
    is_allowed,
    listed_file,
    listing_frame,
    os_reason,
    place_of,
    refuse_duplicates,
)
from headstart.extractors.images.tar.labels import Sample, describe
from headstart.extractors.images.tar.walk import TarContents, walk_tar

COMPRESSIONS = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_REMOTE_AT_ONCE = 16  # archives; each is walked through header by header, and mostly waits


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
    for found in _walk_remote(root, names) if isinstance(root, RemoteRoot) else _walk(root, names):
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


def _walk(root: Path, names: Sequence[str]) -> Iterator[TarContents]:
    for name in names:
        archive = root / name
        if not is_allowed(archive):
            raise NotAllowedError(f"{archive}: {NOT_ALLOWED}")
        try:
            with archive.open("rb") as file:
                _refuse_compressed(file.read(8), archive)
                file.seek(0)
                yield walk_tar(file, listed_file(name, os.fstat(file.fileno())))
        except OSError as error:
            raise ImageSetError(f"{archive}: cannot be read ({os_reason(error)}); check its owner") from error


def _walk_remote(root: RemoteRoot, names: Sequence[str]) -> list[TarContents]:
    from headstart.extractors.images.remote import open_object  # noqa: PLC0415 - local images do without

    def walk(name: str) -> TarContents:
        url = place_of(root, name)
        try:
            with open_object(name, url) as (file, archive):
                _refuse_compressed(file.read(8), url)
                file.seek(0)
                return walk_tar(file, archive)
        except NotReadError as error:
            raise ImageSetError(f"{url}: cannot be read: {error}") from error

    with ThreadPoolExecutor(_REMOTE_AT_ONCE, thread_name_prefix="walk") as pool:
        return list(pool.map(walk, names))


def _refuse_compressed(start: bytes, archive: Path | str) -> None:
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
