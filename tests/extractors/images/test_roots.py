"""A process that is held to some folders reads nowhere else, whatever a listing, a link or an archive says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.remote_servers import web_server
from support.small_extraction import listed
from support.tar_shards import write_tar

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import NotAllowedError, NotReadError
from headstart.extractors.images.image_set import ImageSource
from headstart.extractors.images.reading import digest_bytes, read_bytes
from headstart.extractors.images.remote.store import open_store, read_object
from headstart.extractors.images.roots import ENVIRONMENT, NOT_ALLOWED
from headstart.extractors.images.sources import list_images

Tree = Callable[..., Path]


@pytest.fixture
def held(tmp_path: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an image, to which this process is held, beside one with a secret."""
    tree("cat/1.jpg")
    tree("secret.jpg", "cat/2.jpg", root="outside")
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"roots": [str(tmp_path / "pictures")]}))
    return tmp_path / "pictures"


def test_a_folder_outside_is_not_listed(held: Path) -> None:
    with pytest.raises(NotAllowedError, match=NOT_ALLOWED):
        list_images(held.parent / "outside")


@pytest.mark.parametrize("target", ["outside/secret.jpg", "outside/cat"])
def test_a_link_that_leads_out_is_a_row_that_says_so(held: Path, target: str) -> None:
    (held / "cat" / "link.jpg").symlink_to(held.parent / target)

    rows = list_images(held).rows

    assert rows[["path", "status", "reason", "bytes"]].to_numpy().tolist() == [
        ["cat/1.jpg", "ok", "", 20],
        ["cat/link.jpg", "quarantined", NOT_ALLOWED, 0],
    ]


def test_a_link_that_stays_inside_is_followed(held: Path) -> None:
    (held / "cat" / "link.jpg").symlink_to(held / "cat" / "1.jpg")

    assert list_images(held).rows["status"].tolist() == ["ok", "ok"]


@pytest.mark.parametrize("path", ["{held}/../outside/secret.jpg", "../outside/secret.jpg", "/etc/passwd"])
def test_a_manifest_inside_lists_nothing_outside(held: Path, path: str, cache: EmbeddingCache) -> None:
    (held / "some.csv").write_text(f"path\ncat/1.jpg\n{path.format(held=held)}\n")

    rows = listed(cache, held / "some.csv").rows

    assert rows["reason"].tolist() == ["", NOT_ALLOWED]
    assert rows["digest"].isna().tolist() == [False, True]
    assert rows[["bytes", "mtime_ns"]].iloc[1].tolist() == [0, 0]  # nothing is told of it


def test_a_tar_that_is_a_link_leading_out_is_not_opened(held: Path) -> None:
    write_tar(held.parent / "outside" / "part.tar", {"a.png": b"secret"})
    (held / "shards").mkdir()
    (held / "shards" / "part.tar").symlink_to(held.parent / "outside" / "part.tar")

    for source in (held / "shards", held / "shards" / "part.tar", held / "shards" / "*.tar"):
        with pytest.raises(NotAllowedError, match=NOT_ALLOWED):
            list_images(source)


@pytest.mark.parametrize("read", [read_bytes, digest_bytes])
@pytest.mark.parametrize(
    "source",
    [
        ImageSource("../outside/secret.jpg", None, None, 1),
        ImageSource("/etc/passwd", None, None, 1),
        ImageSource("x/1.jpg", "../outside/secret.jpg", 0, 5),
    ],
)
def test_nor_is_it_read_where_a_planted_listing_names_it(held: Path, read: object, source: ImageSource) -> None:
    with pytest.raises(NotReadError, match=NOT_ALLOWED):
        read(held, source)  # type: ignore[operator] # both readers take these


def test_a_file_that_became_a_link_after_it_was_listed_is_not_read(held: Path) -> None:
    rows = list_images(held).rows
    (held / "cat" / "1.jpg").unlink()
    (held / "cat" / "1.jpg").symlink_to(held.parent / "outside" / "secret.jpg")

    with pytest.raises(NotReadError, match=NOT_ALLOWED):
        read_bytes(held, ImageSource(rows["path"][0], None, None, 20))


@pytest.mark.parametrize("url", ["s3://owls/1.png", "https://example.org/1.png", "http://127.0.0.1:1/1.png"])
def test_no_address_is_asked_that_is_not_below_a_root(held: Path, url: str) -> None:
    with pytest.raises(NotAllowedError):
        open_store(url)
    with pytest.raises(NotReadError, match="outside the folders and addresses"):
        read_object(url, 5)


def test_a_redirect_that_leads_out_of_the_roots_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_server() as web, web_server() as other:
        other.files["secret.png"] = web.files["set/a.png"] = b"image"
        web.redirects = {"set/b.png": f"{other.url}/secret.png", "set/c.png": "/set/a.png"}
        monkeypatch.setenv(ENVIRONMENT, json.dumps({"roots": [f"{web.url}/set"]}))

        assert read_object(f"{web.url}/set/c.png", 5) == b"image"
        with pytest.raises(NotReadError, match=r"it leads to .*/secret\.png, outside"):
            read_object(f"{web.url}/set/b.png", 5)
        assert other.requests == []


@pytest.mark.parametrize("pinned", ["no JSON", "[]", '{"root": []}', '{"roots": "/"}', '{"roots": [1]}'])
def test_limits_that_cannot_be_understood_let_nothing_be_read(
    held: Path, pinned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, pinned)

    with pytest.raises(NotAllowedError, match="nothing may be read"):
        list_images(held)


def test_archives_are_never_unpacked_wherever_their_members_say_they_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: EmbeddingCache
) -> None:
    folder = tmp_path / "shards"
    escaping = {"../../evil.png": b"1", f"{tmp_path}/evil.png": b"22", "a/../../../evil.jpg": b"333", "x.png": b"4444"}
    write_tar(folder / "part.tar", escaping)
    before = sorted(tmp_path.rglob("*"))

    rows = listed(cache, folder).rows

    assert rows["bytes"].tolist() == [1, 2, 3, 4]
    new = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert new == [cache.path / "listing.lock", cache.path / "listing.parquet"]
    assert read_bytes(folder, ImageSource(rows["path"][0], "part.tar", int(rows["offset"][0]), 1)) == b"1"
