"""Files that are empty, oddly named, linked in circles or not readable: listed or quarantined, never a crash."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.reading import image_sources, read_bytes
from headstart.extractors.images.sources import list_images

Tree = Callable[..., Path]


def listed(root: Path, *columns: str) -> list[tuple[object, ...]]:
    rows = list_images(root).rows
    return list(rows[list(columns)].itertuples(index=False, name=None))


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
