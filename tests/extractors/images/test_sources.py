"""Choose a few rows of a listing evenly, and read the bytes of what was listed."""

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

from headstart.extractors.errors import ImageSetError, NotReadError
from headstart.extractors.images.image_set import ImageSource
from headstart.extractors.images.reading import digest_bytes, image_sources, read_bytes
from headstart.extractors.images.sources import list_images

Tree = Callable[..., Path]


def test_a_listing_survives_parquet(tree: Tree, tmp_path: Path) -> None:
    rows = list_images(tree("cat/1.jpg", "stray.png", "cat/2.gif")).rows
    rows.to_parquet(tmp_path / "listing.parquet")

    back = pd.read_parquet(tmp_path / "listing.parquet")

    assert rows.index.equals(pd.RangeIndex(3))
    assert rows["label"].tolist() == ["cat", "cat", None]
    assert back.astype(object).where(back.notna(), None).equals(rows.astype(object).where(rows.notna(), None))
    assert str(back["offset"].dtype) == str(rows["offset"].dtype) == "Int64"


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
        "import sys, headstart.extractors.images.sources, headstart.extractors.decoding.decode; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'h5py')))"
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
