"""A folder becomes rows: classes, splits, what is passed over, and an order that is always the same."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.image_set import LISTING_COLUMNS, label_columns
from headstart.extractors.images.sources import list_images

Tree = Callable[..., Path]


def listed(root: Path, *columns: str) -> list[tuple[object, ...]]:
    rows = list_images(root).rows
    return list(rows[list(columns)].itertuples(index=False, name=None))


def test_the_class_is_the_first_folder_and_images_are_found_at_any_depth_below_it(tree: Tree) -> None:
    root = tree("dog/2.jpg", "cat/kittens/young/9.png", "cat/1.jpg")

    assert listed(root, "path", "label", "split") == [
        ("cat/1.jpg", "cat", None),
        ("cat/kittens/young/9.png", "cat", None),
        ("dog/2.jpg", "dog", None),
    ]


def test_a_folder_of_classes_is_of_kind_folder_and_its_root_is_absolute(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree("cat/1.jpg")
    monkeypatch.chdir(root.parent)

    image_set = list_images("pictures")

    assert (image_set.kind, image_set.root) == ("folder", root)


def test_listing_columns_come_first_and_the_rest_are_labels(tree: Tree) -> None:
    rows = list_images(tree("cat/1.jpg")).rows

    assert tuple(rows.columns) == (*LISTING_COLUMNS, "label")
    assert LISTING_COLUMNS == (
        "path",
        "archive",
        "offset",
        "bytes",
        "mtime_ns",
        "split",
        "group",
        "status",
        "reason",
        "etag",
        "file_inode",
        "changed_ns",
    )
    assert label_columns(rows.assign(digest="ab", weight=1.0)) == ["label", "weight"]


def test_size_and_time_of_change_are_those_of_the_file(tree: Tree) -> None:
    root = tree("cat/1.jpg")
    os.utime(root / "cat/1.jpg", ns=(1, 1_700_000_000_123_456_789))

    row = list_images(root).rows.iloc[0]

    assert (row["bytes"], row["mtime_ns"]) == (len("content of cat/1.jpg"), 1_700_000_000_123_456_789)


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_labels_come_from_below_split_folders(tree: Tree, validation: str) -> None:
    root = tree("train/cat/1.jpg", f"{validation}/cat/2.jpg", "test/dog/deep/3.jpg")

    assert set(listed(root, "split", "label")) == {("train", "cat"), ("val", "cat"), ("test", "dog")}


@pytest.mark.parametrize(
    ("paths", "splits", "labels"),
    [
        (["test/1.jpg", "cat/1.jpg"], {None}, {"test", "cat"}),
        (["test/cat/1.jpg", "val/cat/1.jpg"], {"test", "val"}, {"cat"}),
        (["train/1.jpg", "plane/1.jpg", "car/1.jpg"], {None}, {"train", "plane", "car"}),
        (["train/cat/1.jpg", "extra/1.jpg"], {"train", None}, {"cat", None}),
        (["train/cat/1.jpg", "test/1.jpg"], {"train", "test"}, {"cat", None}),
        (["train/a/1.jpg", "train/b/1.jpg"], {"train"}, {"a", "b"}),
    ],
    ids=[
        "no train",
        "val and test alone",
        "a class of trains",
        "a folder beside",
        "test without classes",
        "train alone",
    ],
)
def test_folders_named_like_splits(tree: Tree, paths: list[str], splits: set[str], labels: set[str]) -> None:
    rows = list_images(tree(*paths)).rows

    assert (set(rows["split"]), set(rows["label"])) == (splits, labels)


def test_an_empty_train_folder_leaves_the_others_classes(tree: Tree) -> None:
    root = tree("test/1.jpg", "cat/1.jpg")
    (root / "train").mkdir()

    assert set(listed(root, "label", "split")) == {("test", None), ("cat", None)}


def test_a_folder_without_classes_has_no_label_column(tree: Tree) -> None:
    image_set = list_images(tree("b.jpg", "a.png"))

    assert image_set.kind == "flat"
    assert image_set.rows["path"].tolist() == ["a.png", "b.jpg"]
    assert label_columns(image_set.rows) == []


def test_splits_without_classes_are_flat(tree: Tree) -> None:
    image_set = list_images(tree("train/1.jpg", "val/2.jpg"))

    assert image_set.kind == "flat"
    assert image_set.rows["split"].tolist() == ["train", "val"]


def test_images_beside_class_folders_have_no_label(tree: Tree) -> None:
    assert listed(tree("cat/1.jpg", "stray.jpg"), "path", "label") == [("cat/1.jpg", "cat"), ("stray.jpg", None)]


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "Png", "webp", "gif", "bmp", "TIF", "tiff"])
def test_every_image_suffix_is_listed_in_any_case(tree: Tree, suffix: str) -> None:
    assert listed(tree(f"cat/1.{suffix}"), "path") == [(f"cat/1.{suffix}",)]


def test_other_files_are_counted_by_suffix_and_hidden_ones_passed_over(tree: Tree) -> None:
    image_set = list_images(
        tree("cat/1.jpg", "cat/a.TXT", "b.txt", "README", "cat/.hidden.jpg", ".git/2.jpg", "cat/._1.jpg")
    )

    assert image_set.ignored == {".txt": 2, "": 1}
    assert len(image_set.rows) == 1


def test_rows_are_sorted_by_path_whatever_order_the_filesystem_gives(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree("b/2.jpg", "a/1.jpg", "a-c/3.jpg", "a/d/4.jpg", "é/5.jpg")
    forward = list_images(root).rows

    class Backwards:
        def __init__(self, path: Path) -> None:
            with real(path) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self) -> list[os.DirEntry[str]]:
            return self.entries

        def __exit__(self, *error: object) -> None:
            pass

    real = os.scandir
    monkeypatch.setattr(os, "scandir", Backwards)

    assert forward["path"].tolist() == ["a-c/3.jpg", "a/1.jpg", "a/d/4.jpg", "b/2.jpg", "é/5.jpg"]
    pd.testing.assert_frame_equal(list_images(root).rows, forward)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "the folder is empty; expected .bmp, .gif, .jpeg"),
        (["a.txt", "b.txt", "c.md"], r"3 files, none an image \(\.txt 2, \.md 1\); expected \.bmp"),
        (["README"], r"1 files, none an image \(no suffix 1\)"),
        (["all.csv"], r"give the file itself: .*pictures/all\.csv \(CSV or Parquet manifest\)"),
        ([".hidden.jpg"], "the folder is empty"),
    ],
)
def test_a_folder_without_images_says_what_was_found(tree: Tree, files: list[str], message: str) -> None:
    with pytest.raises(ImageSetError, match=message):
        list_images(tree(*files))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing", "missing: no such file or folder; check the path"),
        ("one.jpg", "a single image; give the folder that it lies in"),
        (
            "notes.txt",
            "unknown kind of file; expected folder per class, .*manifest, tar shards, zip file",
        ),
        ("shards.tar.gz", "a compressed archive; decompress it to a plain .tar"),
    ],
)
def test_a_source_of_another_kind_is_answered_with_what_to_give(tree: Tree, source: str, message: str) -> None:
    root = tree("one.jpg", "notes.txt", "shards.tar.gz")

    with pytest.raises(ImageSetError, match=message):
        list_images(root / source)


def test_each_listed_file_is_looked_at_once(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(*(f"cat/{number}.jpg" for number in range(50)))
    looks: list[str] = []

    class Counting:
        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.entry, self.name = entry, entry.name
            self.is_dir, self.is_symlink = entry.is_dir, entry.is_symlink

        def stat(self) -> os.stat_result:
            looks.append(self.name)
            return self.entry.stat()

    class Scan:
        def __init__(self, path: Path) -> None:
            with real(path) as entries:
                self.entries = [Counting(entry) for entry in entries]

        def __enter__(self) -> list[Counting]:
            return self.entries

        def __exit__(self, *error: object) -> None:
            pass

    real = os.scandir
    monkeypatch.setattr(os, "scandir", Scan)

    list_images(root)

    assert sorted(looks) == sorted(["cat", *(f"{number}.jpg" for number in range(50))])
