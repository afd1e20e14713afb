"""Looking at an image folder now and then, and when a look starts a run."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.flows.errors import JobError
from headstart.flows.serving.watching import Watch, look_at, watched_place


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "cat").mkdir(parents=True)
    for name in ("a.png", "b.png"):
        (folder / "cat" / name).write_bytes(b"pixels")
        os.utime(folder / "cat" / name, (1, 1))
    return folder


def rewrite(path: Path, content: bytes, when: int) -> None:
    path.write_bytes(content)
    os.utime(path, (when, when))


@pytest.mark.parametrize(
    "change",
    [
        lambda cat: rewrite(cat / "c.png", b"pixels", 1),
        lambda cat: (cat / "a.png").unlink(),
        lambda cat: (cat / "a.png").rename(cat / "d.png"),
        lambda cat: rewrite(cat / "a.png", b"more pixels", 1),
        lambda cat: rewrite(cat / "a.png", b"PIXELS", 2),
    ],
    ids=["new", "gone", "renamed", "longer", "newer"],
)
def test_every_change_is_seen(images: Path, change: Callable[[Path], None]) -> None:
    before = look_at(images)
    assert look_at(images) == before
    change(images / "cat")
    assert look_at(images) != before


def test_what_a_run_writes_below_the_images_starts_no_run(images: Path) -> None:
    cache = images / "images.headstart"
    before = look_at(images, [cache])
    rewrite(cache.parent / "x", b"", 1)
    (images / "x").unlink()
    cache.mkdir()
    rewrite(cache / "listing.parquet", b"rows", 1)
    assert look_at(images, [cache]) == before
    assert look_at(images) != before


def test_a_file_is_watched_as_a_folder_is(images: Path) -> None:
    manifest = images / "images.csv"
    rewrite(manifest, b"path", 1)
    before = look_at(manifest)
    assert before[0] == 1
    rewrite(manifest, b"path,label", 1)
    assert look_at(manifest) != before


@pytest.mark.parametrize(
    ("named", "place"),
    [("/data/images", "/data/images"), ("/data/set-{00..99}.tar", "/data"), ("/data/2026/*.tar", "/data/2026")],
)
def test_a_pattern_is_watched_by_the_folder_where_it_begins(named: str, place: str) -> None:
    assert watched_place(named) == Path(place)


def test_a_bucket_is_not_watched() -> None:
    with pytest.raises(JobError, match="s3://bucket/images is none: give --cron or --interval"):
        watched_place("s3://bucket/images")


@pytest.mark.parametrize(
    ("looks", "due"),
    [
        ("aaaa", "-!--"),  # what came while nobody watched; then nothing
        ("aabb", "-!-!"),  # images came
        ("aabcdd", "-!---!"),  # they were still coming
        ("aabaa", "-!---"),  # they came and went: the last run saw the same
    ],
)
def test_a_run_is_due_when_images_changed_and_are_still(looks: str, due: str) -> None:
    watch = Watch()
    assert "".join("!" if watch.due((1, ord(look))) else "-" for look in looks) == due
