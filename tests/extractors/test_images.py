"""List folders, choose a few rows evenly, and read the bytes of what was listed."""

import hashlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from extractors.errors import ImageSetError, NotReadError
from extractors.images import (
    LISTING_COLUMNS,
    ImageSource,
    digest_bytes,
    image_sources,
    label_columns,
    list_images,
    read_bytes,
)

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write files with a few bytes each; a listing does not open them."""

    def write(*paths: str, root: str = "pictures") -> Path:
        for path in paths:
            file = tmp_path / root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(f"content of {path}".encode("utf-8", "surrogateescape"))
        (tmp_path / root).mkdir(exist_ok=True)
        return tmp_path / root

    return write


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
    assert LISTING_COLUMNS == ("path", "archive", "offset", "bytes", "mtime_ns", "split", "group", "status", "reason")
    assert label_columns(rows.assign(digest="ab", weight=1.0)) == ["label", "weight"]


def test_size_and_time_of_change_are_those_of_the_file(tree: Tree) -> None:
    root = tree("cat/1.jpg")
    os.utime(root / "cat/1.jpg", ns=(1, 1_700_000_000_123_456_789))

    row = list_images(root).rows.iloc[0]

    assert (row["bytes"], row["mtime_ns"]) == (len("content of cat/1.jpg"), 1_700_000_000_123_456_789)


def test_a_listing_survives_parquet(tree: Tree, tmp_path: Path) -> None:
    rows = list_images(tree("cat/1.jpg", "stray.png", "cat/2.gif")).rows
    rows.to_parquet(tmp_path / "listing.parquet")

    back = pd.read_parquet(tmp_path / "listing.parquet")

    assert rows.index.equals(pd.RangeIndex(3))
    assert rows["label"].tolist() == ["cat", "cat", None]
    assert back.astype(object).where(back.notna(), None).equals(rows.astype(object).where(rows.notna(), None))
    assert str(back["offset"].dtype) == str(rows["offset"].dtype) == "Int64"


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_labels_come_from_below_split_folders(tree: Tree, validation: str) -> None:
    root = tree("train/cat/1.jpg", f"{validation}/cat/2.jpg", "test/dog/deep/3.jpg")

    assert set(listed(root, "split", "label")) == {("train", "cat"), ("val", "cat"), ("test", "dog")}


@pytest.mark.parametrize(
    ("paths", "splits", "labels"),
    [
        (["test/1.jpg", "cat/1.jpg"], {None}, {"test", "cat"}),
        (["test/1.jpg", "val/1.jpg"], {None}, {"test", "val"}),
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


def test_an_empty_file_is_quarantined_by_the_listing(tree: Tree) -> None:
    root = tree("cat/1.jpg", "cat/2.jpg")
    (root / "cat/2.jpg").write_bytes(b"")

    assert listed(root, "status", "reason") == [("ok", ""), ("quarantined", "empty file (0 bytes)")]


@pytest.mark.parametrize(
    "name", ["with space.jpg", "new\nline.jpg", "🐈.jpg", "a%20b.jpg", "quote'.jpg", "back\\slash.jpg"]
)
def test_unusual_names_are_listed_and_read(tree: Tree, name: str) -> None:
    root = tree(f"cat/{name}")
    rows = list_images(root).rows

    assert rows["path"].tolist() == [f"cat/{name}"]
    assert read_bytes(root, image_sources(rows)[0]) == f"content of cat/{name}".encode()


def test_a_name_that_is_not_utf8_is_quarantined_under_a_name_that_can_be_shown(tree: Tree) -> None:
    root = tree("cat/1.jpg", os.fsdecode(b"cat/\xff2.jpg"))

    assert listed(root, "path", "status", "reason", "label")[1] == (
        r"cat/\xff2.jpg",
        "quarantined",
        "the name is not valid UTF-8; rename the file",
        "cat",
    )


def test_two_files_that_would_be_shown_alike_are_refused(tree: Tree) -> None:
    root = tree(r"cat/\xff.jpg", os.fsdecode(b"cat/\xff.jpg"))

    with pytest.raises(ImageSetError, match=r"1 paths are listed more than once .* rename"):
        list_images(root)


def test_links_to_folders_are_followed_and_loops_are_not(tree: Tree) -> None:
    root = tree("cat/1.jpg")
    elsewhere = tree("2.jpg", root="elsewhere")
    (root / "dog").symlink_to(elsewhere)
    (root / "cat/up").symlink_to(root)
    (elsewhere / "self").symlink_to(elsewhere)

    assert listed(root, "path", "label") == [("cat/1.jpg", "cat"), ("dog/2.jpg", "dog")]


def test_folders_that_are_linked_to_each_other_are_listed_once(tree: Tree) -> None:
    names = [f"{number:02d}" for number in range(12)]
    root = tree(*(f"{name}/1.jpg" for name in names))
    for name in names:
        for other in names:
            (root / name / f"to-{other}").symlink_to(root / other)

    assert listed(root, "path") == [(f"{name}/1.jpg",) for name in names]


def test_a_folder_has_its_own_path_before_that_of_a_link(tree: Tree) -> None:
    root = tree("z/deep/1.jpg")
    (root / "a").symlink_to(root / "z/deep")

    assert listed(root, "path") == [("z/deep/1.jpg",)]


def test_of_several_links_to_one_folder_the_first_by_path_is_listed(tree: Tree) -> None:
    root = tree("cat/1.jpg")
    elsewhere = tree("2.jpg", root="elsewhere")
    for name in ("owl", "dog", "emu"):
        (root / name).symlink_to(elsewhere)

    assert listed(root, "path") == [("cat/1.jpg",), ("dog/2.jpg",)]


def test_links_that_lead_nowhere_are_quarantined(tree: Tree) -> None:
    root = tree("cat/1.jpg")
    (root / "cat/gone.jpg").symlink_to(root / "nothing.jpg")
    (root / "cat/itself.jpg").symlink_to(root / "cat/itself.jpg")

    assert listed(root, "path", "reason")[1:] == [
        ("cat/gone.jpg", "a link to nowhere"),
        ("cat/itself.jpg", "a link to nowhere"),
    ]


def test_a_pipe_with_an_image_name_is_quarantined_and_not_opened(tree: Tree) -> None:
    root = tree("cat/1.jpg")
    os.mkfifo(root / "cat/2.jpg")

    assert listed(root, "path", "reason")[1] == ("cat/2.jpg", "is a device, pipe or socket, not a file")


def test_a_folder_that_cannot_be_read_is_one_quarantined_row(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("cat/1.jpg", "dog/2.jpg")
    real = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "dog":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)

    assert listed(root, "path", "status", "reason") == [
        ("cat/1.jpg", "ok", ""),
        ("dog", "quarantined", "the folder cannot be read: permission denied"),
    ]


def test_a_root_that_cannot_be_read_is_an_error(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("cat/1.jpg")

    def scandir(path: Path) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", scandir)

    with pytest.raises(ImageSetError, match=r"pictures: the folder cannot be read \(permission denied\)"):
        list_images(root)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "the folder is empty; expected .bmp, .gif, .jpeg"),
        (["a.txt", "b.txt", "c.md"], r"3 files, none an image \(\.txt 2, \.md 1\); expected \.bmp"),
        (["README"], r"1 files, none an image \(no suffix 1\)"),
        (["all.csv"], r"give the manifest itself: .*pictures/all\.csv"),
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
        ("notes.txt", "unknown kind of file; give a folder, a .csv or .parquet manifest, or .tar shards"),
        ("shards.tar.gz", "a compressed archive; decompress it to a plain .tar"),
    ],
)
def test_a_source_of_another_kind_is_answered_with_what_to_give(tree: Tree, source: str, message: str) -> None:
    root = tree("one.jpg", "notes.txt", "shards.tar.gz")

    with pytest.raises(ImageSetError, match=message):
        list_images(root / source)


def test_a_limit_takes_from_every_split_and_class_in_turn(tree: Tree) -> None:
    classes = [f"{split}/{name}" for split in ("train", "val") for name in ("cat", "dog")]
    root = tree(*(f"{folder}/{number}.jpg" for folder in classes for number in range(5)), "train/rare/0.jpg")

    rows = list_images(root, limit=9).rows

    counts = rows.groupby(["split", "label"]).size().to_dict()
    assert counts == {
        ("train", "cat"): 2,
        ("train", "dog"): 2,
        ("train", "rare"): 1,
        ("val", "cat"): 2,
        ("val", "dog"): 2,
    }
    assert rows["path"].tolist()[:4] == ["train/cat/0.jpg", "train/cat/1.jpg", "train/dog/0.jpg", "train/dog/1.jpg"]
    assert rows.index.equals(pd.RangeIndex(9))


def test_a_limit_counts_images_without_a_label_as_a_class(tree: Tree) -> None:
    root = tree("cat/1.jpg", "cat/2.jpg", "cat/3.jpg", "stray.jpg")

    assert list_images(root, limit=2).rows["path"].tolist() == ["cat/1.jpg", "stray.jpg"]


def test_a_limit_of_a_flat_folder_takes_the_first(tree: Tree) -> None:
    assert list_images(tree("a.jpg", "b.jpg", "c.jpg"), limit=2).rows["path"].tolist() == ["a.jpg", "b.jpg"]


def test_a_limit_above_the_number_of_images_changes_nothing(tree: Tree) -> None:
    root = tree("cat/1.jpg", "dog/1.jpg")

    pd.testing.assert_frame_equal(list_images(root, limit=3).rows, list_images(root).rows)


def test_a_limit_below_one_is_refused(tree: Tree) -> None:
    with pytest.raises(ImageSetError, match="limit must be at least 1, found 0"):
        list_images(tree("cat/1.jpg"), limit=0)


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


def test_read_bytes_returns_what_the_file_holds(tree: Tree) -> None:
    root = tree("cat/1.jpg")

    assert read_bytes(root, image_sources(list_images(root).rows)[0]) == b"content of cat/1.jpg"


def test_rows_that_were_in_parquet_can_still_be_read(tree: Tree, tmp_path: Path) -> None:
    root = tree("cat/1.jpg", "stray.jpg")
    list_images(root).rows.to_parquet(tmp_path / "listing.parquet")

    sources = image_sources(pd.read_parquet(tmp_path / "listing.parquet"))

    assert sources == [ImageSource("cat/1.jpg", None, None, 20), ImageSource("stray.jpg", None, None, 20)]
    assert read_bytes(root, sources[1]) == b"content of stray.jpg"


READERS = pytest.mark.parametrize("read", [read_bytes, digest_bytes])


@READERS
@pytest.mark.parametrize(
    ("path", "listed_bytes", "reason"),
    [
        ("cat/2.jpg", 3, r"^no such file$"),
        ("cat", 3, r"^is a directory$"),
        ("cat/1.jpg", 21, r"^shorter than listed \(20 of 21 bytes\); it has changed since$"),
    ],
    ids=["vanished", "a folder", "shorter"],
)
def test_what_cannot_be_read_now_says_why_and_nothing_against_the_content(
    tree: Tree, read: Any, path: str, listed_bytes: int, reason: str
) -> None:
    with pytest.raises(NotReadError, match=reason):
        read(tree("cat/1.jpg"), ImageSource(path, None, None, listed_bytes))


@READERS
def test_a_file_without_permission_is_not_read(tree: Tree, monkeypatch: pytest.MonkeyPatch, read: Any) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    root = tree("cat/1.jpg")
    monkeypatch.setattr(Path, "open", refuse)

    with pytest.raises(NotReadError, match=r"^permission denied$"):
        read(root, ImageSource("cat/1.jpg", None, None, 3))


@READERS
@pytest.mark.parametrize("archive", [None, "cat/1.jpg"], ids=["file", "member"])
def test_a_gigantic_image_is_refused_before_it_is_read(tree: Tree, read: Any, archive: str | None) -> None:
    root = tree("cat/1.jpg")
    n_bytes = 300 * 2**30
    with (root / "cat/1.jpg").open("r+b") as file:
        file.truncate(n_bytes)  # sparse: it takes no room on the disk

    with pytest.raises(NotReadError, match=r"^322122547200 bytes is over the limit of 2147483648$"):
        read(root, ImageSource("cat/1.jpg", archive, 0 if archive else None, n_bytes))


def test_an_image_that_does_not_fit_into_the_memory_is_not_read(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise MemoryError

    def open_full(self: Path, mode: str) -> Full:
        return Full(self, mode)

    root = tree("cat/1.jpg")
    monkeypatch.setattr(Path, "open", open_full)

    with pytest.raises(NotReadError, match=r"^not enough memory to read its 20 bytes$"):
        read_bytes(root, ImageSource("cat/1.jpg", None, None, 20))


@pytest.mark.parametrize("n_bytes", [0, 1, 1 << 20, (2 << 20) + 5])
@pytest.mark.parametrize("in_archive", [False, True])
def test_the_digest_is_that_of_the_bytes_of_the_image_alone(tmp_path: Path, n_bytes: int, in_archive: bool) -> None:
    image = os.urandom(n_bytes)
    around = b"around" if in_archive else b""
    (tmp_path / "x").write_bytes(around + image + around)
    source = ImageSource("x/1.jpg", "x", 6, n_bytes) if in_archive else ImageSource("x", None, None, n_bytes)

    assert digest_bytes(tmp_path, source) == hashlib.sha256(image).hexdigest()
    assert read_bytes(tmp_path, source) == image


def test_listing_and_decoding_need_no_torch() -> None:
    code = (
        "import sys, extractors.images, extractors.decode; sys.exit(any(m in sys.modules for m in ('torch', 'h5py')))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_photographs_have_two_splits_of_two_classes() -> None:
    data = os.environ.get("HEADSTART_DATA")
    if not data:
        pytest.skip("HEADSTART_DATA is not set")
    image_set = list_images(Path(data) / "data/hymenoptera")

    counts = image_set.rows.groupby(["split", "label"]).size().to_dict()
    first = read_bytes(image_set.root, image_sources(image_set.rows)[0])

    assert counts == {("train", "ants"): 124, ("train", "bees"): 121, ("val", "ants"): 70, ("val", "bees"): 83}
    assert Image.open(io.BytesIO(first)).format == "JPEG"
