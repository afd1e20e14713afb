"""Zip files that are damaged or hostile: what cannot be read keeps its row with the reason, and nothing unfolds on."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.small_extraction import listed
from support.zip_files import change_entry, entry_offset, write_zip

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import ImageSetError, NotReadError
from headstart.extractors.images.image_set import ImageSource
from headstart.extractors.images.reading import digest_bytes, image_sources, read_bytes
from headstart.extractors.images.sources import list_images

METHODS = pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])


def reasons(source: Path) -> dict[str, str]:
    """Return the reason of each image by its name inside."""
    rows = list_images(source).rows
    return {path.partition("/")[2]: reason for path, reason in zip(rows["path"], rows["reason"], strict=True)}


@METHODS
@pytest.mark.parametrize("damage", ["a flipped bit", "another header", "cut"])
def test_a_damaged_member_is_quarantined_with_its_reason_and_the_others_are_read(
    tmp_path: Path, method: int, damage: str, cache: EmbeddingCache
) -> None:
    images = {
        f"cat/{number}.jpg": bytes([number]) * 1000 + np.random.default_rng(number).bytes(1000) for number in range(3)
    }
    write_zip(tmp_path / "x.zip", images, method)
    start = struct.unpack("<L", entry_offset(tmp_path / "x.zip", "cat/1.jpg"))[0]
    raw = bytearray((tmp_path / "x.zip").read_bytes())
    if damage == "a flipped bit":
        raw[start + 30 + len("cat/1.jpg") + 900] ^= 1
    elif damage == "another header":
        raw[start + 1] ^= 1
    else:
        raw[start + 30 + len("cat/1.jpg") + 500 :][:500] = bytes(500)
    (tmp_path / "x.zip").write_bytes(raw)
    if damage == "cut":
        change_entry(tmp_path / "x.zip", "cat/1.jpg", 20, struct.pack("<L", 10**6))

    listing = listed(cache, tmp_path / "x.zip")

    expected = {
        "a flipped bit": "damaged in the zip file",
        "another header": "no longer as listed; the zip file has changed since",
        "cut": "the zip file ends inside it",
    }[damage]
    assert listing.usable["path"].tolist() == ["x.zip/cat/0.jpg", "x.zip/cat/2.jpg"]
    (reason,) = listing.quarantined["reason"]
    assert reason.startswith(expected)


def test_a_member_that_is_not_read_says_why(tmp_path: Path) -> None:
    source = tmp_path / "x.zip"
    with zipfile.ZipFile(source, "w") as packed:
        for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            packed.writestr(f"cat/{method}.jpg", b"image", method)
        link = zipfile.ZipInfo("cat/link.jpg")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
        for name in ("cat/empty.jpg", "cat/good.jpg", "cat/secret.jpg", "cat/../../out.jpg", "/etc/out.jpg"):
            packed.writestr(name, b"" if "empty" in name else b"image")
    change_entry(source, "cat/secret.jpg", 8, b"\1")

    assert reasons(source) == {
        "cat/12.jpg": "compressed with bzip2; pack it with deflate",
        "cat/14.jpg": "compressed with lzma; pack it with deflate",
        "cat/link.jpg": "a symbolic link; pack the files themselves",
        "cat/empty.jpg": "empty file (0 bytes)",
        "cat/good.jpg": "",
        "cat/secret.jpg": "encrypted; unpack the zip file with its password and give the folder",
        "cat/../../out.jpg": "its name leads out of the zip file",
        "/etc/out.jpg": "its name leads out of the zip file",
    }


def test_a_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "x.zip", {"a.jpg": bytes(70 * 2**20), "b.jpg": bytes(60 * 2**20), "c.jpg": b"c"})

    found = reasons(source)

    assert found["a.jpg"].endswith("that unfold to 73400320, as in a zip bomb; if it is an image, unpack it yourself")
    assert (found["b.jpg"], found["c.jpg"]) == ("", "")


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "x.zip", {"a.jpg": b"image" * 9, "b.jpg": b"other" * 9, "c.jpg": b"c"})
    change_entry(source, "b.jpg", 42, entry_offset(source, "a.jpg"))

    assert reasons(source) == {
        "a.jpg": "",
        "b.jpg": "its bytes are another member's, too, as in a zip bomb",
        "c.jpg": "",
    }


@pytest.mark.parametrize("read", [read_bytes, digest_bytes])
def test_what_unfolds_to_more_than_it_says_is_stopped(tmp_path: Path, read: Callable[..., object]) -> None:
    source = write_zip(tmp_path / "x.zip", {"a.jpg": bytes(10**7)})
    change_entry(source, "a.jpg", 24, struct.pack("<L", 1000))

    (image,) = image_sources(list_images(source).rows)

    with pytest.raises(NotReadError, match="unfolds to more bytes than the zip file says, as zip bombs do"):
        read(tmp_path, image)


def test_what_unfolds_to_less_than_it_says_is_not_read(tmp_path: Path) -> None:
    source = write_zip(tmp_path / "x.zip", {"a.jpg": b"image"})
    change_entry(source, "a.jpg", 24, struct.pack("<L", 1000))

    with pytest.raises(NotReadError, match=r"shorter than listed \(5 of 1000 bytes\)"):
        read_bytes(tmp_path, image_sources(list_images(source).rows)[0])


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zipfile's own, of what is wanted here
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as packed:
        packed.writestr("cat/1.jpg", b"1")
        packed.writestr("cat/1.jpg", b"2")

    with pytest.raises(ImageSetError, match=r"x\.zip: 1 paths are listed more than once \('cat/1\.jpg'\); give each"):
        list_images(tmp_path / "x.zip")


@pytest.mark.parametrize("start", range(0, 400, 7))
def test_a_zip_with_any_byte_changed_gives_rows_or_a_word(tmp_path: Path, start: int) -> None:
    write_zip(tmp_path / "x.zip", {"cat/1.jpg": b"image one" * 9, "dog/2.jpg": b"image two" * 9})
    raw = bytearray((tmp_path / "x.zip").read_bytes())
    for place in range(start, min(start + 7, len(raw))):
        for value in (raw[place] ^ 0x80, 0, 0xFF):
            (tmp_path / "x.zip").write_bytes(raw[:place] + bytes([value]) + raw[place + 1 :])
            try:
                found = list_images(tmp_path / "x.zip")
            except ImageSetError:
                continue
            for image in image_sources(found.rows[found.rows["status"] == "ok"]):
                try:
                    data = read_bytes(tmp_path, image)
                except NotReadError:
                    continue
                assert data in (b"image one" * 9, b"image two" * 9)


def test_a_gigantic_member_is_refused_before_it_is_read(tmp_path: Path) -> None:
    write_zip(tmp_path / "x.zip", {"a.jpg": b"a"})

    with pytest.raises(NotReadError, match=r"^3221225472 bytes is over the limit of 2147483648$"):
        read_bytes(tmp_path, ImageSource("x.zip/a.jpg", "x.zip", 0, 3 * 2**30))
