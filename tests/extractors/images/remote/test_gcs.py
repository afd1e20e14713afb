"""Images in Google Cloud Storage, against a server that speaks the part of its API that reading takes."""

from pathlib import Path

from support.gcs_server import gcs_server
from support.small_extraction import listed
from support.tar_shards import contents, write_tar

from headstart.extractors.cache.cache import EmbeddingCache


def test_a_prefix_is_listed_and_read(cache: EmbeddingCache) -> None:
    files = {"set/cat/a.png": b"first", "set/owl/b.png": b"second", "set-of-others/c.png": b"third"}
    with gcs_server(files):
        rows = listed(cache, "gs://birds/set").rows
        assert rows[["path", "bytes", "label", "mtime_ns"]].to_numpy().tolist() == [
            ["cat/a.png", 5, "cat", 1_704_067_200 * 10**9],
            ["owl/b.png", 6, "owl", 1_704_067_200 * 10**9],
        ]
        assert contents("gs://birds/set") == {"cat/a.png": b"first", "owl/b.png": b"second"}


def test_what_was_overwritten_by_as_many_bytes_is_known_by_its_generation(cache: EmbeddingCache) -> None:
    files = {"set/a.png": b"first", "set/b.png": b"other"}
    with gcs_server(files):
        before = listed(cache, "gs://birds/set").rows["digest"]
        files["set/a.png"] = b"third"
        after = listed(cache, "gs://birds/set").rows["digest"]

    assert (before != after).tolist() == [True, False]


def test_a_tar_is_read_by_ranges(tmp_path: Path) -> None:
    members = {"a.png": b"x" * 200_000, "b.png": b"y" * 200_000}
    with gcs_server({"part.tar": write_tar(tmp_path / "part.tar", members).read_bytes()}):
        assert contents("gs://birds/part.tar") == {f"part.tar/{name}": data for name, data in members.items()}
