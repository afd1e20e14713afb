"""A network that bfloat16 ruins has its worst layers in float32, and its key, its records and its workers say which."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart.extractors.tuning.shortcuts
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.cache.turn import take_turn
from headstart.extractors.errors import BackboneError, SettingsError
from headstart.extractors.extraction.extraction import Extraction
from headstart.extractors.extraction.shard_request import ExtractionRequest, ShardWork
from headstart.extractors.extraction.shard_work import embed_shard, prepare_pass, settle
from headstart.extractors.images.reading import image_sources
from headstart.extractors.images.sources import list_images
from headstart.extractors.listing.update import update_listing
from headstart.extractors.network.forward import ForwardPass
from headstart.extractors.spec import Mixed
from headstart.extractors.spec.key import EmbeddingKey
from headstart.extractors.spec.settings import Settings
from headstart.extractors.spec.tap import Tap
from headstart.extractors.tuning.execution import Execution
from headstart.extractors.tuning.fidelity import FidelityRecord, compare_features
from headstart.extractors.tuning.rounding import RoundedLayer, rounded_layers, sets_in_float32

CPU = torch.device("cpu")
AUTO = Settings(device="cpu", decode="full", colour="as-stored", workers=1)
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def fast_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headstart.extractors.tuning.shortcuts, "has_fast_bf16", lambda _: True)


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache", create=True)


def opened(cache: EmbeddingCache, photos: Path, network: str = "Ruined", settings: Settings = AUTO) -> Extraction:
    listing = update_listing(cache, list_images(photos), workers=1)
    backbone = load_backbone(f"support.rounded_networks:{network}")
    return Extraction(cache, listing, backbone, [Tap()], settings, weights_source="default")


def features(extraction: Extraction) -> Any:
    list(extraction.run())
    return np.asarray(extraction.store.view("penultimate", extraction.listing.distinct["digest"].tolist()))


def whole_key(key: EmbeddingKey) -> EmbeddingKey:
    return replace(key, in_float32=())


def test_the_layer_that_bfloat16_ruins_stays_in_float32_and_the_features_are_near(
    cache: EmbeddingCache, photos: Path, tmp_path: Path
) -> None:
    mixed = opened(cache, photos)
    assert (mixed.store.key.precision, mixed.store.key.in_float32) == ("bf16", ("cancel",))
    (reason,) = mixed.reasons
    assert reason.startswith(
        "computed in bf16 with 1 layer in float32 (cancel): in bfloat16, the cosine to plain float32 falls to 0."
    )
    exact = opened(EmbeddingCache(tmp_path / "exact", create=True), photos, settings=replace(AUTO, precision="fp32"))
    whole = opened(EmbeddingCache(tmp_path / "whole", create=True), photos, settings=replace(AUTO, precision="bf16"))
    reference = {"tap": features(exact)}
    assert compare_features(reference, {"tap": features(mixed)}).cosine > 0.9995
    assert compare_features(reference, {"tap": features(whole)}).cosine < 0.99
    assert whole.store.key == whole_key(mixed.store.key) != mixed.store.key


@pytest.mark.parametrize("network", ["OutsideOfLayers", "CutOff"])
def test_where_no_layer_helps_all_is_computed_in_float32(cache: EmbeddingCache, photos: Path, network: str) -> None:
    extraction = opened(cache, photos, network)
    assert (extraction.store.key.precision, extraction.store.key.in_float32) == ("fp32", ())
    assert extraction.fidelity.mixed
    assert not extraction.fidelity.mixed.accepted
    assert extraction.reasons[-1].startswith("computed in float32: in bfloat16, the cosine to plain float32 falls to")


def test_a_network_that_keeps_its_features_is_in_bfloat16_as_a_whole_under_the_key_of_before(
    cache: EmbeddingCache, photos: Path
) -> None:
    key = opened(cache, photos, "Sound").store.key
    assert (key.precision, key.in_float32) == ("bf16", ())
    assert "in_float32" not in key.as_dict()


def test_where_bfloat16_is_not_fast_nothing_is_tried(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headstart.extractors.tuning.shortcuts, "has_fast_bf16", lambda _: False)
    extraction = opened(cache, photos)
    assert (extraction.store.key.precision, extraction.fidelity.mixed) == ("fp32", None)


def test_the_choice_is_read_back_and_not_measured_again(
    cache: EmbeddingCache, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(cache, photos)
    list(first.run())
    record = FidelityRecord.read(cache.store(whole_key(first.store.key)).path)
    assert record.mixed
    assert record.mixed.layers == ("cancel",)
    recorded = Execution.read(first.store.path)
    assert recorded
    assert recorded.in_float32 == ("cancel",)
    monkeypatch.setattr(headstart.extractors.tuning.shortcuts, "rounded_layers", lambda *_: pytest.fail("again"))
    again = opened(cache, photos)
    assert (again.store.key, again.reasons, len(again.missing)) == (first.store.key, first.reasons, 0)


@pytest.mark.parametrize("damage", ["half", "types", "names"])
def test_a_damaged_record_is_decided_anew_and_alike(cache: EmbeddingCache, photos: Path, damage: str) -> None:
    key = opened(cache, photos).store.key
    path = cache.store(whole_key(key)).path / "fidelity.json"
    content = json.loads(path.read_bytes())
    content["mixed"]["layers"] = {"half": ["cancel"], "types": [3], "names": ["another"]}[damage]
    text = json.dumps(content)
    path.write_text(text[: len(text) // 2] if damage == "half" else text)
    assert opened(cache, photos).store.key == key
    assert json.loads(path.read_bytes())["mixed"]["layers"] == ["cancel"]


def test_rows_that_are_there_in_float32_stay_in_use(cache: EmbeddingCache, photos: Path) -> None:
    before = opened(cache, photos, settings=replace(AUTO, precision="fp32"))
    list(before.run())
    extraction = opened(cache, photos)
    assert (extraction.store.key, len(extraction.missing)) == (before.store.key, 0)
    assert extraction.reasons[-1].startswith("computed in float32, as the rows before: in bfloat16, the cosine")


def test_rows_in_bfloat16_as_a_whole_are_not_mixed_with_others(cache: EmbeddingCache, photos: Path) -> None:
    whole = opened(cache, photos, settings=replace(AUTO, precision="bf16"))
    list(whole.run())
    extraction = opened(cache, photos)
    assert extraction.store.key.in_float32 == ("cancel",)
    assert len(extraction.missing) == 36


def test_workers_compute_the_rows_that_one_process_computes(
    cache: EmbeddingCache, photos: Path, tmp_path: Path
) -> None:
    here = opened(EmbeddingCache(tmp_path / "here", create=True), photos)
    expected = features(here)
    listing = update_listing(cache, list_images(photos), workers=1)
    request = ExtractionRequest(cache.path, "support.rounded_networks:Ruined", "default", (Tap(),), AUTO)
    key = settle(request, listing, slot="decides").key
    execution = prepare_pass(request, key, listing, 36, slot="decides").execution
    assert execution
    images = list(zip(image_sources(listing.distinct), listing.distinct["digest"], strict=True))
    store = cache.store(key)
    embed_shard(ShardWork(request, key, execution, take_turn(store.path), listing.root, images), slot="another")
    assert key == here.store.key
    np.testing.assert_array_equal(store.view("penultimate", listing.distinct["digest"].tolist()), expected)


def test_a_key_with_layers_survives_json_and_gives_the_settings_that_make_it() -> None:
    backbone = load_backbone("small_cnn", weights="none")
    plain = EmbeddingKey(backbone="x/y", weights="", taps=("penultimate",), preprocessing=backbone.preprocessing)
    key = replace(plain, precision="bf16", in_float32=("b", "a", "b"))
    assert key.in_float32 == ("a", "b")
    assert EmbeddingKey.from_dict(json.loads(json.dumps(key.as_dict()))) == key
    assert key.id != replace(key, in_float32=("a",)).id != replace(key, in_float32=()).id
    assert Settings.for_key(key).as_asked["in_float32"] == ("a", "b")
    assert replace(key, in_float32=()).differences(key) == "in_float32: [] here, ['a', 'b'] there"


def test_layers_that_are_asked_for_are_taken_and_checked(cache: EmbeddingCache, photos: Path) -> None:
    asked = replace(AUTO, precision="bf16", in_float32=["last", "cancel"])
    assert opened(cache, photos, settings=asked).store.key.in_float32 == ("cancel", "last")
    with pytest.raises(SettingsError, match=r"layers in float32 \(a\) with precision auto: expected bf16, .* add"):
        Settings(in_float32=["a"])
    with pytest.raises(BackboneError, match="no layers nowhere to keep in float32; see 'headstart summary'"):
        ForwardPass(
            load_backbone("small_cnn", weights="none"), [Tap()], device=CPU, precision=Mixed(("nowhere",)), batch_size=1
        )


@pytest.mark.parametrize("plain", [True, False])
def test_with_every_layer_in_float32_the_features_are_those_of_float32(plain: bool) -> None:
    backbone = load_backbone("support.rounded_networks:Ruined")
    exact, mixed = (
        ForwardPass(backbone, [Tap()], device=CPU, precision=precision, batch_size=8, plain=plain)(IMAGES)[
            "penultimate"
        ]
        for precision in ("fp32", Mixed(("mix", "cancel", "last")))
    )
    np.testing.assert_allclose(mixed, exact, rtol=1e-5, atol=1e-6)


def test_the_loss_of_a_layer_is_near_what_it_loses_alone() -> None:
    backbone = load_backbone("support.rounded_networks:Sound")
    forward = ForwardPass(backbone, [Tap()], device=CPU, precision="fp32", batch_size=1)
    layers = rounded_layers(forward, IMAGES)
    assert [layer.name for layer in layers] == ["mix", "cancel", "last"]
    assert not any(module._forward_hooks for module in forward.module.modules())
    exact = ForwardPass(backbone, [Tap()], device=CPU, precision="fp32", batch_size=8)(IMAGES)["penultimate"]
    for layer in layers:
        others = Mixed(tuple({"mix", "cancel", "last"} - {layer.name}))
        alone = ForwardPass(backbone, [Tap()], device=CPU, precision=others, batch_size=8)(IMAGES)
        rounded = alone["penultimate"]
        cosines = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
        assert layer.loss == pytest.approx(1 - cosines.astype(float).mean(), rel=2, abs=1e-7)
    mix, cancel, last = (layer.operations for layer in layers)
    assert (mix, cancel, last) == (15 * 15 * 8 * (2 * 27 + 48), 15 * 15 * 8 * (2 * 16 + 48), 49 * 12 * (2 * 72 + 48))


def test_few_layers_are_tried_first_then_more_and_never_most_of_the_network() -> None:
    layers = [RoundedLayer("dear", 4.0, 100), RoundedLayer("cheap", 4.0, 10), RoundedLayer("free", 0.0, 1)]
    layers += [RoundedLayer(f"small {number}", 1.0, 10) for number in range(2)]
    # Of a loss of .002 the cheap one takes .0008 and each small one .0002: with three, .8 of what may be lost is left.
    assert list(sets_in_float32(layers, 0.002)) == [("cheap", "small 0", "small 1")]
    assert list(sets_in_float32(layers, 0.0011)) == [("cheap",), ("cheap", "small 0"), ("cheap", "small 0", "small 1")]
    assert list(sets_in_float32([], 0.5)) == list(sets_in_float32(layers[:1], 0.5)) == []
    assert list(sets_in_float32(layers, float("nan"))) == []


def test_real_weights_reach_the_cosine_with_a_few_layers_in_float32(real_data: Path, cache: EmbeddingCache) -> None:
    listing = update_listing(cache, list_images(real_data / "data/hymenoptera/val", limit=24), workers=1)
    weights = str(real_data / "weights" / "mobilenet_v2-imagenet.pth")
    backbone = load_backbone("mobilenet_v2", weights=weights)
    extraction = Extraction(cache, listing, backbone, [Tap()], AUTO, weights_source=weights)
    assert extraction.fidelity.bf16
    assert extraction.fidelity.mixed
    assert extraction.fidelity.bf16.cosine < 0.999 <= extraction.fidelity.mixed.cosine
    assert "features.0.0" in extraction.store.key.in_float32
    assert len(extraction.store.key.in_float32) <= 26  # of 52
