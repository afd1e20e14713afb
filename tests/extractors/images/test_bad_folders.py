"""One folder that cannot be looked at is one row with its reason, and the rest is listed."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from headstart.extractors.images.sources import list_images

Tree = Callable[..., Path]


def listed(root: Path, *columns: str) -> list[tuple[object, ...]]:
    rows = list_images(root).rows
    return list(rows[list(columns)].itertuples(index=False, name=None))


class Entry:
    """An entry of a folder of which one call fails, as on a file system that changes or is closed to us."""

    def __init__(self, entry: os.DirEntry[str], number: int) -> None:
        self._entry, self._number = entry, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def stat(self) -> os.stat_result:
        raise OSError(self._number, os.strerror(self._number))


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EACCES, "permission denied"), (errno.ENOENT, "no such file"), (errno.ENAMETOOLONG, "file name too long")],
)
def test_a_folder_that_cannot_be_looked_at_or_vanished_is_one_row_and_the_rest_goes_on(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    root, original = tree("cat/1.png", "dog/2.png", "owl/3.png"), os.scandir

    @contextmanager
    def scanning(folder: Any) -> Iterator[list[Any]]:
        with original(folder) as found:
            yield [Entry(entry, number) if entry.name == "dog" else entry for entry in found]

    monkeypatch.setattr("headstart.extractors.images.folders.os.scandir", scanning)
    rows = list_images(root).rows
    assert rows[["path", "status"]].to_numpy().tolist() == [
        ["cat/1.png", "ok"],
        ["dog", "quarantined"],
        ["owl/3.png", "ok"],
    ]
    assert rows["reason"][1] == f"the folder cannot be looked at: {reason}"


def test_folders_deeper_than_a_path_may_be_long_are_one_row(tree: Tree) -> None:
    root = tree("cat/1.png")
    deep, descriptor = "", os.open(root, os.O_RDONLY)
    while len(deep) < 4200:
        os.mkdir("d" * 200, dir_fd=descriptor)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        deep, descriptor = f"{deep}/{'d' * 200}", below
    os.close(descriptor)
    rows = list_images(root).rows
    assert rows["path"][0] == "cat/1.png"
    (bad,) = rows[rows["status"] != "ok"].itertuples()
    assert bad.path.startswith("d" * 200)
    assert bad.reason.endswith("file name too long")


def test_a_folder_that_vanishes_while_others_are_listed_is_one_row(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root, original = tree("cat/1.png", "dog/2.png", "owl/3.png"), os.scandir

    def scanning(folder: Any) -> Any:
        if Path(folder).name == "cat" and (root / "dog").exists():
            (root / "dog").rename(root.parent / "elsewhere")
        return original(folder)

    monkeypatch.setattr("headstart.extractors.images.folders.os.scandir", scanning)
    rows = list_images(root).rows
    assert rows["path"].tolist() == ["cat/1.png", "dog", "owl/3.png"]
    assert rows["reason"][1] == "the folder cannot be read: no such file"
