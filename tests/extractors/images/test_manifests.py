"""CSV and Parquet manifests: what is kept, what is quarantined, and what is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.image_set import label_columns
from headstart.extractors.images.manifests import read_manifest
from headstart.extractors.images.reading import image_sources, read_bytes
from headstart.extractors.images.sources import list_images

Write = Callable[[str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"images/{name}.jpg").write_bytes(name.encode() * 7)
    return tmp_path


@pytest.fixture
def csv(folder: Path) -> Write:
    def write(text: str) -> Path:
        (folder / "set.csv").write_text(text, encoding="utf-8")
        return folder / "set.csv"

    return write


def test_paths_are_relative_to_the_manifest_and_keep_its_order(csv: Write, folder: Path) -> None:
    image_set = list_images(csv("path,label\nimages/c.jpg,x\nimages/a.jpg,y\n"))

    assert (image_set.kind, image_set.root) == ("manifest", folder)
    assert image_set.rows["path"].tolist() == ["images/c.jpg", "images/a.jpg"]
    assert read_bytes(image_set.root, image_sources(image_set.rows)[0]) == b"ccccccc"


def test_an_absolute_path_is_kept_and_read(csv: Write, folder: Path) -> None:
    image_set = list_images(csv(f"path\n{folder}/images/a.jpg\n"))

    assert image_set.rows["path"].tolist() == [f"{folder}/images/a.jpg"]
    assert image_set.rows["bytes"].tolist() == [7]
    assert read_bytes(Path("/nowhere"), image_sources(image_set.rows)[0]) == b"aaaaaaa"


def test_split_and_group_are_text_with_none_for_empty_cells(csv: Write) -> None:
    rows = list_images(csv("path,split,group\nimages/a.jpg,Valid,007\nimages/b.jpg,,\nimages/c.jpg,test,8\n")).rows

    assert rows["split"].tolist() == ["val", None, "test"]
    assert rows["group"].tolist() == ["007", None, "8"]
    assert label_columns(rows) == []


def test_label_columns_of_a_csv_keep_the_type_of_their_values(csv: Write) -> None:
    rows = list_images(csv("path,species,age,sharp\nimages/a.jpg,ant,3,True\nimages/b.jpg,bee,4,False\n")).rows

    assert label_columns(rows) == ["species", "age", "sharp"]
    assert [rows[name].dtype for name in label_columns(rows)] == [object, np.int64, np.bool_]
    assert rows["species"].tolist() == ["ant", "bee"]


def test_only_an_empty_cell_is_missing_so_a_class_may_be_called_na(csv: Write) -> None:
    rows = list_images(csv("path,label\nimages/a.jpg,NA\nimages/b.jpg,None\nimages/c.jpg,\n")).rows

    assert rows["label"].tolist() == ["NA", "None", None]


@pytest.mark.parametrize("name", ["set", "Subset", "partition", "phase", "Split"])
def test_splits_may_stand_in_a_column_of_another_name_which_is_noted(csv: Write, name: str) -> None:
    found = list_images(csv(f"path,{name}\nimages/a.jpg,Training\nimages/b.jpg,dev\nimages/c.jpg,\n"))
    assert found.rows["split"].tolist() == ["train", "val", None]
    assert label_columns(found.rows) == []
    assert found.notes == (f"column {name!r} holds the splits (Training, dev)",)


@pytest.mark.parametrize("name", ["Usage", "split"])
def test_a_capital_begins_a_word_of_a_split(csv: Write, name: str) -> None:
    rows = list_images(csv(f"path,{name}\nimages/a.jpg,Training\nimages/b.jpg,PublicTest\n")).rows
    assert rows["split"].tolist() == ["train", "test"]


def test_a_column_of_such_a_name_that_holds_something_else_is_a_label(csv: Write) -> None:
    rows = list_images(csv("path,phase\nimages/a.jpg,test\nimages/b.jpg,solid\n")).rows
    assert rows["split"].tolist() == [None, None]
    assert label_columns(rows) == ["phase"]


def test_an_empty_text_of_a_parquet_manifest_is_no_class(folder: Path) -> None:
    pd.DataFrame({"path": ["images/a.jpg", "images/b.jpg"], "label": ["ant", ""]}).to_parquet(folder / "set.parquet")
    assert list_images(folder / "set.parquet").rows["label"].tolist() == ["ant", None]


def test_labels_of_a_csv_that_would_not_be_written_back_are_text(csv: Write) -> None:
    rows = list_images(csv("path,code,id\nimages/a.jpg,01,12345678901234567890\nimages/b.jpg,1,2\n")).rows
    assert rows["code"].tolist() == ["01", "1"]
    assert rows["id"].tolist() == ["12345678901234567890", "2"]


def test_a_parquet_manifest_keeps_its_dtypes(folder: Path) -> None:
    table = pd.DataFrame({"path": ["images/a.jpg", "images/b.jpg"], "group": [1, 2], "weight": [1.5, None]})
    table["label"] = pd.Categorical(["ant", "bee"])
    table["rank"] = pd.array([1, None], dtype="Int32")
    table["name"] = ["x", None]
    table["day"] = pd.to_datetime(["2024-01-01", "2024-01-02"])
    table.to_parquet(folder / "set.parquet")
    kept = ["weight", "label", "rank", "day"]

    rows = list_images(folder / "set.parquet").rows

    pd.testing.assert_frame_equal(rows[kept], pd.read_parquet(folder / "set.parquet")[kept])
    assert rows["group"].tolist() == ["1", "2"]
    assert rows["name"].tolist() == ["x", None]
    rows.to_parquet(folder / "listing.parquet")


def test_a_byte_order_mark_is_no_part_of_the_first_column(folder: Path) -> None:
    (folder / "set.csv").write_text("path\nimages/a.jpg\n", encoding="utf-8-sig")

    assert list_images(folder / "set.csv").rows["path"].tolist() == ["images/a.jpg"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("images/gone.jpg", "no such file"),
        ("images/a.jpg/b.jpg", "no such file"),
        ("images", "is a folder, not a file"),
        ("empty.jpg", "empty file (0 bytes)"),
        ("x" * 300 + ".jpg", "file name too long"),
    ],
)
def test_a_file_that_cannot_be_used_keeps_its_row_and_label(csv: Write, folder: Path, path: str, reason: str) -> None:
    (folder / "empty.jpg").touch()

    rows = list_images(csv(f"path,label\nimages/a.jpg,x\n{path},y\n")).rows

    assert rows["status"].tolist() == ["ok", "quarantined"]
    assert rows.loc[1, ["path", "label", "reason"]].tolist() == [path, "y", reason]


def test_a_null_character_in_a_name_is_quarantined(folder: Path) -> None:
    pd.DataFrame({"path": ["images/a.jpg", "a\0b.jpg"]}).to_parquet(folder / "set.parquet")

    rows = list_images(folder / "set.parquet").rows

    assert rows.loc[1, "reason"] == "no file can have this name (embedded null byte)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\nimages/a.jpg,x\n", r"set\.csv: no column `path` \(found: file, label\); call the column"),
        ("", r"set\.csv: not a csv table \(No columns to parse from file\)"),
        ("path,label\n", r"set\.csv: no rows below the header"),
        ('path\n"images/a.jpg\n', r"set\.csv: not a csv table \(.*EOF inside string"),
        ("path,label\na.jpg,x\nb.jpg,y,z\n", r"set\.csv: not a csv table \(.*Expected 2 fields in line 3, saw 3"),
        (
            "path,label\na.jpg,x,y\nb.jpg,z,w\n",
            "rows have more cells than the header; put cells that hold a comma in quotes",
        ),
        ("path,label\na.jpg,x\n,y\n,z\n", r"2 rows without a path \(row 2, 3, counted from 1 below the header\)"),
        (
            "path,split\na.jpg,train\nb.jpg,first\nc.jpg,hold\n",
            "unknown split 'first', 'hold'; write train, val",
        ),
        ("path\na.jpg\nb.jpg\na.jpg\n", r"1 paths are listed more than once \('a\.jpg'\); keep one row for each image"),
        ("path\na.jpg\n./a.jpg\n", r"1 paths are listed more than once \('a\.jpg'\)"),
    ],
)
def test_a_wrong_manifest_is_refused_with_what_was_found(csv: Write, text: str, message: str) -> None:
    with pytest.raises(ImageSetError, match=message):
        list_images(csv(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.jpg,x\n,y\n", r"1 rows without a path \(row 2, counted from 1 below the header\)"),
        ("path\na.jpg\n./a.jpg\n", r"1 paths are listed more than once \('a\.jpg'\)"),
        ("path,split\na.jpg,first\n", "unknown split 'first'"),
    ],
)
def test_a_wrong_table_is_refused_also_where_its_images_are_not_looked_for(csv: Write, text: str, message: str) -> None:
    with pytest.raises(ImageSetError, match=message):
        read_manifest(csv(text))


def test_a_table_that_is_read_says_what_its_listing_would(csv: Write) -> None:
    file = csv("path,split,group,label\n./gone//1.jpg,Validation,007,NA\nimages/a.jpg,Train,,\n")

    table, rows = read_manifest(file), list_images(file).rows

    assert table.to_dict("list") == {
        "path": ["gone/1.jpg", "images/a.jpg"],
        "split": ["val", "train"],
        "group": ["007", None],
        "label": ["NA", None],
    }
    pd.testing.assert_frame_equal(rows[list(table.columns)], table)


def test_a_table_keeps_its_rows_together_whatever_index_it_was_written_with(folder: Path) -> None:
    table = pd.DataFrame({"path": ["images/a.jpg", "images/b.jpg"], "age": [3, 4]}, index=[7, 0])
    table.to_parquet(folder / "set.parquet")

    rows = list_images(folder / "set.parquet").rows

    assert rows[["path", "age"]].to_dict("list") == table.to_dict("list")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.csv", r"gone\.csv: no such file; check the path"),
        ("gone.parquet", r"gone\.parquet: no such file; check the path"),
        ("labels.xlsx", r"labels\.xlsx: unknown kind of table; give a \.csv or \.parquet file"),
        ("images", r"images: unknown kind of table; give a \.csv or \.parquet file"),
    ],
)
def test_a_table_that_is_not_there_or_of_another_kind_is_refused(folder: Path, name: str, message: str) -> None:
    (folder / "labels.xlsx").write_bytes(b"PK")

    with pytest.raises(ImageSetError, match=message):
        read_manifest(folder / name)


def test_many_duplicates_are_counted_and_the_first_three_named(csv: Write) -> None:
    with pytest.raises(ImageSetError, match=r"5 paths .* \('0', '1', '2', …\)"):
        list_images(csv("path\n" + "".join(f"{number}\n" for number in [*range(5)] * 2)))


def test_a_damaged_parquet_file_is_refused(folder: Path) -> None:
    (folder / "set.parquet").write_bytes(b"PAR1 nothing")

    with pytest.raises(ImageSetError, match=r"set\.parquet: not a parquet table"):
        list_images(folder / "set.parquet")


@pytest.mark.parametrize(("value", "kind"), [([1, 2], "ndarray"), ({"a": 1}, "dict"), (b"\xff\xd8", "bytes")])
def test_a_column_of_containers_is_refused(folder: Path, value: object, kind: str) -> None:
    pd.DataFrame({"path": ["images/a.jpg"], "boxes": [value]}).to_parquet(folder / "set.parquet")

    with pytest.raises(ImageSetError, match=f"column boxes holds {kind}; a label is text, a number"):
        list_images(folder / "set.parquet")


def test_a_path_that_is_a_number_is_refused(folder: Path) -> None:
    pd.DataFrame({"path": [1, 2]}).to_parquet(folder / "set.parquet")

    with pytest.raises(ImageSetError, match="2 rows without a path"):
        list_images(folder / "set.parquet")


def test_a_limit_goes_by_the_first_label_column_where_none_is_called_label(csv: Write) -> None:
    source = csv("path,species\nimages/a.jpg,ant\nimages/b.jpg,ant\nimages/c.jpg,bee\n")

    assert list_images(source, limit=2).rows["path"].tolist() == ["images/a.jpg", "images/c.jpg"]


def test_a_parquet_manifest_in_a_folder_whose_name_is_not_utf8_is_read(folder: Path) -> None:
    moved = (folder / "images").rename(folder / os.fsdecode(b"images\xff"))
    pd.DataFrame({"path": ["b.jpg", "a.jpg"]}).to_parquet(folder / "set.parquet")
    manifest = (folder / "set.parquet").rename(moved / "set.parquet")

    image_set = list_images(manifest)

    assert image_set.rows[["path", "status"]].to_numpy().tolist() == [["b.jpg", "ok"], ["a.jpg", "ok"]]
