"""What damage leaves of a tar: members before it are listed, and one quarantined row stands for the rest."""

import tarfile
from pathlib import Path

import pytest
from support.tar_shards import contents, write_tar

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.image_set import label_columns
from headstart.extractors.images.sources import list_images


def test_a_file_that_is_no_tar_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"text" * 500)

    with pytest.raises(ImageSetError, match=r"a\.tar: no members; a\.tar: damaged archive, at byte 0"):
        list_images(tmp_path / "a.tar")


def test_an_empty_shard_beside_good_ones_is_one_quarantined_row(tmp_path: Path) -> None:
    for number in (0, 2):
        write_tar(tmp_path / f"shard-{number:03d}.tar", {"1.jpg": bytes([number])})
    (tmp_path / "shard-001.tar").write_bytes(b"")

    rows = list_images(tmp_path).rows

    assert rows["path"].tolist() == ["shard-000.tar/1.jpg", "shard-001.tar", "shard-002.tar/1.jpg"]
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


@pytest.mark.parametrize("name", ["2.jpg", "2.json"])
@pytest.mark.parametrize("size", [2**20, 2**40, 2**62, 2**63 - 1600, 2**63 - 1, 2**63, 2**80])
def test_a_member_of_impossible_size_is_one_row_and_the_other_archives_are_listed(
    tmp_path: Path, name: str, size: int
) -> None:
    whole = write_tar(tmp_path / "a.tar", {"1.jpg": b"one", name: b"two", "3.jpg": b"three"}).read_bytes()
    header = bytearray(whole[1024:1536])
    header[124:136] = b"\x80" + size.to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(whole[:1024] + header + whole[1536:])
    write_tar(tmp_path / "b.tar", {"9.jpg": b"nine"})
    rows = list_images(tmp_path).rows.set_index("path")
    assert rows.index[rows["status"] == "ok"].tolist() == ["a.tar/1.jpg", "b.tar/9.jpg"]
    assert rows.loc["a.tar", "reason"].startswith("damaged archive, at byte ")
    assert ("a.tar/2.jpg" in rows.index) == (name == "2.jpg")
    if name == "2.jpg":
        assert f"{size} bytes" in rows.loc["a.tar/2.jpg", "reason"]
