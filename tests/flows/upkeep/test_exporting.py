"""Which embeddings go into the file: the only ones, or those that are named; and no file is overwritten unasked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.listing.cache_listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.upkeep.exporting import export

Embed = Callable[..., Any]


@pytest.fixture
def cache(embed: Embed) -> str:
    """Two backbones, the first with two taps."""
    embed(tap=["penultimate", "features.2:avg"])
    return str(embed(backbone="pixels", weights="default").cache)


@pytest.mark.parametrize("name", ["small_cnn", "headstart/small_cnn"])
def test_a_backbone_is_named_with_or_without_its_source(cache: str, tmp_path: Path, name: str) -> None:
    summary = export(cache, tmp_path / "x.h5", backbone=name)
    assert summary.images == 36
    assert set(summary.taps) == {"penultimate", "features.2:avg"}
    with h5py.File(tmp_path / "x.h5") as file:
        assert json.loads(file.attrs["key"])["backbone"] == "headstart/small_cnn"
        assert set(file["features"]) == set(summary.taps)


def test_the_rows_are_those_of_the_listing(cache: str, tmp_path: Path) -> None:
    summary = export(cache, tmp_path / "x.npy", backbone="pixels", dtype="float16")
    opened = EmbeddingCache(cache)
    (store,) = [store for store in opened.stores() if store.key.backbone == "headstart/pixels"]
    expected = np.asarray(store.view("penultimate", read_listing(opened).usable["digest"].tolist()))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected.astype(np.float16))
    assert summary.key == store.key.id
    assert summary.bytes == sum(path.stat().st_size for path in tmp_path.glob("x.*"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("x.h5", {}, r"which embeddings are meant\? Say --key with one of: .*pixels-.*; small_cnn-"),
        ("x.h5", {"backbone": "resnet50"}, "no embeddings of resnet50; the cache has .*small_cnn-"),
        ("x.h5", {"key": "resnet50-00"}, "no embeddings of resnet50-00; the cache has .*small_cnn-"),
        ("x.h5", {"backbone": "small_cnn", "tap": "layer3"}, "no tap 'layer3'; it has features.2:avg, penultimate"),
        (
            "x.npy",
            {"backbone": "small_cnn"},
            "a .npy file holds one tap; say --tap features.2:avg or --tap penultimate",
        ),
        ("x.csv", {}, "unknown kind of file; name a .h5, .npy, .parquet file"),
        ("no/x.h5", {}, "its folder does not exist; make it, or name a file elsewhere"),
    ],
)
def test_what_is_not_clear_is_an_error_that_says_how_to_choose(
    cache: str, tmp_path: Path, name: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(JobError, match=message):
        export(cache, tmp_path / name, **options)


@pytest.mark.parametrize(("name", "there"), [("x.h5", "x.h5"), ("x.npy", "x.csv"), ("x.npy", "x.json")])
def test_a_file_that_exists_is_replaced_only_on_demand(cache: str, tmp_path: Path, name: str, there: str) -> None:
    (tmp_path / there).write_text("precious")
    with pytest.raises(JobError, match=f"{there}: exists already; name another file, or replace it with --overwrite"):
        export(cache, tmp_path / name, backbone="pixels")
    assert (tmp_path / there).read_text() == "precious"
    assert export(cache, tmp_path / name, backbone="pixels", overwrite=True).images == 36


def test_exporting_loads_no_torch(cache: str, tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from headstart.flows.upkeep.exporting import export; "
        f"export({cache!r}, {str(tmp_path / 'x.h5')!r}, backbone='pixels'); print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
