"""A rerun with nothing new looks at files, loads no torch, reads no image and writes nothing; any change ends that."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import age, draw
from support.cache_contract import check_cache
from support.reruns import LONG_AGO, of_the_key
from support.tar_shards import write_tar

import headstart.extractors.extraction.known_requests
import headstart.extractors.images.folders
import headstart.flows.extraction.job
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.flows.output.json_values import plain

Embed = Callable[..., Any]


CHILD = """
import json, sys
from headstart.flows import extract
from headstart.flows.output import plain
summary = extract(**json.loads(sys.argv[1]))
loaded = sorted({"torch", "torchvision", "timm", "PIL", "sklearn", "prefect", "dask"} & set(sys.modules))
print(json.dumps([loaded, summary.images, summary.embedded, summary.reused, summary.quarantined, plain(summary.keys)]))
"""


def in_a_child(**options: Any) -> Any:
    run = [sys.executable, "-c", CHILD, json.dumps(options, default=str)]
    return json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


def files_of(folder: Path) -> dict[Path, tuple[int, int, int]]:
    """Return what would differ if a file or folder were written, even with the same content."""
    found = ((path, path.stat()) for path in [folder, *folder.rglob("*")])
    return {path: (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for path, stat in found}


@pytest.mark.parametrize("kind", ["folder", "manifest", "tar"])
def test_a_rerun_loads_neither_torch_nor_what_decodes_and_says_the_same(
    embed: Embed, photos: Path, tmp_path: Path, kind: str
) -> None:
    (photos / "cat" / "00.png").write_bytes(b"this is text")
    age(photos)
    images = photos
    if kind == "manifest":
        images = tmp_path / "manifest.csv"
        images.write_text(
            "\n".join(["path", *(f"photos/{path.relative_to(photos)}" for path in photos.rglob("*.png"))])
        )
    elif kind == "tar":
        files = {path.relative_to(photos).as_posix(): path.read_bytes() for path in sorted(photos.rglob("*.png"))}
        images = write_tar(tmp_path / "shard.tar", files)
        os.utime(images, (LONG_AGO, LONG_AGO))
    (first,) = embed(images=images).keys
    options = {"backbone": "small_cnn", "weights": "none", "precision": "fp32"}
    loaded, *counts, keys = in_a_child(images=images, cache=tmp_path / "cache", **options)
    assert loaded == []
    assert counts == [36, 0, 35, 1]
    assert [(key["embedded"], key["reused"], *of_the_key(key)) for key in keys] == [(0, 35, *of_the_key(first))]
    assert plain(first).keys() == keys[0].keys()


def test_a_rerun_writes_nothing_so_that_a_cache_may_be_read_only(
    embed: Embed, photos: Path, tmp_path: Path, opened: list[str]
) -> None:
    (photos / "cat" / "00.png").write_bytes(b"this is text")
    age(photos)
    embed()
    before = files_of(tmp_path / "cache")
    assert embed().embedded == 0
    assert files_of(tmp_path / "cache") == before
    assert opened == ["small_cnn"]


def test_a_rerun_that_must_load_the_backbone_writes_nothing_either_where_it_may_not(
    embed: Embed, photos: Path, tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    embed()
    (tmp_path / "cache" / "requests.json").unlink()
    before = files_of(tmp_path / "cache")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert embed().embedded == 0
    assert opened == ["small_cnn"] * 2
    assert files_of(tmp_path / "cache") == before


@pytest.mark.parametrize(
    "same",
    [
        {"workers": 1, "batch_size": 3},
        {"tap": ["penultimate", "features.2:avg"]},
        {"backbone": ["small_cnn", "small_cnn"]},
    ],
    ids=str,
)
def test_what_does_not_change_the_key_opens_no_backbone(
    embed: Embed, photos: Path, opened: list[str], same: dict[str, Any]
) -> None:
    embed(**({"tap": ["features.2:avg", "penultimate"]} if "tap" in same else {}))
    opened.clear()
    assert embed(**same).embedded == 0
    assert opened == []


@pytest.mark.parametrize(
    ("other", "embedded"),
    [
        ({"dtype": "float16"}, 36),
        ({"tap": "features.2:avg"}, 36),
        ({"backbone": "pixels", "weights": "default"}, 36),
        ({"precision": "auto"}, None),
        ({"device": "cpu"}, 0),
    ],
    ids=str,
)
def test_another_request_opens_the_backbone(
    embed: Embed, photos: Path, opened: list[str], other: dict[str, Any], embedded: int | None
) -> None:
    embed()
    opened.clear()
    summary = embed(**other)
    assert opened == [other.get("backbone", "small_cnn")]
    assert embedded is None or summary.embedded == embedded


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", lambda library: f"{library} 99"),
        ("_newest_change", lambda: 0),
        ("_describe_machine", lambda: {"gpus": ["nvidia0"]}),
        ("FORMAT_VERSION", 99),
    ],
    ids=["libraries", "code", "machine", "format"],
)
def test_a_request_on_other_ground_is_another_request(
    embed: Embed, photos: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch, name: str, value: Any
) -> None:
    embed()
    with monkeypatch.context() as changed:
        changed.setattr(headstart.extractors.extraction.known_requests, name, value)
        assert embed().embedded == 0
    assert opened == ["small_cnn"] * 2
    embed()  # back where it was: both are remembered
    assert opened == ["small_cnn"] * 2


def test_new_images_are_embedded_and_removed_ones_open_nothing(embed: Embed, photos: Path, opened: list[str]) -> None:
    embed()
    (photos / "cat" / "00.png").unlink()
    summary = embed()
    assert (summary.images, summary.reused, len(opened)) == (35, 35, 1)
    draw(photos / "cat" / "new.png", 0, seed=900)
    summary = embed()
    assert (summary.embedded, summary.reused, len(opened)) == (1, 35, 2)
    check_cache(EmbeddingCache(summary.cache))


def test_a_key_or_a_shard_that_is_gone_is_embedded_again(
    embed: Embed, photos: Path, tmp_path: Path, opened: list[str]
) -> None:
    embed()
    (shard,) = (tmp_path / "cache").rglob("shard-*.h5")
    shard.unlink()
    assert embed().embedded == 36
    shutil.rmtree(tmp_path / "cache" / "embeddings")
    assert embed().embedded == 36
    assert len(opened) == 3


@pytest.mark.parametrize("content", ["", "[", "{}", '["x"]', '[{"request": 1}]', '[{"request": 1, "key": 2}]', "null"])
def test_a_damaged_memory_is_written_anew(
    embed: Embed, photos: Path, tmp_path: Path, opened: list[str], content: str
) -> None:
    embed()
    (tmp_path / "cache" / "requests.json").write_text(content)
    for _ in range(2):
        assert embed().embedded == 0
    assert len(opened) == 2


def test_one_new_backbone_among_several_opens_that_one_alone(embed: Embed, photos: Path, opened: list[str]) -> None:
    embed()
    opened.clear()
    summary = embed(backbone=["small_cnn", "pixels"], weights=["none", "default"])
    assert opened == ["pixels"]
    assert [(key.backbone, key.embedded, key.reused) for key in summary.keys] == [
        ("headstart/small_cnn", 0, 36),
        ("headstart/pixels", 36, 0),
    ]


def test_a_limited_listing_says_so_and_costs_the_next_full_run_nothing(
    embed: Embed, photos: Path, opened: list[str]
) -> None:
    embed()
    opened.clear()
    limited = embed(limit=6)
    assert limited.notes == ["the listing is limited to 6 of 36 images"]
    full = embed()
    assert (full.images, full.embedded, full.notes) == (36, 0, [])
    assert opened == []


def test_a_rerun_that_is_asked_to_reads_every_file_and_says_what_had_changed_unseen(
    embed: Embed, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embed()
    states = {path: path.stat() for path in photos.rglob("*.png")}
    draw(photos / "cat" / "00.png", 2, seed=4711)  # as on a file system that shows nothing of it
    original = headstart.extractors.images.folders.listed_file
    monkeypatch.setattr(
        headstart.extractors.images.folders, "listed_file", lambda path, _: original(path, states[photos / path])
    )
    assert embed().embedded == 0
    again = embed(rehash=True)
    assert (again.embedded, again.reused) == (1, first.images - 1)
    assert "every file was read: 1 had changed where nothing but the content showed it" in again.notes
    assert embed(rehash=True).notes[0].startswith("every file was read: 0 had")
