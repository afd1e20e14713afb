"""Tar shards in WebDataset's convention: where each image lies, what its sample says, and what damage leaves."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from extractors.errors import ImageSetError
from extractors.images import image_sources, label_columns, list_images, read_bytes


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    """Write members in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def contents(source: str | Path) -> dict[str, bytes]:
    """Return path → bytes of all images that can be read."""
    found = list_images(source)
    sources = image_sources(found.rows[found.rows["status"] == "ok"])
    return {each.path: read_bytes(found.root, each) for each in sources}


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


def test_members_that_agree_up_to_the_first_dot_are_one_sample(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "a.tar",
        {
            "x/1.jpg": b"1",
            "x/1.cls": b"ant\n",
            "y/1.cls": b"bee",
            "y/1.left.png": b"2",
            "y/1.right.png": b"3",
            "z/1.jpg": b"4",
        },
    )

    rows = list_images(tmp_path / "a.tar").rows

    assert dict(zip(rows["path"], rows["label"], strict=True)) == {
        "a.tar/x/1.jpg": "ant",
        "a.tar/y/1.left.png": "bee",
        "a.tar/y/1.right.png": "bee",
        "a.tar/z/1.jpg": None,
    }


@pytest.mark.parametrize(
    ("classes", "labels", "dtype"),
    [
        (["3", "-10"], [3, -10], "int64"),
        (["3", None], [3, pd.NA], "Int64"),
        (["3", "ant"], ["3", "ant"], "object"),
        (["007", "8"], ["007", "8"], "object"),
        ([" ant \n", ""], ["ant", None], "object"),
        (["9" * 30, "1"], ["9" * 30, "1"], "object"),
    ],
    ids=["numbers", "number missing", "mixed", "leading zero", "spaces", "too large"],
)
def test_classes_are_whole_numbers_or_text(
    tmp_path: Path, classes: list[str | None], labels: list[object], dtype: str
) -> None:
    members = {f"{number}.jpg": b"image" for number in range(2)}
    members |= {f"{number}.cls": value.encode() for number, value in enumerate(classes) if value is not None}
    write_tar(tmp_path / "a.tar", members)

    column = list_images(tmp_path / "a.tar").rows["label"]

    assert str(column.dtype) == dtype
    assert column.tolist() == labels


def test_scalars_of_the_json_are_label_columns_split_and_group(tmp_path: Path) -> None:
    first = {"species": "ant", "age": 3, "size": 1, "wild": True, "split": "train", "group": 7, "box": [1, 2]}
    second = {"species": "bee", "size": 2.5, "wild": False, "split": "valid", "group": None, "box": {}}
    write_tar(
        tmp_path / "a.tar",
        {"1.jpg": b"1", "1.json": json.dumps(first).encode(), "2.jpg": b"2", "2.json": json.dumps(second).encode()},
    )

    rows = list_images(tmp_path / "a.tar").rows

    assert label_columns(rows) == ["species", "age", "size", "wild"]
    assert [str(rows[name].dtype) for name in label_columns(rows)] == ["object", "Int64", "float64", "bool"]
    assert rows["species"].tolist() == ["ant", "bee"]
    assert rows["age"].tolist() == [3, pd.NA]
    assert rows["size"].tolist() == [1.0, 2.5]
    assert rows["split"].tolist() == ["train", "val"]
    assert rows["group"].tolist() == ["7", None]


def test_keys_that_would_overwrite_another_column_get_a_prefix(tmp_path: Path) -> None:
    values = {"status": "success", "path": "x", "label": "from json", "digest": "ab", "url": "u"}
    write_tar(tmp_path / "a.tar", {"1.jpg": b"1", "1.cls": b"ant", "1.json": json.dumps(values).encode()})

    row = list_images(tmp_path / "a.tar").rows.iloc[0]

    assert (row["status"], row["path"], row["label"]) == ("ok", "a.tar/1.jpg", "ant")
    assert (row["json_status"], row["json_path"], row["json_label"], row["json_digest"]) == (
        "success",
        "x",
        "from json",
        "ab",
    )
    assert row["url"] == "u"


def test_values_of_several_types_or_odd_text_are_text_that_parquet_takes(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "a.tar",
        {
            "1.jpg": b"1",
            "1.json": rb'{"mixed": 1, "big": 99999999999999999999, "text": "\ud800"}',
            "2.jpg": b"2",
            "2.json": b'{"mixed": "one", "big": 1.5}',
        },
    )

    rows = list_images(tmp_path / "a.tar").rows
    rows.to_parquet(tmp_path / "listing.parquet")

    assert rows["mixed"].tolist() == ["1", "one"]
    assert rows["big"].tolist() == ["99999999999999999999", "1.5"]
    assert rows["text"].tolist() == [r"\ud800", None]


@pytest.mark.parametrize(
    ("member", "data", "reason"),
    [
        ("1.json", b"{", "its .json cannot be read (Expecting property name"),
        ("1.json", b"[" * 100_000, "its .json cannot be read ("),
        ("1.json", b"[1]", "its .json holds no object but a list"),
        ("1.json", b"\xff\xfe\xff", "its .json cannot be read ("),
        ("1.cls", b"\xff", "its .cls is not UTF-8 text"),
    ],
)
def test_an_image_whose_labels_cannot_be_read_is_quarantined(
    tmp_path: Path, member: str, data: bytes, reason: str
) -> None:
    write_tar(tmp_path / "a.tar", {"1.jpg": b"1", member: data, "2.jpg": b"2"})

    rows = list_images(tmp_path / "a.tar").rows

    assert rows["status"].tolist() == ["quarantined", "ok"]
    assert rows.loc[0, "reason"].startswith(reason)


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"1.jpg": b"1", "1.json": b'{"split": "dev"}'})

    with pytest.raises(
        ImageSetError, match=r"a\.tar/1\.jpg: unknown split 'dev' in its \.json; write train, val or test"
    ):
        list_images(tmp_path / "a.tar")


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


def add_special(tar: tarfile.TarFile, name: str, kind: bytes, target: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    tar.addfile(member)


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


def test_an_image_whose_class_is_a_symbolic_link_is_quarantined(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"1.jpg": b"1", "1.cls": b"ant", "2.jpg": b"2"})
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        add_special(tar, "2.cls", tarfile.SYMTYPE, "1.cls")

    assert list_images(tmp_path / "a.tar").rows["reason"].tolist() == [
        "",
        "its .cls is a symbolic link to 1.cls; pack the files themselves (tar --dereference)",
    ]


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


def test_a_file_that_is_no_tar_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"text" * 500)

    with pytest.raises(ImageSetError, match=r"a\.tar: no members; a\.tar: damaged archive, at byte 0"):
        list_images(tmp_path / "a.tar")


def test_an_empty_shard_beside_good_ones_is_one_quarantined_row(shards: Path) -> None:
    (shards / "shard-001.tar").write_bytes(b"")

    rows = list_images(shards).rows

    assert rows["path"].tolist()[:2] == ["shard-000.tar/1.jpg", "shard-001.tar"]
    assert rows.loc[1, ["archive", "offset", "status"]].tolist() == ["shard-001.tar", 0, "quarantined"]
    assert rows.loc[1, "reason"] == "damaged archive, at byte 0: empty file; members from there on are not listed"


# Each member takes a header and a data block of 512 bytes: 1.jpg 0-1024, 2.jpg 1024-2048, 3.jpg 2048-3072.
@pytest.mark.parametrize(
    ("length", "readable", "quarantined"),
    [
        (3072, ["1.jpg", "2.jpg", "3.jpg"], {"a.tar": "at byte 3072: no end mark, so it may have been cut"}),
        (
            2560 + 100,
            ["1.jpg", "2.jpg"],
            {"a.tar/3.jpg": "ends inside it (100 of 512 bytes)", "a.tar": "unexpected end of data"},
        ),
        (
            2560,
            ["1.jpg", "2.jpg"],
            {"a.tar/3.jpg": "ends inside it (0 of 512 bytes)", "a.tar": "unexpected end of data"},
        ),
        (2048 + 100, ["1.jpg", "2.jpg"], {"a.tar": "at byte 2048: no end mark"}),
        (1024, ["1.jpg"], {"a.tar": "at byte 1024: no end mark, so it may have been cut"}),
    ],
    ids=["no end mark", "inside data", "before data", "inside a header", "between members"],
)
def test_what_precedes_the_cut_of_a_tar_is_listed(
    tmp_path: Path, length: int, readable: list[str], quarantined: dict[str, str]
) -> None:
    source = write_tar(tmp_path / "a.tar", {f"{number}.jpg": bytes([number]) * 512 for number in (1, 2, 3)})
    source.write_bytes(source.read_bytes()[:length])

    rows = list_images(source).rows
    bad = rows[rows["status"] == "quarantined"]

    assert list(contents(source)) == [f"a.tar/{name}" for name in readable]
    assert bad["path"].tolist() == list(quarantined)
    assert all(part in reason for part, reason in zip(quarantined.values(), bad["reason"], strict=True))


def test_a_class_that_is_cut_is_not_taken_for_a_shorter_name(tmp_path: Path) -> None:
    source = write_tar(tmp_path / "a.tar", {"1.jpg": b"1", "1.cls": b"anteater"})
    source.write_bytes(source.read_bytes()[: 1024 + 512 + 3])

    rows = list_images(source).rows

    assert rows["path"].tolist() == ["a.tar/1.jpg", "a.tar"]
    assert rows.loc[0, ["status", "reason"]].tolist() == ["quarantined", "the archive ends inside its .cls"]
    assert label_columns(rows) == []


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    source = write_tar(tmp_path / "a.tar", {f"{number}.jpg": bytes([number]) * 512 for number in (1, 2, 3)})
    data = bytearray(source.read_bytes())
    data[1024:1030] = b"damage"
    source.write_bytes(data)

    rows = list_images(source).rows

    assert rows["path"].tolist() == ["a.tar/1.jpg", "a.tar"]
    assert rows.loc[1, "offset"] == 1024
    assert "at byte 1024: a damaged header; members from there on are not listed" in rows.loc[1, "reason"]


def test_archives_that_were_joined_are_not_silently_cut_at_the_first_end(tmp_path: Path) -> None:
    source = write_tar(tmp_path / "a.tar", {"1.jpg": b"1"})
    source.write_bytes(source.read_bytes() * 2)

    rows = list_images(source).rows

    assert rows["status"].tolist() == ["ok", "quarantined"]
    assert "more data after the end mark, as in joined archives; split it" in rows.loc[1, "reason"]


def test_a_header_of_negative_size_does_not_run_in_circles(tmp_path: Path) -> None:
    source = write_tar(tmp_path / "a.tar", {"1.jpg": b"1" * 512, "2.jpg": b"2" * 512})
    data = bytearray(source.read_bytes())
    header = data[1024:1536]
    header[124:136] = b"\xff" * 10 + b"\xfc\x00"  # base 256: -1024, which leads back to the first member
    header[148:156] = b"        "
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    data[1024:1536] = header
    source.write_bytes(data)

    rows = list_images(source).rows

    assert rows["path"].tolist() == ["a.tar/1.jpg", "a.tar"]
    assert rows.loc[1, "reason"].startswith("damaged archive, at byte")


def test_a_sparse_member_is_quarantined(tmp_path: Path) -> None:
    header = tarfile.TarInfo("1.jpg")
    header.type, header.size = tarfile.GNUTYPE_SPARSE, 512
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[386:410] = b"00000000000\x0000000001000\x00"  # one piece of 512 bytes at 0
    block[483:495] = b"00000002000\x00"
    block[148:156] = b"        "
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(bytes(block) + b"x" * 512 + bytes(1024))

    assert list_images(tmp_path / "a.tar").rows["reason"].tolist() == [
        "a sparse member, whose bytes do not lie together"
    ]
