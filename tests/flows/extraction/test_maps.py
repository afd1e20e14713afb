"""Maps: what a layer puts out is a row of the cache, in float16 where that will do, its size said first."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES
from support.small_networks import small_backbone, some_images
from torchvision.models.swin_transformer import SwinTransformer

from headstart.extractors.backbones import load_backbone, own_models, small_cnn
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.errors import CacheError
from headstart.extractors.listing import read_listing
from headstart.extractors.network.taps import TapReader
from headstart.extractors.spec import Tap
from headstart.flows.cli.app import main
from headstart.flows.errors import JobError
from headstart.flows.fitting import fit
from headstart.flows.upkeep import inspect

Embed = Callable[..., Any]
LAYER = "features.7"  # 32 channels of 8 × 8
PIXELS = 32 * 8 * 8


def rows_of(cache: str | Path, tap: str) -> Any:
    opened = EmbeddingCache(cache)
    store = next(one for one in opened.stores() if tap in one.key.taps)
    return store.view(tap, read_listing(opened).usable["digest"].tolist())


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [("small_cnn", LAYER, (32, 8, 8)), ("vit", "encoder.ln", (17, 32)), ("swin", "features.0", (8, 8, 8))],
)
def test_a_map_is_what_the_layer_puts_out_whatever_the_order_of_its_axes(
    name: str, layer: str, shape: tuple[int, ...]
) -> None:
    backbone = small_backbone("vit") if name == "vit" else load_backbone("small_cnn", weights="none")
    images = some_images(2)
    if name == "swin":
        swin = SwinTransformer([4, 4], 8, [2], [2], [4, 4], num_classes=3).eval()
        backbone = replace(backbone, module=swin, head="head", channels_last=True)
    seen: list[torch.Tensor] = []
    hook = backbone.module.get_submodule(layer).register_forward_hook(lambda *given: seen.append(given[-1].clone()))
    with torch.no_grad(), TapReader(backbone, [Tap(layer, "map")]) as read:
        (rows,) = read(images).values()
    hook.remove()
    assert rows.shape == (2, *shape)
    assert torch.equal(rows, seen[0])


def test_maps_are_stored_in_float16_where_that_only_rounds_and_it_is_said(embed: Embed) -> None:
    summary = embed(tap=f"{LAYER}:map")
    (key,) = summary.keys
    assert key.dtype == "float16"
    assert f"{LAYER}:map: stored in float16, which holds the first images but for its rounding" in key.reasons
    rows = np.asarray(rows_of(summary.cache, f"{LAYER}:map"))
    assert rows.shape == (36, 32, 8, 8)
    assert rows.dtype == np.float16
    whole = np.asarray(rows_of(embed(tap=f"{LAYER}:map", dtype="float32").cache, f"{LAYER}:map"), np.float32)
    np.testing.assert_allclose(rows, whole, rtol=1e-3, atol=1e-6)


def test_maps_beyond_the_range_of_float16_stay_in_float32(embed: Embed, monkeypatch: pytest.MonkeyPatch) -> None:
    def loud(n_classes: int) -> torch.nn.Module:
        module = made(n_classes)
        module.features[0].weight.data *= 1e6
        return module

    made = small_cnn.SmallCNN
    monkeypatch.setitem(
        own_models.OWN, "small_cnn", own_models._Own(loud, small_cnn.PREPROCESSING, "classifier", 128, 0.0)
    )
    (key,) = embed(tap="features.0:map").keys
    assert key.dtype == "float32"
    assert "features.0:map: stored in float32, for float16 would lose more than its rounding" in key.reasons


def test_vectors_stay_in_float32_under_the_keys_that_they_had(embed: Embed) -> None:
    (key,) = embed().keys
    assert key.dtype == "float32"
    assert embed(dtype="float32").keys[0].id == key.id


def test_images_that_come_later_go_on_in_the_dtype_of_the_rows_before(embed: Embed) -> None:
    first = embed(tap=f"{LAYER}:map", limit=6).keys[0]
    later = embed(tap=f"{LAYER}:map").keys[0]
    assert (later.id, later.embedded) == (first.id, 30)


def test_the_size_of_an_image_is_said_before_rows_are_written(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(SystemExit):
        main(["extract", str(photos), "--backbone", "small_cnn", "--weights", "none", "--cache", str(cache),
              "--tap", f"{LAYER}:map"])  # fmt: skip
    told = " ".join(capsys.readouterr().err.split())
    assert f"{LAYER}:map: 4.1 kB an image in float16, 147.5 kB for 36 images" in told
    assert inspect(cache).keys[0].bytes_an_image == 2 * PIXELS
    with pytest.raises(SystemExit):
        main(["inspect", str(cache)])
    assert "4.1 kB an image" in capsys.readouterr().out


def test_a_disk_that_cannot_hold_the_rows_is_told_before_the_first(
    embed: Embed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Usage = namedtuple("Usage", "total used free")  # noqa: PYI024 - as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 36 * 2 * PIXELS - 1))
    with pytest.raises(CacheError, match=r"36 images of 4.1 kB each need 0.1 MB, and 0.1 MB are free; .*pool it"):
        embed(tap=f"{LAYER}:map")
    assert not list((tmp_path / "cache").rglob("shard-*"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 36 * 2 * PIXELS))
    assert embed(tap=f"{LAYER}:map").embedded == 36


def test_a_fit_on_maps_alone_says_which_pooling_to_use(embed: Embed, elsewhere: Path) -> None:
    cache = embed(tap=f"{LAYER}:map").cache
    with pytest.raises(JobError, match=rf"holds maps alone.*32×8×8.*--tap {LAYER}:avg.*headstart finetune"):
        fit(cache, "logreg")


def test_a_fit_beside_maps_takes_the_vectors_and_says_so(embed: Embed, elsewhere: Path) -> None:
    cache = embed(tap=[f"{LAYER}:map", "penultimate"]).cache
    found = fit(cache, "centroid")
    assert {row.tap for row in found.leaderboard} == {"penultimate"}
    assert any(f"leave {LAYER}:map out" in note for note in found.notes)
    assert len(found.class_names) == len(CLASSES)


def test_rows_are_read_a_few_at_a_time_as_they_are_as_a_whole(embed: Embed) -> None:
    embed(tap=f"{LAYER}:map", limit=9)
    view = rows_of(embed(tap=f"{LAYER}:map").cache, f"{LAYER}:map")
    assert len(set(view.shard.tolist())) > 1
    whole, mapped = np.asarray(view), view.mapped()
    assert mapped.shape == whole.shape
    order = np.random.default_rng(0).permutation(len(whole))
    assert np.array_equal(mapped[order[:10]], whole[order[:10]])
    assert np.array_equal(mapped[3:7], whole[3:7])
    assert mapped[np.arange(0)].shape == (0, 32, 8, 8)
