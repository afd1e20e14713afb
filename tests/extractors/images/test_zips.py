"""Zip files of images: listed as the folders in them, each member read where it lies, and none trusted."""

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import age
from support.remote_servers import web_server
from support.small_extraction import features, listed, opened, run
from support.tar_shards import contents
from support.zip_files import change_entry, entry_offset, write_zip, zip_folder

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import ImageSetError, NotAllowedError, NotReadError
from headstart.extractors.images.image_set import STAMP_COLUMNS, ImageSource
from headstart.extractors.images.reading import digest_bytes, image_sources, read_bytes
from headstart.extractors.images.roots import ENVIRONMENT, NOT_ALLOWED
from headstart.extractors.images.sources import list_images

Tree = Callable[..., Path]

METHODS = pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])


def reasons(source: Path) -> dict[str, str]:
    """Return the reason of each image by its name inside."""
    rows = list_images(source).rows
    return {path.partition("/")[2]: reason for path, reason in zip(rows["path"], rows["reason"], strict=True)}


@METHODS
@pytest.mark.parametrize("inside", ["", "photos/", "a/photos/"])
@pytest.mark.parametrize(
    "files",
    [
        ["cat/1.jpg", "cat/deep/2.jpg", "dog/1.PNG", "notes.txt", ".hidden/3.jpg", "@eaDir/4.jpg"],
        ["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/2.jpg"],
        ["cat/1.jpg", "dog/1.jpg", "stray.jpg"],
        ["1.jpg", "2.jpg"],
    ],
    ids=["classes", "splits", "a stray one", "flat"],
)
def test_the_rows_are_those_of_the_folder(
    tree: Tree, tmp_path: Path, files: list[str], inside: str, method: int
) -> None:
    folder = tree(*files)

    here, there = list_images(folder), list_images(zip_folder(folder, tmp_path / "x.ZIP", inside=inside, method=method))

    assert (there.kind, there.root, there.ignored) == ("zip", tmp_path, here.ignored)
    assert there.rows["path"].tolist() == [f"x.ZIP/{inside}{path}" for path in here.rows["path"]]
    columns = [name for name in here.rows if name not in {"path", "archive", "offset", "mtime_ns", *STAMP_COLUMNS}]
    assert there.rows[columns].equals(here.rows[columns])
    assert set(there.rows["mtime_ns"]) == {(tmp_path / "x.ZIP").stat().st_mtime_ns}
    read = [
        (read_bytes(found.root, one), digest_bytes(found.root, one))
        for found in (here, there)
        for one in image_sources(found.rows)
    ]
    assert read[: len(here.rows)] == read[len(here.rows) :]


def test_a_split_is_no_folder_to_pass_through(tree: Tree, tmp_path: Path) -> None:
    folder = tree("train/cat/1.jpg", "train/dog/1.jpg")

    rows = list_images(zip_folder(folder, tmp_path / "x.zip")).rows

    assert rows[["split", "label"]].to_numpy().tolist() == [["train", "cat"], ["train", "dog"]]


def test_rows_of_the_folder_serve_the_zip_and_a_second_extraction_reads_nothing(
    photos: Path, tmp_path: Path, cache: EmbeddingCache, read_paths: list[str]
) -> None:
    assert run(opened(cache, photos)) == 36
    packed = zip_folder(photos, tmp_path / "photos.zip")
    age(tmp_path)
    before = sorted(tmp_path.rglob("*.png"))
    read_paths.clear()

    from_zip = opened(cache, packed)
    assert (run(from_zip), len(read_paths)) == (0, 36)
    assert from_zip.listing.rows["digest"].tolist() == listed(cache, photos).rows["digest"].tolist()
    listed(cache, packed)
    read_paths.clear()

    assert run(opened(cache, packed)) == 0
    assert read_paths == []
    assert sorted(tmp_path.rglob("*.png")) == before, "nothing is unpacked"


def test_features_are_those_of_the_files(photos: Path, tmp_path: Path) -> None:
    here = opened(EmbeddingCache(tmp_path / "here", create=True), photos)
    there = opened(EmbeddingCache(tmp_path / "there", create=True), zip_folder(photos, tmp_path / "photos.zip"))

    assert (run(here), run(there)) == (36, 36)
    assert features(there) == features(here)


def test_a_zip_that_changed_is_read_again(tmp_path: Path, cache: EmbeddingCache, read_paths: list[str]) -> None:
    write_zip(tmp_path / "x.zip", {"cat/1.jpg": b"one", "dog/2.jpg": b"two"})
    age(tmp_path)
    listed(cache, tmp_path / "x.zip")
    write_zip(tmp_path / "x.zip", {"cat/1.jpg": b"one", "dog/2.jpg": b"owt"})
    read_paths.clear()

    listed(cache, tmp_path / "x.zip")

    assert read_paths == ["x.zip/cat/1.jpg", "x.zip/dog/2.jpg"]


class Stream(io.RawIOBase):
    """A file that cannot go back, as a pipe: sizes and checksums have to follow the members."""

    def __init__(self, target: Path) -> None:
        self._file = target.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self._file.write(data)  # type: ignore[arg-type] # a buffer, as zipfile writes it

    def close(self) -> None:
        self._file.close()
        super().close()


@METHODS
def test_members_whose_sizes_follow_them_are_read_and_checked(tmp_path: Path, method: int) -> None:
    members = {f"cat/{number}.jpg": os.urandom(100 * number + 1) + bytes(5000) for number in range(3)}
    with Stream(tmp_path / "x.zip") as stream, zipfile.ZipFile(stream, "w", method) as packed:
        for name, data in members.items():
            packed.writestr(name, data)

    assert contents(tmp_path / "x.zip") == {f"x.zip/{name}": data for name, data in members.items()}

    raw = (tmp_path / "x.zip").read_bytes()
    where = raw.index(b"PK\x07\x08") + 4
    (tmp_path / "x.zip").write_bytes(raw[:where] + bytes(4) + raw[where + 4 :])
    first, *others = image_sources(list_images(tmp_path / "x.zip").rows)
    with pytest.raises(NotReadError, match="do not fit their checksum"):
        read_bytes(tmp_path, first)
    assert [read_bytes(tmp_path, one) for one in others] == list(members.values())[1:]


def test_something_before_the_zip_moves_all_of_it(tmp_path: Path) -> None:
    write_zip(tmp_path / "x.zip", {"cat/1.jpg": b"image"})
    (tmp_path / "x.zip").write_bytes(b"a program that unpacks it" + (tmp_path / "x.zip").read_bytes())

    assert contents(tmp_path / "x.zip") == {"x.zip/cat/1.jpg": b"image"}


def test_names_written_with_backslashes_are_folders_too(tmp_path: Path) -> None:
    write_zip(tmp_path / "x.zip", {"cat_1.jpg": b"1", "dog_2.jpg": b"2"})
    raw = (tmp_path / "x.zip").read_bytes()
    (tmp_path / "x.zip").write_bytes(raw.replace(b"cat_", b"cat\\").replace(b"dog_", b"dog\\"))

    rows = list_images(tmp_path / "x.zip").rows

    assert rows[["path", "label"]].to_numpy().tolist() == [["x.zip/cat/1.jpg", "cat"], ["x.zip/dog/2.jpg", "dog"]]


@METHODS
@pytest.mark.parametrize("damage", ["a flipped bit", "another header", "cut"])
def test_a_damaged_member_is_quarantined_with_its_reason_and_the_others_are_read(
    tmp_path: Path, method: int, damage: str, cache: EmbeddingCache
) -> None:
    images = {f"cat/{number}.jpg": bytes([number]) * 1000 + os.urandom(1000) for number in range(3)}
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


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"no zip file at all", r"x\.zip: no whole zip file .*it may have been cut on its way: fetch it again"),
        (b"", "no whole zip file"),
        ({}, "no members; expected"),
        ({"a.txt": b"", "b.zip": b"PK", "c/": b""}, r"2 members, none an image \(\.txt 1, \.zip 1\); expected \.bmp"),
    ],
)
def test_a_zip_without_images_says_what_was_found(tmp_path: Path, data: bytes | dict[str, bytes], message: str) -> None:
    if isinstance(data, bytes):
        (tmp_path / "x.zip").write_bytes(data)
    else:
        write_zip(tmp_path / "x.zip", data)

    with pytest.raises(ImageSetError, match=message):
        list_images(tmp_path / "x.zip")


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


def test_a_folder_with_a_zip_alone_is_answered_with_the_zip(tmp_path: Path) -> None:
    write_zip(tmp_path / "set" / "x.zip", {"a.jpg": b"a"})

    with pytest.raises(ImageSetError, match=r"give the file itself: .*/set/x\.zip \(zip file\)"):
        list_images(tmp_path / "set")


def test_a_zip_outside_the_roots_is_neither_listed_nor_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_zip(tmp_path / "outside" / "x.zip", {"a.jpg": b"secret"})
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "x.zip").symlink_to(source)
    rows = list_images(source).rows
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"roots": [str(tmp_path / "inside")]}))

    for place in (source, tmp_path / "inside" / "x.zip"):
        with pytest.raises(NotAllowedError, match=NOT_ALLOWED):
            list_images(place)
    for planted in ("x.zip", "../outside/x.zip"):
        with pytest.raises(NotReadError, match=NOT_ALLOWED):
            read_bytes(tmp_path / "inside", ImageSource("x.zip/a.jpg", planted, int(rows["offset"][0]), 6))


def test_a_gigantic_member_is_refused_before_it_is_read(tmp_path: Path) -> None:
    write_zip(tmp_path / "x.zip", {"a.jpg": b"a"})

    with pytest.raises(NotReadError, match=r"^3221225472 bytes is over the limit of 2147483648$"):
        read_bytes(tmp_path, ImageSource("x.zip/a.jpg", "x.zip", 0, 3 * 2**30))


@METHODS
def test_a_zip_on_a_web_server_is_read_where_it_lies(tmp_path: Path, method: int) -> None:
    images = {
        f"{'cat' if number < 2 else 'dog'}/{number}.png": os.urandom(20_000 + number) + bytes(200_000)
        for number in range(4)
    }
    write_zip(tmp_path / "x.zip", {**images, "film.bin": os.urandom(2_000_000)}, method)
    with web_server() as web:
        web.files["set/x.zip"] = (tmp_path / "x.zip").read_bytes()

        found = list_images(f"{web.url}/set/x.zip")
        here = list_images(tmp_path / "x.zip")

        columns = ["path", "archive", "offset", "bytes", "label", "status"]
        assert found.rows[columns].equals(here.rows[columns])
        asked = len(web.requests)
        assert [read_bytes(found.root, one) for one in image_sources(found.rows)] == list(images.values())
        assert len(web.requests) - asked == 4


def test_a_zip_on_a_server_that_sends_all_for_a_part_is_refused(tmp_path: Path) -> None:
    write_zip(tmp_path / "x.zip", {"cat/1.png": os.urandom(20_000)})
    with web_server() as web:
        web.files["x.zip"] = (tmp_path / "x.zip").read_bytes()
        web.ranges = False

        with pytest.raises(ImageSetError, match="does not serve byte ranges"):
            list_images(f"{web.url}/x.zip")


@pytest.mark.parametrize("n_bytes", [0, 1, 1 << 20, (2 << 20) + 5])
@METHODS
def test_bytes_and_digest_are_those_that_were_packed(tmp_path: Path, n_bytes: int, method: int) -> None:
    image = os.urandom(n_bytes // 2) + bytes(n_bytes - n_bytes // 2)
    source = write_zip(tmp_path / "x.zip", {"a.jpg": image, "b.jpg": b"b"}, method)

    one = image_sources(list_images(source).rows)[0]

    assert read_bytes(tmp_path, one) == image
    assert digest_bytes(tmp_path, one) == digest_bytes_of(image, tmp_path)
    assert zlib.crc32(read_bytes(tmp_path, one)) == zlib.crc32(image)


def digest_bytes_of(data: bytes, folder: Path) -> str:
    (folder / "plain.jpg").write_bytes(data)
    return digest_bytes(folder, ImageSource("plain.jpg", None, None, len(data)))
