"""Images on a web server, and what an address may be."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.registry import _registry
from support.remote_servers import Web, web_server
from support.small_extraction import listed
from support.tar_shards import contents, write_tar

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.remote import store as remote_store
from headstart.extractors.images.remote.address import check_address, redacted
from headstart.extractors.images.sources import list_images


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(remote_store, "_WEB_WAITS_S", (0.0, 0.0))
    with web_server() as server:
        server.files = {"set/a.png": b"first", "set/b.png": b"second", "set/some.csv": b"path\na.png\nb.png\nc.png\n"}
        yield server


def test_a_manifest_on_a_web_server_names_what_lies_beside_it(web: Web, cache: EmbeddingCache) -> None:
    rows = listed(cache, f"{web.url}/set/some.csv").rows

    assert rows["path"].tolist() == ["a.png", "b.png", "c.png"]
    assert rows["bytes"].tolist() == [5, 6, 0]
    assert rows["reason"].tolist() == ["", "", "no such object"]


@pytest.mark.parametrize("ranges", [True, False])
def test_images_are_what_the_server_gives(web: Web, ranges: bool) -> None:
    web.ranges = ranges

    assert contents(f"{web.url}/set/some.csv") == {"a.png": b"first", "b.png": b"second"}


@pytest.mark.parametrize(("tags", "read"), [(True, []), (False, ["set/a.png", "set/b.png"])])
def test_what_has_a_tag_is_known_without_reading_and_what_has_none_is_read(
    web: Web, cache: EmbeddingCache, tags: bool, read: list[str]
) -> None:
    web.tags = tags
    listed(cache, f"{web.url}/set/some.csv")
    web.requests.clear()

    listed(cache, f"{web.url}/set/some.csv")

    bodies = {name for method, name in web.requests if method == "GET" and web.files.get(name) and ".png" in name}
    assert sorted(bodies) == read


def test_a_busy_server_is_asked_three_times(web: Web) -> None:
    web.busy = 2
    assert remote_store.read_object(f"{web.url}/set/a.png", 5) == b"first"

    web.busy, web.requests = 100, []
    with pytest.raises(remote_store.NotReadError, match="503"):
        remote_store.read_object(f"{web.url}/set/a.png", 5)
    assert len(web.requests) == 3


def test_what_is_missing_is_asked_for_once(web: Web) -> None:
    with pytest.raises(remote_store.NotReadError, match="no such object"):
        remote_store.read_object(f"{web.url}/set/none.png", 5)
    assert len(web.requests) == 1


@pytest.mark.parametrize("content", [b"firs", b"firstly"])
def test_an_object_of_another_size_than_listed_is_not_read(web: Web, content: bytes) -> None:
    web.files["set/a.png"] = content

    with pytest.raises(remote_store.NotReadError, match=r"no longer as listed \(\d bytes came of 5\)"):
        remote_store.read_object(f"{web.url}/set/a.png", 5)


def test_a_server_that_is_gone_gives_a_reason_for_each_image(web: Web, cache: EmbeddingCache, tmp_path: Path) -> None:
    with web_server() as other:
        gone = other.url
    (tmp_path / "some.csv").write_text(f"path\n{web.url}/set/a.png\n{gone}/b.png\n")

    rows = listed(cache, tmp_path / "some.csv").rows

    assert rows["status"].tolist() == ["ok", "quarantined"]
    assert "the store does not give it (ClientConnectorError" in rows["reason"][1]


def test_a_tar_on_a_web_server_is_read_by_ranges(web: Web, tmp_path: Path) -> None:
    members = {"a.png": b"x" * 300_000, "a.cls": b"0", "b.png": b"y" * 300_000, "b.cls": b"1"}
    web.files["part.tar"] = write_tar(tmp_path / "part.tar", members).read_bytes()

    assert contents(f"{web.url}/part.tar") == {"part.tar/a.png": members["a.png"], "part.tar/b.png": members["b.png"]}


def test_a_tar_on_a_server_without_ranges_is_refused_and_not_misread(web: Web, tmp_path: Path) -> None:
    web.files["part.tar"] = write_tar(tmp_path / "part.tar", {"a.png": b"x" * 300_000}).read_bytes()
    web.ranges = False

    with pytest.raises(ImageSetError, match="does not serve byte ranges"):
        list_images(f"{web.url}/part.tar")


def test_a_web_server_has_no_folders(web: Web) -> None:
    with pytest.raises(ImageSetError, match=r"a web server knows no folders; give a \.csv or \.parquet manifest"):
        list_images(f"{web.url}/set")


@pytest.mark.parametrize("target", ["http://192.0.2.1/secret.png", "ftp://127.0.0.1/secret.png", "/set/b.png?sig=abc"])
def test_a_redirect_leads_only_where_an_address_may(web: Web, target: str) -> None:
    web.redirects["set/a.png"] = target

    if target.startswith("/"):
        assert remote_store.read_object(f"{web.url}/set/a.png", 6) == b"second"
    else:
        with pytest.raises(remote_store.NotReadError, match=r"plain http|unknown kind of address|ValueError"):
            remote_store.read_object(f"{web.url}/set/a.png", 5)


SECRET_ADDRESSES = [
    "https://user:hunter2@example.org/photos/some.csv",
    "https://hunter2@example.org/photos/some.csv",
    "https://example.org/some.csv?X-Amz-Signature=hunter2",
    "https://example.org/some.csv?token=hunter2#part",
    "s3://AKIA:hunter2@bucket/photos",
    "s3://bucket/photos?versionId=hunter2",
    "gs://bucket/photos?sig=hunter2",
]


@pytest.mark.parametrize("url", SECRET_ADDRESSES)
def test_an_address_with_something_secret_in_it_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ImageSetError, match="with a password, a query or a fragment") as caught:
        list_images(url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", SECRET_ADDRESSES)
def test_nor_is_it_in_a_manifest(url: str, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text(f"path\na.png\n{url}\n")

    with pytest.raises(ImageSetError, match=r"row 2, .*with a password, a query or a fragment") as caught:
        list_images(tmp_path / "some.csv")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://example.org/photos", "unknown kind of address ftp://"),
        ("file:///etc/passwd", "unknown kind of address file://"),
        ("memory://photos", "unknown kind of address memory://"),
        ("http://example.org/some.csv", "plain http can be read and changed on its way"),
        ("http://127.0.0.1.example.org/some.csv", "plain http can be read and changed on its way"),
        ("https://example.org/a/../some.csv", "must not hold '..' or '::'"),
        ("https://example.org/a/%2e%2e/some.csv", "must not hold '..' or '::'"),
        ("https://example.org/a::s3://bucket/some.csv", "must not hold '..' or '::'"),
        ("s3:///photos", "without a bucket"),
        ("https:///some.csv", "without a host"),
    ],
)
def test_other_addresses_are_refused(url: str, reason: str) -> None:
    with pytest.raises(ImageSetError) as caught:
        check_address(url)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "url", ["s3://bucket/a b/ü", "gs://bucket", "https://example.org/x.csv", "http://localhost:1/x"]
)
def test_these_addresses_are_taken(url: str) -> None:
    check_address(url)


def test_what_is_shown_has_neither_password_nor_signature() -> None:
    text = "no answer from https://user:hunter2@example.org/a.png?X-Amz-Signature=hunter2&x=1, or s3://k:hunter2@b/c"
    text += " of https://example.org/birds#token=hunter2"

    assert redacted(text) == (
        "no answer from https://…@example.org/a.png?… or s3://…@b/c of https://example.org/birds#…"
    )


@pytest.mark.parametrize(
    ("scheme", "package", "extra"), [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs"), ("https", "aiohttp", "https")]
)
def test_a_package_that_is_missing_is_named_by_its_extra(
    scheme: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.delitem(_registry, scheme, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    remote_store._store.cache_clear()

    with pytest.raises(ImageSetError, match=rf"install headstart\[{extra}\]"):
        list_images(f"{scheme}://bucket/some.csv")


def test_images_in_folders_need_no_fsspec() -> None:
    code = (
        "import sys, headstart.extractors.images.sources, headstart.extractors.listing.cache_listing;"
        "import headstart.flows.experiment.security, headstart.flows.cli.app;"
        "sys.exit(any(name in sys.modules for name in ('fsspec', 's3fs', 'aiohttp')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
