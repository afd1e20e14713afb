"""What the `.cls` and `.json` of a sample say about its images."""

import json
import tarfile
from pathlib import Path

import pandas as pd
import pytest
from support.tar_shards import add_special, write_tar

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.image_set import label_columns
from headstart.extractors.images.sources import list_images
from headstart.extractors.images.tar import walk


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
        (["3", "-10"], ["3", "-10"], "object"),
        (["3", None], ["3", None], "object"),
        (["3", "ant"], ["3", "ant"], "object"),
        (["007", "8"], ["007", "8"], "object"),
        ([" ant \n", ""], ["ant", None], "object"),
        (["9" * 30, "1"], ["9" * 30, "1"], "object"),
    ],
    ids=["numbers", "number missing", "mixed", "leading zero", "spaces", "too large"],
)
def test_classes_are_text_as_they_are_written(
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
    write_tar(tmp_path / "a.tar", {"1.jpg": b"1", "1.json": b'{"split": "fold2"}'})

    with pytest.raises(
        ImageSetError, match=r"a\.tar/1\.jpg: unknown split 'fold2' in its \.json; write train, val or test"
    ):
        list_images(tmp_path / "a.tar")


def test_an_image_whose_class_is_a_symbolic_link_is_quarantined(tmp_path: Path) -> None:
    write_tar(tmp_path / "a.tar", {"1.jpg": b"1", "1.cls": b"ant", "2.jpg": b"2"})
    with tarfile.open(tmp_path / "a.tar", "a") as tar:
        add_special(tar, "2.cls", tarfile.SYMTYPE, "1.cls")

    assert list_images(tmp_path / "a.tar").rows["reason"].tolist() == [
        "",
        "its .cls is a symbolic link to 1.cls; pack the files themselves (tar --dereference)",
    ]


@pytest.mark.parametrize("suffix", ["cls", "json"])
def test_labels_of_a_size_that_none_has_are_not_read(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MOST_LABEL_BYTES", 1000)
    members = {
        "a.jpg": b"a",
        f"a.{suffix}": b" " * 1001,
        "b.jpg": b"b",
        f"b.{suffix}": b"1" if suffix == "cls" else b"{}",
    }
    rows = list_images(write_tar(tmp_path / "set.tar", members)).rows
    assert rows["reason"].tolist() == [f"its .{suffix} of 1001 bytes is over the limit of 1000", ""]
    assert rows["status"].tolist() == ["quarantined", "ok"]
