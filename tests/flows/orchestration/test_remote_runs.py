"""The whole job on images in an object store: extract, fit, report, predict, verify; no secret is in what it leaves."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import draw
from support.remote_servers import KEY_ID, S3, SECRET, s3_server

import headstart.flows.reporting.exhibits
from headstart.extractors.errors import ImageSetError
from headstart.extractors.images.roots import RemoteRoot
from headstart.flows.extraction.choices import default_cache
from headstart.flows.extraction.job import extract
from headstart.flows.extraction.summary import ExtractionSummary
from headstart.flows.fitting.job import fit
from headstart.flows.inference.prediction import predict
from headstart.flows.problem.label_columns import merge_labels
from headstart.flows.upkeep.verification import verify


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as server:
        yield server


@pytest.fixture
def url(s3: S3, photos: Path, request: pytest.FixtureRequest) -> str:
    s3.refused = lambda _path: False
    return s3.put(f"b{abs(hash(request.node.name))}", photos, "set/")


@pytest.fixture
def embed_remote(embed: Callable[..., Any], url: str) -> Callable[..., ExtractionSummary]:
    return lambda **options: embed(**({"images": url} | options))


def test_the_second_run_embeds_nothing_and_reads_no_object(
    s3: S3, url: str, embed_remote: Callable[..., ExtractionSummary]
) -> None:
    assert embed_remote().embedded == 36
    s3.requests.clear()

    again = embed_remote()

    assert (again.embedded, again.reused, s3.bodies()) == (0, 36, [])


def test_only_new_and_overwritten_objects_are_embedded(
    s3: S3, url: str, embed_remote: Callable[..., ExtractionSummary], tmp_path: Path
) -> None:
    embed_remote()
    bucket = url.split("/")[2]
    for number in range(3):
        new = draw(tmp_path / "new.png", 0, seed=500 + number).read_bytes()
        s3.client.put_object(Bucket=bucket, Key=f"set/cat/new{number}.png", Body=new)
    assert embed_remote().embedded == 3

    other = draw(tmp_path / "new.png", 1, seed=600).read_bytes()
    s3.client.put_object(Bucket=bucket, Key="set/dog/00.png", Body=other)
    assert embed_remote().embedded == 1

    s3.client.delete_object(Bucket=bucket, Key="set/dog/00.png")
    last = embed_remote()
    assert (last.images, last.embedded) == (38, 0)


def test_what_was_not_read_in_one_run_is_embedded_by_the_next(
    s3: S3, embed_remote: Callable[..., ExtractionSummary]
) -> None:
    s3.refused = lambda path: "/owl/0" in path
    first = embed_remote()
    s3.refused = lambda _path: False

    assert (first.embedded, first.quarantined) == (26, 10)
    assert (embed_remote().embedded, embed_remote().quarantined) == (10, 0)


def test_a_store_that_gives_nothing_at_all_is_an_error_that_says_why(
    s3: S3, embed_remote: Callable[..., ExtractionSummary]
) -> None:
    s3.refused = lambda path: path.endswith(".png")

    with pytest.raises(ImageSetError, match="the store refuses access; check the credentials in the environment"):
        embed_remote()


def test_the_report_shows_remote_images_and_a_model_predicts_them(
    url: str, embed_remote: Callable[..., ExtractionSummary], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[bytes | None] = []
    original = headstart.flows.reporting.exhibits.read_thumbnails

    def recording(*arguments: Any) -> list[bytes | None]:
        shown.extend(found := original(*arguments))
        return found

    monkeypatch.setattr(headstart.flows.reporting.exhibits, "read_thumbnails", recording)
    summary = embed_remote()
    fitted = fit(summary.cache, "logreg", folds=2, out=tmp_path / "results")

    predicted = predict(fitted.model, url)

    assert shown
    assert all(shown)
    assert predicted["path"].iloc[0] == "cat/00.png"
    assert (predicted["label"] == predicted["path"].str.partition("/")[0]).mean() > 0.9


def test_a_damaged_shard_is_mended_from_the_store(embed_remote: Callable[..., ExtractionSummary]) -> None:
    summary = embed_remote()
    shard = next(Path(summary.cache).rglob("shard-*.h5"))
    shard.write_bytes(shard.read_bytes()[:-100])

    assert not verify(summary.cache).sound
    verify(summary.cache, repair=True)

    assert verify(summary.cache).sound


def test_labels_of_a_file_of_their_own_name_objects_by_path_or_address(tmp_path: Path) -> None:
    rows = pd.DataFrame({"path": ["cat/1.png", "owl/2.png", "s3://other/3.png"]})
    (tmp_path / "labels.csv").write_text("path,kind\ncat/1.png,a\ns3://birds/set/owl/2.png,b\ns3://other/3.png,c\n")

    merged = merge_labels(tmp_path / "labels.csv", rows, RemoteRoot("s3://birds/set"), [])

    assert merged["kind"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("images", "name"),
    [
        ("s3://bucket/birds/2024", "2024.headstart"),
        ("s3://bucket", "bucket.headstart"),
        ("https://example.org/birds.csv", "birds.headstart"),
        ("gs://bucket/birds-{00..12}.tar", "birds.headstart"),
    ],
)
def test_a_cache_is_called_after_the_last_name_of_the_address(images: str, name: str) -> None:
    assert default_cache(images) == Path(name)


def test_no_credential_is_in_what_a_run_leaves_or_says(
    s3: S3,
    url: str,
    embed_remote: Callable[..., ExtractionSummary],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level("INFO")
    s3.refused = lambda path: path.endswith("cat/00.png")
    summary = embed_remote(progress=True)
    fit(summary.cache, "logreg", folds=2, out=tmp_path / "results")
    (tmp_path / "some.csv").write_text(f"path\nhttps://user:{SECRET}@example.org/a.png\n")
    with pytest.raises(ValueError, match="row 1") as caught:
        extract(tmp_path / "some.csv", "small_cnn", weights="none", cache=tmp_path / "other")
    (tmp_path / "some.csv").unlink()

    printed = "".join([caplog.text, *capfd.readouterr(), str(caught.value), str(summary)]).encode()
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(left) > 36
    for secret in (SECRET.encode(), KEY_ID.encode()):
        assert secret not in printed
        assert [path for path in left if secret in path.read_bytes()] == []
