"""Tar shards in WebDataset's convention: which archives, which members, and where their bytes lie."""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.tar_shards import add_special, contents, write_tar

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.image_set import label_columns
from headstart.extractors.images.sources import list_images


def test_any_member_is_read_by_its_offset_without_unpacking(tmp_path: Path) -> None:
    images = {f"dir/{number}.jpg": bytes([number]) * (number + 500) for number in range(1, 6)}
    write_tar(tmp_path / "shard-000.tar", images)

    found = list_images(tmp_path / "shard-000.tar")
    raw = (tmp_path / "shard-000.tar").read_bytes()

    assert (found.kind, found.root) == ("tar", tmp_path)
    assert contents(tmp_path / "shard-000.tar") == {f"shard-000.tar/{name}": data for name, data in images.items()}
    for row in found.rows.itertuples():
        assert row.archive == "shard-000.tar"
        assert raw[row.offset : row.offset + row.bytes] == images[row.path.removeprefix("shard-000.tar/")]
    assert set(found.rows["mtime_ns"]) == {(tmp_path / "shard-000.tar").stat().st_mtime_ns}


def test_a_name_that_is_too_long_for_the_plain_header_is_read_too(tmp_path: Path) -> None:
    name = "d" * 150 + "/" + "n" * 150 + "é.jpg"
    write_tar(tmp_path / "a.tar", {name: b"long", "b.jpg": b"next"})

    assert contents(tmp_path / "a.tar") == {f"a.tar/{name}": b"long", "a.tar/b.jpg": b"next"}


def test_other_members_are_counted_and_hidden_ones_passed_over(tmp_path: Path) -> None:
    members = {"1.jpg": b"1", "1.txt": b"caption", "2.TXT": b"", "README": b"", "._1.jpg": b"x", ".git/2.jpg": b"x"}

    found = list_images(write_tar(tmp_path / "a.tar", members))

    assert found.ignored == {".txt": 2, "": 1}
    assert found.rows["path"].tolist() == ["a.tar/1.jpg"]
    assert label_columns(found.rows) == []


@pytest.mark.parametrize("name", ["../../escape.jpg", "/etc/absolute.jpg", "./here.jpg", "new\nline.jpg", "🐈.jpg"])
def test_a_member_name_is_only_a_name(tmp_path: Path, name: str) -> None:
    source = write_tar(tmp_path / "inner/a.tar", {name: b"image"})
    before = sorted(tmp_path.rglob("*"))

    assert contents(source) == {f"a.tar/{name}": b"image"}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_member_name_that_is_not_utf8_is_shown_with_escapes_and_can_be_read(tmp_path: Path) -> None:
    source = write_tar(tmp_path / "a.tar", {"\udcff1.jpg": b"image"})

    assert contents(source) == {r"a.tar/\xff1.jpg": b"image"}


def test_links_and_devices_called_like_images_are_quarantined_and_folders_passed_over(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"real.jpg": b"real"})
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        for number, kind in enumerate(kinds):
            add_special(tar, f"{number}.jpg", kind, "/etc/passwd")

    rows = list_images(tmp_path / "a.tar").rows

    assert contents(tmp_path / "a.tar") == {"a.tar/real.jpg": b"real"}
    assert list(zip(rows["path"], rows["reason"], strict=True)) == [
        ("a.tar/real.jpg", ""),
        ("a.tar/0.jpg", "a symbolic link to /etc/passwd; pack the files themselves (tar --dereference)"),
        ("a.tar/1.jpg", "a hard link to /etc/passwd, which does not stand before it in the archive"),
        ("a.tar/3.jpg", "is a device, pipe or other thing, not a file"),
        ("a.tar/4.jpg", "is a device, pipe or other thing, not a file"),
    ]


def test_a_hard_link_has_the_bytes_and_labels_of_the_member_that_it_stands_for(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {".hidden.jpg": b"hidden", "1.jpg": b"first", "1.cls": b"ant"})
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        add_special(tar, "2.jpg", tarfile.LNKTYPE, "1.jpg")
        add_special(tar, "2.cls", tarfile.LNKTYPE, "1.cls")
        add_special(tar, "3.jpg", tarfile.LNKTYPE, "2.jpg")
        add_special(tar, "4.jpg", tarfile.LNKTYPE, ".hidden.jpg")

    assert contents(tmp_path / "a.tar") == {
        "a.tar/1.jpg": b"first",
        "a.tar/2.jpg": b"first",
        "a.tar/3.jpg": b"first",
        "a.tar/4.jpg": b"hidden",
    }
    assert list_images(tmp_path / "a.tar").rows["label"].tolist() == ["ant", "ant", None, None]


def test_files_with_two_names_are_both_listed_from_a_tar_made_of_them(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1.jpg").write_bytes(b"image")
    (tmp_path / "in/2.jpg").hardlink_to(tmp_path / "in/1.jpg")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "in", "in")
        assert sum(member.islnk() for member in tar.getmembers()) == 1

    assert contents(tmp_path / "a.tar") == {"a.tar/in/1.jpg": b"image", "a.tar/in/2.jpg": b"image"}


def test_an_empty_member_is_quarantined(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"1.jpg": b"", "2.jpg": b"2"})

    assert list_images(tmp_path / "a.tar").rows["reason"].tolist() == ["empty file (0 bytes)", ""]


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"1.jpg": b"1"})
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        tar.addfile(tarfile.TarInfo("1.jpg"))

    with pytest.raises(
        ImageSetError, match=r"1 paths are listed more than once \('a\.tar/1\.jpg'\); write each member under"
    ):
        list_images(tmp_path / "a.tar")


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for number in (0, 1, 2, 10):
        write_tar(tmp_path / f"set/shard-{number:03d}.tar", {"1.jpg": bytes([number])})
    return tmp_path / "set"


@pytest.mark.parametrize(
    ("pattern", "numbers"),
    [
        ("", [0, 1, 2, 10]),
        ("shard-00*.tar", [0, 1, 2]),
        ("shard-0[01]?.tar", [0, 1, 2, 10]),
        ("shard-{000..002}.tar", [0, 1, 2]),
        ("shard-0{0..1}{0..0}.tar", [0, 10]),
        ("shard-{010..010}.tar", [10]),
    ],
)
def test_shards_are_a_folder_a_glob_or_a_brace_range(shards: Path, pattern: str, numbers: list[int]) -> None:
    assert contents(shards / pattern) == {f"shard-{number:03d}.tar/1.jpg": bytes([number]) for number in numbers}


def test_a_pattern_over_folders_is_rooted_where_the_pattern_begins(shards: Path) -> None:
    found = list_images(f"{shards.parent}/s*/shard-000.tar")

    assert found.root == shards.parent
    assert found.rows[["path", "archive"]].iloc[0].tolist() == ["set/shard-000.tar/1.jpg", "set/shard-000.tar"]


def test_a_folder_whose_name_has_brackets_is_no_pattern(tmp_path: Path) -> None:
    write_tar(tmp_path / "set[1]/a.tar", {"1.jpg": b"1"})

    assert contents(tmp_path / "set[1]") == {"a.tar/1.jpg": b"1"}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("shard-{000..004}.tar", r"2 not found in .*set \(shard-003\.tar, shard-004\.tar\); check the pattern"),
        ("none-*.tar", r"1 not found in .*set \(none-\*\.tar\)"),
        ("shard-{2..0}.tar", r"\{2\.\.0\}: the range runs backwards; write \{0\.\.2\}"),
        ("*", r"a pattern stands for \.tar files, but notes\.txt is none"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused(shards: Path, pattern: str, message: str) -> None:
    (shards / "notes.txt").touch()

    with pytest.raises(ImageSetError, match=message):
        list_images(shards / pattern)


@pytest.mark.parametrize(
    ("compress", "name"), [(gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz")]
)
def test_a_compressed_tar_is_refused_whatever_its_name(
    shards: Path, compress: Callable[[bytes], bytes], name: str
) -> None:
    (shards / "shard-011.tar").write_bytes(compress((shards / "shard-000.tar").read_bytes()))

    with pytest.raises(ImageSetError, match=rf"shard-011\.tar: compressed with {name}, .*; decompress it to a plain"):
        list_images(shards)


def test_a_tar_without_images_says_what_is_in_it(tmp_path: Path) -> None:
    source = write_tar(tmp_path / "a.tar", {"1.txt": b"", "2.txt": b""})

    with pytest.raises(ImageSetError, match=r"a\.tar: 2 members, none an image \(\.txt 2\)"):
        list_images(source)
