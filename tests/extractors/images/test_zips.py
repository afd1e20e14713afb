"""Zip files of images: listed as the folders in them, each member read where it lies, and none trusted."""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import age
from support.remote_servers import web_server
from support.small_extraction import features, listed, opened, run
from support.tar_shards import contents
from support.zip_files import write_zip, zip_folder

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import ImageSetError, NotAllowedError, NotReadError
from headstart.extractors.images.image_set import STAMP_COLUMNS, ImageSource
from headstart.extractors.images.reading import digest_bytes, image_sources, read_bytes
from headstart.extractors.images.roots import ENVIRONMENT, NOT_ALLOWED
from headstart.extractors.images.sources import list_images

Tree = Callable[..., Path]

METHODS = pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])


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
