"""Image sets that are zip files: the folders in it listed as on a disk, each member read where it lies.

The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from io import BufferedReader
from pathlib import PurePosixPath
from typing import BinaryIO

from headstart.extractors.errors import ImageSetError, NotReadError
from headstart.extractors.images.folders import folder_image_set
from headstart.extractors.images.formats import EXPECTED, START_BYTES, format_of, is_image_name, may_be_image
from headstart.extractors.images.image_set import (
    EMPTY_FILE,
    QUARANTINED,
    ImageSet,
    ImageSource,
    ListedImage,
    count_by_suffix,
    displayable,
    is_hidden,
    refuse_duplicates,
)
from headstart.extractors.images.layout import Layout, is_litter, split_of
from headstart.extractors.images.reading import opened_archive, opened_at
from headstart.extractors.images.roots import ImageRoot, RemoteRoot, split_place

_DAMAGE = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, struct.error)
# In front of a member: signature, flags, method, checksum, lengths of name and extra.
_HEADER = struct.Struct("<4s2xHH4xL8xHH")
_SIGNATURE, _DESCRIPTOR_SIGNATURE = b"PK\x03\x04", b"PK\x07\x08"
_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED, _CHECKSUM_FOLLOWS = 0x1, 0x8
_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}
_LOOKED_AT = 4096  # folded bytes, of which the first unfolded ones come
_MOST_FOLDS, _FREE_BYTES = 100, 64 * 2**20  # an image that is over both is a canvas of one colour
_CHANGED = "no longer as listed; the zip file has changed since"


def list_zip(place: ImageRoot, layout: Layout | None = None) -> ImageSet:
    """List the images in a zip file as those of the folder that it would unpack to, sorted by path.

    Only its table of contents is read. Where all lies in one folder, and that is no split, it is the folder that was
    packed, and no class. A member that is encrypted, compressed in another way than by
    deflate, or would unfold like a zip bomb is quarantined.

    Raises
    ------
    ImageSetError
        It is damaged, holds no image, or two members have one name.
    NotAllowedError
        This process may not read there.
    """
    root, name = split_place(place)
    with opened_archive(root, name) as (file, archive):
        try:
            with zipfile.ZipFile(file) as opened:
                members, end = opened.infolist(), opened.start_dir
        except _DAMAGE as error:
            if isinstance(error.__context__, OSError):  # zipfile says of what cannot be read that it is no zip file
                raise error.__context__ from None
            raise ImageSetError(
                f"{place}: no whole zip file ({error}); it may have been cut on its way: fetch it again, or unpack "
                "what can be unpacked and give the folder"
            ) from error
        images, ignored = _images_among(members, archive, end, lambda member: _begins_like_image(file, member, root))
    if not images:
        found = f"{ignored.total()} members, none an image ({count_by_suffix(ignored)})" if ignored else "no members"
        raise ImageSetError(f"{place}: {found}; expected {EXPECTED}")
    paths = [image.path for image in images]
    refuse_duplicates(paths, place, "give each member a name of its own")
    inside = len(_common_folder(paths))
    unpacked = [image._replace(path=image.path[inside:]) for image in images]
    listed = folder_image_set(root, unpacked, ignored, layout)
    return ImageSet(root, "zip", listed.rows.assign(path=[f"{name}/{path}" for path in paths]), listed.ignored)


def read_member(root: ImageRoot, image: ImageSource, at_once: int) -> Iterator[bytes]:
    """Yield the bytes of a member, unfolded, and check them against their checksum.

    Raises
    ------
    NotReadError
        It is damaged, or is not what was listed.
    """
    expected = image.bytes + image.bytes // 64 + 4096  # what cannot be compressed grows a little
    with opened_at(root, image.archive or "", image.offset or 0, expected) as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:4] != _SIGNATURE:
            raise NotReadError(_CHANGED)
        _, flags, method, checksum, *lengths = _HEADER.unpack(header)
        file.read(sum(lengths))
        if flags & _ENCRYPTED or method not in _READ:
            raise NotReadError(_CHANGED)
        unfolding = _Unfolding(file, image.bytes, min(at_once, expected))
        yield from unfolding.stored() if method == zipfile.ZIP_STORED else unfolding.deflated()
        checksums = _checksums_behind(unfolding.rest + file.read(8)) if flags & _CHECKSUM_FOLLOWS else {checksum}
        if unfolding.checksum not in checksums:
            raise NotReadError("damaged in the zip file: its bytes do not fit their checksum")


class _Unfolding:
    """The bytes of one member, and what is known of them when they have all been taken."""

    def __init__(self, file: BufferedReader, n_bytes: int, at_once: int) -> None:
        self._file, self._left, self._at_once = file, n_bytes, max(at_once, 1)
        self.checksum, self.rest = 0, b""

    def stored(self) -> Iterator[bytes]:
        while self._left and (piece := self._file.read(min(self._left, self._at_once))):
            yield self._counted(piece)

    def deflated(self) -> Iterator[bytes]:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        while not inflater.eof:
            folded = inflater.unconsumed_tail or self._file.read1(self._at_once)
            if not folded:
                raise NotReadError("damaged in the zip file: it ends too early")
            try:
                piece = inflater.decompress(folded, min(self._at_once, self._left) + 1)
            except zlib.error as error:
                raise NotReadError(f"damaged in the zip file ({error})") from error
            yield self._counted(piece)
        self.rest = inflater.unused_data

    def _counted(self, piece: bytes) -> bytes:
        self._left -= len(piece)
        if self._left < 0:
            raise NotReadError("it unfolds to more bytes than the zip file says, as zip bombs do")
        self.checksum = zlib.crc32(piece, self.checksum)
        return piece


def _checksums_behind(descriptor: bytes) -> set[int]:
    """Return the numbers that may be the checksum behind a member: there may be a signature before it, or not."""
    starts = (0, 4) if descriptor[:4] == _DESCRIPTOR_SIGNATURE else (0,)
    return {int.from_bytes(descriptor[start : start + 4], "little") for start in starts}


def _images_among(
    members: Sequence[zipfile.ZipInfo], archive: ListedImage, end: int, looks: Callable[[zipfile.ZipInfo], bool]
) -> tuple[list[ListedImage], Counter[str]]:
    """Return the images by their names inside the archive, sorted, and count what else is there by suffix."""
    images: list[ListedImage] = []
    ignored: Counter[str] = Counter()
    reached = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        overlaps = member.header_offset < reached
        reached = max(reached, _end_of(member) if _end_of(member) <= end else 0)
        name = _name_of(member)
        suffix = PurePosixPath(name).suffix.lower()
        if name.endswith("/") or is_hidden(name):
            continue
        litter = next((folder for folder in name.split("/")[:-1] if is_litter(folder)), None)
        reason = _flaw_of(member, name, end) or ("its bytes are another member's, too, as in a zip bomb" * overlaps)
        if litter or not (is_image_name(name) or (not reason and looks(member))):
            ignored[f"{litter}/" if litter else suffix] += 1
            continue
        row = archive._replace(
            path=name, archive=archive.path, offset=member.header_offset, bytes=member.file_size, reason=reason
        )
        images.append(row._replace(status=QUARANTINED) if reason else row)
    return sorted(images, key=lambda image: image.path), ignored


def _begins_like_image(file: BinaryIO, member: zipfile.ZipInfo, root: ImageRoot) -> bool:
    """Look into a member that is not called like an image; at an address that is a request, so only in doubt."""
    if isinstance(root, RemoteRoot) and not may_be_image(member.filename):
        return False
    file.seek(member.header_offset)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or header[:4] != _SIGNATURE:
        return False
    _, _, method, _, *lengths = _HEADER.unpack(header)
    file.seek(sum(lengths), io.SEEK_CUR)
    start = file.read(_LOOKED_AT)
    if method == zipfile.ZIP_DEFLATED:
        try:
            start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(start, START_BYTES)
        except zlib.error:
            return False
    return format_of(start[: member.file_size]) is not None


def _name_of(member: zipfile.ZipInfo) -> str:
    """Return a member's name with slashes, which some programs of Windows write the other way round."""
    name = displayable(member.filename)
    return name if "/" in name else name.replace("\\", "/")


def _end_of(member: zipfile.ZipInfo) -> int:
    return member.header_offset + _HEADER.size + member.compress_size


def _flaw_of(member: zipfile.ZipInfo, name: str, end: int) -> str:
    """Say why a member is not read; "" where it is."""
    n_bytes, folded, method = member.file_size, member.compress_size, member.compress_type
    reason = "" if n_bytes else EMPTY_FILE
    if member.flag_bits & _ENCRYPTED:
        reason = "encrypted; unpack the zip file with its password and give the folder"
    elif method not in _READ:
        reason = f"compressed with {_METHODS.get(method, f'method {method}')}; pack it with deflate"
    elif stat.S_ISLNK(member.external_attr >> 16):
        reason = "a symbolic link; pack the files themselves"
    elif name.startswith("/") or ".." in name.split("/"):
        reason = "its name leads out of the zip file"
    elif _end_of(member) > end:
        reason = "the zip file ends inside it"
    elif n_bytes > _FREE_BYTES and n_bytes > _MOST_FOLDS * folded:
        reason = f"{folded} bytes that unfold to {n_bytes}, as in a zip bomb; if it is an image, unpack it yourself"
    return reason


def _common_folder(paths: Sequence[str]) -> str:
    """Return the folders with a slash at the end, or "", in which all lies, as far as they are no splits."""
    common = ""
    while True:
        first, slash, _ = paths[0][len(common) :].partition("/")
        longer = f"{common}{first}/"
        if not slash or split_of(first) or not all(path.startswith(longer) for path in paths):
            return common
        common = longer
