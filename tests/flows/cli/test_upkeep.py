"""verify, compact and export as commands: exit statuses, one JSON object, messages that fit 80 columns."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_cache import flip_bit

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.cli.app import main
from headstart.flows.upkeep.compaction import compact


@pytest.fixture
def headstart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, elsewhere: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in an empty folder on a terminal of 80 columns; returns exit status and both outputs."""
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status: Any = 0
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            status = end.code or 0
        out, err = capsys.readouterr()
        assert max(map(len, out.splitlines()), default=0) <= 80, out
        return int(status), out, err

    return run


Headstart = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cache(headstart: Headstart, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("headstart.extractors.extraction.extraction._SHARD_ROWS", 12)
    words = ["extract", photos, "--backbone", "small_cnn", "--weights", "none", "--precision", "fp32"]
    assert headstart(*words, "--cache", "c.headstart")[0] == 0
    return Path("c.headstart")


def test_verify_ends_with_0_1_and_0_before_during_and_after_damage(headstart: Headstart, cache: Path) -> None:
    status, out, _ = headstart("verify", cache)
    assert (status, "every file is as it was written" in out) == (0, True)
    shard = EmbeddingCache(cache).stores()[0].shards()[0]
    flip_bit(shard, shard.stat().st_size - 8)
    status, out, _ = headstart("verify", cache)
    assert status == 1
    assert f"damaged {shard.relative_to(cache)}" in " ".join(out.split())
    assert "its bytes do not give the checksum" in " ".join(out.split())
    assert f"→ run 'headstart verify {cache} --repair'" in " ".join(out.split())
    assert "12 images without a sound row" in " ".join(out.split())
    status, out, _ = headstart("verify", cache, "--repair")
    assert status == 0
    assert f"repaired {shard.relative_to(cache)}" in " ".join(out.split())
    assert "12 of them embedded again" in " ".join(out.split())
    assert headstart("verify", cache)[0] == 0


def test_a_missing_shard_names_the_next_step(headstart: Headstart, cache: Path) -> None:
    EmbeddingCache(cache).stores()[0].shards()[0].unlink()
    status, _, err = headstart("verify", cache)
    assert status == 1
    assert f"'headstart verify {cache} --repair' embeds the missing images" in " ".join(err.split())
    assert headstart("verify", "--repair", cache)[0] == 0


def test_compact_says_what_it_did_and_then_that_nothing_is_to_do(headstart: Headstart, cache: Path) -> None:
    status, out, err = headstart("compact", cache)
    assert status == 0
    assert "3 shards, now 1" in out
    assert "nothing to do" not in err
    status, out, err = headstart("compact", cache)
    assert "nothing to do: every shard is full or the only small one" in " ".join(err.split())


def test_export_names_its_files(headstart: Headstart, cache: Path) -> None:
    status, out, err = headstart("export", cache, "--to", "x.npy")
    assert status == 0
    assert [line.strip() for line in out.splitlines()[-3:]] == ["x.npy", "x.csv", "x.json"]
    status, out, err = headstart("export", cache, "--to", "x.npy")
    assert status == 1
    assert "x.npy: exists already; name another file, or replace it with --overwrite" in err
    assert headstart("export", cache, "--to", "x.npy", "--overwrite")[0] == 0


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (["verify"], {"sound", "damage", "incomplete", "keys", "shards", "bytes", "notes"}),
        (["compact"], {"changed", "dropped", "shards_before", "shards_after", "bytes_before", "bytes_after", "keys"}),
        (["export", "--to", "x.parquet"], {"files", "images", "key", "taps", "dtype", "bytes"}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_json_is_one_object_and_nothing_else(
    headstart: Headstart, cache: Path, words: list[str], fields: set[str]
) -> None:
    status, out, _ = headstart(*words[:1], cache, *words[1:], "--json")
    assert status == 0
    assert set(json.loads(out)) >= fields


def test_every_key_that_was_compacted_is_described_by_the_same_fields(embed: Callable[..., Any], photos: Path) -> None:
    both: dict[str, Any] = {"backbone": ["small_cnn", "pixels"], "weights": ["none", "default"]}
    embed(**both)
    (photos / "cat" / "00.png").unlink()
    summary = compact(embed(**both).cache)
    assert summary.changed
    fields = {"id", "rows", "dropped", "shards_before", "shards_after", "bytes_before", "bytes_after"}
    assert [set(vars(key)) for key in summary.keys] == [fields, fields]


@pytest.mark.parametrize("command", ["verify", "compact", "export"])
def test_a_folder_that_is_no_cache_is_one_clear_line(headstart: Headstart, command: str) -> None:
    status, out, err = headstart(command, "nowhere", *(["--to", "x.h5"] if command == "export" else []))
    assert (status, out) == (1, "")
    assert err.startswith("headstart: nowhere: no cache here")
    assert headstart(command, "--help")[0] == 0


def test_compact_drops_no_row_while_an_image_could_not_be_read(
    headstart: Headstart, cache: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "cat" / "00.png").chmod(0)
    original = Path.open

    def refusing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "00.png" and path.parent.name == "cat":
            raise PermissionError(13, "Permission denied")
        return original(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)  # the tests may run as root, whom no permission stops
    (cache / "listing.parquet").unlink()
    words = ["extract", photos, "--backbone", "small_cnn", "--weights", "none", "--precision", "fp32"]
    assert headstart(*words, "--cache", cache)[0] == 0
    status, _, err = headstart("compact", cache)
    assert status == 0
    assert "1 listed image could not be read, so no row was dropped" in " ".join(err.split())
    assert EmbeddingCache(cache).stores()[0].n_rows() == 36
