"""Images in an object store, against a server that speaks S3, and the same images in a folder."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from conftest import draw
from support.remote_servers import S3, s3_server
from support.small_extraction import features, listed, opened, run
from support.tar_shards import contents, write_tar

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.roots import RemoteRoot
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.cache_listing import read_listing


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def bucket(request: pytest.FixtureRequest, s3: S3) -> str:
    """A bucket of the test's own."""
    s3.refused = lambda _path: False
    return f"b{abs(hash(request.node.name))}"


def test_a_prefix_is_listed_as_the_folder_is(s3: S3, bucket: str, photos: Path) -> None:
    (photos / "notes.txt").write_text("no image")
    draw(photos / ".hidden" / "00.png", 0, seed=1)
    url = s3.put(bucket, photos, "set/")

    here, there = list_images(photos), list_images(f"{url}/")

    assert (there.kind, there.root, there.ignored) == ("folder", RemoteRoot(url), here.ignored)
    columns = ["path", "bytes", "label", "split", "status"]
    assert there.rows[columns].equals(here.rows[columns])


def test_a_prefix_takes_no_object_whose_name_only_begins_like_it(s3: S3, bucket: str, photos: Path) -> None:
    s3.put(bucket, photos / "cat", "owls-evil/")
    url = s3.put(bucket, photos / "owl", "owls/")

    assert list_images(url).rows["path"].tolist() == [f"{number:02d}.png" for number in range(12)]


def test_features_are_those_of_the_same_files(s3: S3, bucket: str, photos: Path, tmp_path: Path) -> None:
    url = s3.put(bucket, photos, "set/")
    here = opened(EmbeddingCache(tmp_path / "here", create=True), photos)
    there = opened(EmbeddingCache(tmp_path / "there", create=True), url)

    assert (run(here), run(there)) == (36, 36)
    assert there.listing.rows["digest"].tolist() == here.listing.rows["digest"].tolist()
    assert features(there) == features(here)


def test_what_is_unchanged_is_not_read_again(s3: S3, bucket: str, photos: Path, cache: EmbeddingCache) -> None:
    url = s3.put(bucket, photos)
    first = listed(cache, url)
    assert len(s3.bodies()) == 36
    s3.requests.clear()

    again = listed(cache, url)

    assert s3.bodies() == []
    assert again.rows["digest"].tolist() == first.rows["digest"].tolist()


def test_only_what_is_new_or_overwritten_is_read(s3: S3, bucket: str, photos: Path, cache: EmbeddingCache) -> None:
    url = s3.put(bucket, photos)
    before = listed(cache, url).rows.set_index("path")["digest"]
    other = draw(photos / "dog" / "07.png", 1, seed=9_000).read_bytes()  # often of another size, but not by design
    s3.client.put_object(Bucket=bucket, Key="dog/07.png", Body=other)
    s3.client.put_object(Bucket=bucket, Key="owl/new.png", Body=(photos / "owl" / "00.png").read_bytes())
    s3.client.delete_object(Bucket=bucket, Key="cat/03.png")
    s3.requests.clear()

    after = listed(cache, url).rows.set_index("path")["digest"]

    assert sorted(s3.bodies()) == [f"/{bucket}/dog/07.png", f"/{bucket}/owl/new.png"]
    assert after["owl/new.png"] == before["owl/00.png"]
    assert after["dog/07.png"] != before["dog/07.png"]
    assert "cat/03.png" not in after.index


def test_an_object_overwritten_within_one_second_by_one_of_the_same_size_is_read(
    s3: S3, bucket: str, tmp_path: Path, cache: EmbeddingCache
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.png").write_bytes(b"one content")
    url = s3.put(bucket, tmp_path / "set")
    first = listed(cache, url).rows["digest"][0]

    s3.client.put_object(Bucket=bucket, Key="a.png", Body=b"two content")

    assert listed(cache, url).rows["digest"][0] != first


def test_what_the_store_refuses_is_not_read_this_time_and_read_the_next(
    s3: S3, bucket: str, photos: Path, cache: EmbeddingCache
) -> None:
    url = s3.put(bucket, photos)
    s3.refused = lambda path: path.endswith(("cat/01.png", "owl/11.png"))

    lacking = listed(cache, url)
    reasons = lacking.quarantined.set_index("path")["reason"].to_dict()
    s3.refused = lambda _path: False
    whole = listed(cache, url)

    expected = "the store refuses access; check the credentials in the environment"
    assert reasons == {"cat/01.png": expected, "owl/11.png": expected}
    assert len(whole.usable) == 36


def test_a_store_that_stops_in_the_midst_costs_the_rows_not_embedded_and_the_next_run_goes_on(
    s3: S3, bucket: str, photos: Path, cache: EmbeddingCache
) -> None:
    url = s3.put(bucket, photos)
    extraction = opened(cache, url)
    s3.refused = lambda path: "/owl/" in path

    results = list(extraction.run())
    s3.refused = lambda _path: False

    assert sum(result.embedded for result in results) == 24
    assert {path for result in results for path in result.not_read} == {f"owl/{number:02d}.png" for number in range(12)}
    assert not any(result.unreadable for result in results)
    assert run(opened(cache, url)) == 12


def test_a_manifest_in_a_folder_names_objects(s3: S3, bucket: str, photos: Path, cache: EmbeddingCache) -> None:
    url = s3.put(bucket, photos)
    manifest = photos / "some.csv"
    manifest.write_text(f"path,label\n{url}/cat/00.png,cat\nowl/00.png,owl\n{url}/cat/none.png,cat\n")

    listing = listed(cache, manifest)
    again = read_listing(cache)

    here = list_images(photos)
    assert listing.rows["path"].tolist() == [f"{url}/cat/00.png", "owl/00.png", f"{url}/cat/none.png"]
    assert listing.rows["reason"].tolist() == ["", "", "no such object"]
    assert listing.rows["bytes"].tolist()[:2] == [here.rows["bytes"][0], here.rows["bytes"][24]]
    assert again.rows["etag"].tolist() == listing.rows["etag"].tolist()
    assert [etag is None for etag in again.rows["etag"]] == [False, True, True]


def test_a_parquet_manifest_beside_its_objects_names_them_by_their_paths(s3: S3, bucket: str, photos: Path) -> None:
    table = io.BytesIO()
    pd.DataFrame({"path": ["cat/00.png", "owl/00.png"], "weight": [1.5, 2.5]}).to_parquet(table)
    url = s3.put(bucket, photos)
    s3.client.put_object(Bucket=bucket, Key="some.parquet", Body=table.getvalue())

    found = list_images(f"{url}/some.parquet")

    assert (found.kind, found.root) == ("manifest", RemoteRoot(url))
    assert found.rows[["path", "weight", "status"]].to_numpy().tolist() == [
        ["cat/00.png", 1.5, "ok"],
        ["owl/00.png", 2.5, "ok"],
    ]


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.png", "cat/../../secret.png"])
def test_a_manifest_in_a_store_leads_nowhere_else(s3: S3, bucket: str, path: str) -> None:
    s3.client.create_bucket(Bucket=bucket)
    s3.client.put_object(Bucket=bucket, Key="some.csv", Body=f"path\n{path}\n".encode())

    with pytest.raises(ImageSetError, match=r"row 1, .*leads out of the manifest's own place"):
        list_images(f"s3://{bucket}/some.csv")


@pytest.fixture
def shards(s3: S3, bucket: str, tmp_path: Path) -> Callable[[], tuple[Path, str]]:
    """Two tar shards of images of 200 kB, in a folder and in a bucket."""

    def write() -> tuple[Path, str]:
        for shard in range(2):
            members = {
                f"{number:03d}.{kind}": data
                for number in range(3)
                for kind, data in (("png", bytes([shard, number]) * 100_000), ("cls", str(number).encode()))
            }
            write_tar(tmp_path / "shards" / f"part-{shard}.tar", members)
        return tmp_path / "shards", s3.put(bucket, tmp_path / "shards")

    return write


@pytest.mark.parametrize("place", ["", "/part-{0..1}.tar", "/part-*.tar"])
def test_tar_shards_are_read_where_they_lie(shards: Callable[[], tuple[Path, str]], place: str) -> None:
    folder, url = shards()

    here, there = list_images(f"{folder}{place}"), list_images(f"{url}{place}")

    columns = ["path", "archive", "offset", "bytes", "label", "status"]
    assert there.kind == "tar"
    assert there.rows[columns].equals(here.rows[columns])
    assert contents(f"{url}{place}") == contents(folder)


def test_of_a_tar_whose_members_are_known_only_the_headers_are_read(
    s3: S3, shards: Callable[[], tuple[Path, str]], cache: EmbeddingCache
) -> None:
    _, url = shards()
    first = listed(cache, url)
    s3.given = 0

    again = listed(cache, url)

    assert again.rows["digest"].tolist() == first.rows["digest"].tolist()
    assert s3.given < first.rows["bytes"].sum() / 2
