"""Walking through one tar file: where each image's bytes lie, what belongs to its sample, and where damage begins."""

import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO

from headstart.extractors.images import (
    EMPTY_FILE,
    OK,
    QUARANTINED,
    STAMP_COLUMNS,
    START_BYTES,
    ListedImage,
    displayable,
    format_of,
    is_hidden,
    is_image_name,
)
from headstart.extractors.images.tar.labels import Sample

_BLOCK = tarfile.BLOCKSIZE
_OF_ARCHIVE = ("mtime_ns", "etag", *STAMP_COLUMNS)  # a member is as new as its archive
_LARGEST = 2**48
MOST_LABEL_BYTES = 2**20  # of a .cls or .json, which hold a few words each
_DAMAGE = (
    tarfile.TarError,  # a header that is cut or does not fit its checksum, data that ends too early
    ValueError,  # a number or a key in an extended header that is none
    OverflowError,  # a size that no file has
    EOFError,  # an extended header that is cut
)


@dataclass
class TarContents:
    """Content of one tar file: `samples` goes along with `images`, and `defect` is the row for what cannot be read."""

    images: list[ListedImage] = field(default_factory=list)
    samples: list[Sample | None] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    defect: ListedImage | None = None


def walk_tar(file: BinaryIO, archive: ListedImage) -> TarContents:
    """List the members of an uncompressed tar, up to its end or its first damage.

    `archive` is its own row: its path is the archive's name in the listing, its time and tag are those of each member.

    Names are only names here, absolute ones and `..` included: nothing is unpacked. A hard link, which is what GNU tar
    makes of a file's second name, has the bytes of the member before it. Symbolic links and devices are quarantined if
    they are called like an image; folders and hidden members are passed over.
    """
    contents = TarContents()
    by_key: dict[str, Sample] = {}
    by_name: dict[str, ListedImage] = {}
    end, damage = 0, ""
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                if member.size < 0 or member.offset_data <= end:
                    # Some versions of tarfile walk in circles here (CVE-2025-8194).
                    damage = "a header of negative size"
                    break
                end = member.offset_data
                if member.isdir():
                    continue
                row = _listed_member(member, archive.path, archive.bytes, by_name)
                row = row._replace(**{name: getattr(archive, name) for name in _OF_ARCHIVE})
                by_name[member.name] = row  # hidden or not, a hard link may lead here
                if not is_hidden(member.name):
                    _add_member(contents, by_key, row, file)
                _refuse_impossible(member)
            end = tar.offset
    except _DAMAGE as error:
        damage = str(error) or type(error).__name__
    damage = damage or _flaw_of_end(file, end)
    if damage:
        reason = f"damaged archive, at byte {end}: {damage}; members from there on are not listed"
        contents.defect = archive._replace(archive=archive.path, offset=end, bytes=0, status=QUARANTINED, reason=reason)
    return contents


def _refuse_impossible(member: tarfile.TarInfo) -> None:
    """Raise where the next member would lie beyond where any file can be looked into."""
    if member.size > _LARGEST:
        raise tarfile.ReadError("a header of impossible size")


def _listed_member(
    member: tarfile.TarInfo, archive: str, archive_bytes: int, earlier: Mapping[str, ListedImage]
) -> ListedImage:
    path = f"{archive}/{displayable(member.name)}"
    if member.islnk() and member.linkname in earlier:
        return earlier[member.linkname]._replace(path=path)
    if not member.isreg():
        row = ListedImage(path, archive, member.offset_data, 0)
        return row._replace(status=QUARANTINED, reason=_irregular(member))
    if member.size > _LARGEST:
        return ListedImage(
            path, archive, member.offset_data, status=QUARANTINED, reason=f"its header claims {member.size} bytes"
        )
    row = ListedImage(path, archive, member.offset_data, member.size)
    there = archive_bytes - member.offset_data
    if member.issparse():
        return row._replace(status=QUARANTINED, reason="a sparse member, whose bytes do not lie together")
    if member.size > there:
        return row._replace(
            status=QUARANTINED, reason=f"the archive ends inside it ({max(there, 0)} of {member.size} bytes)"
        )
    return row if member.size else row._replace(status=QUARANTINED, reason=EMPTY_FILE)


def _irregular(member: tarfile.TarInfo) -> str:
    if member.islnk():
        return f"a hard link to {displayable(member.linkname)}, which does not stand before it in the archive"
    if member.issym():
        return f"a symbolic link to {displayable(member.linkname)}; pack the files themselves (tar --dereference)"
    return "is a device, pipe or other thing, not a file"


def _add_member(contents: TarContents, by_key: dict[str, Sample], row: ListedImage, file: BinaryIO) -> None:
    """Add a member to its sample: as an image, as its labels, or counted as ignored."""
    folder, _, base = row.path.rpartition("/")
    stem, _, extension = base.partition(".")
    sample = by_key.setdefault(f"{folder}/{stem}", Sample())
    suffix = PurePosixPath(base).suffix.lower()
    if is_image_name(base):
        contents.images.append(row)
        contents.samples.append(sample)
    elif extension.lower() in {"cls", "json"}:
        file.seek(row.offset or 0)
        too_large = row.bytes > MOST_LABEL_BYTES
        data = b"" if too_large or row.status == QUARANTINED else file.read(row.bytes)  # which the archive has, then
        if too_large:
            sample.reason = f"its .{extension.lower()} of {row.bytes} bytes is over the limit of {MOST_LABEL_BYTES}"
        elif len(data) < row.bytes:
            sample.reason = f"the archive ends inside its .{extension.lower()}"
        elif row.status == QUARANTINED and row.reason != EMPTY_FILE:
            sample.reason = f"its .{extension.lower()} is {row.reason.removeprefix('is ')}"
        elif extension.lower() == "cls":
            sample.read_class(data)
        else:
            sample.read_json(data)
    elif row.status == OK and _begins_like_image(file, row):
        contents.images.append(row)
        contents.samples.append(sample)
    else:
        contents.ignored[suffix] += 1


def _begins_like_image(file: BinaryIO, row: ListedImage) -> bool:
    file.seek(row.offset or 0)  # right behind its header, which was read a moment ago
    return format_of(file.read(min(row.bytes, START_BYTES))) is not None


def _flaw_of_end(file: BinaryIO, end: int) -> str:
    """Say what is wrong where the members end: tarfile takes a damaged header, too, for a regular end."""
    file.seek(end)
    block = file.read(_BLOCK)
    if len(block) < _BLOCK:
        return "no end mark, so it may have been cut"
    if block.strip(b"\0"):
        return "a damaged header"
    while chunk := file.read(1 << 20):
        if chunk.strip(b"\0"):
            return "more data after the end mark, as in joined archives; split it"
    return ""
