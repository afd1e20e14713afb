"""What a request is known by, and how long it is remembered."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headstart.extractors.extraction.known_requests
from headstart.extractors.cache.cache import EmbeddingCache
from headstart.extractors.extraction.key_description import FidelityRow, KeyDescription
from headstart.extractors.extraction.known_requests import describe_request, recall, remember
from headstart.extractors.spec.settings import Settings
from headstart.extractors.spec.tap import Tap

KEY = KeyDescription(
    id="resnet18-0123",
    backbone="torchvision/resnet18",
    weights="none",
    taps=["penultimate"],
    precision="fp32",
    decode="draft",
    dtype="float32",
    fidelity=FidelityRow(0.9999, 0.01, {"penultimate": {"cosine": 0.9999, "relative_error": 0.01}}, 8),
)


def request(backbone: str = "resnet18", weights: str = "none", **settings: Any) -> dict[str, Any]:
    return describe_request(backbone, weights, [Tap("layer3"), Tap()], Settings(**settings))


def test_a_request_is_plain_json_that_reads_back_equal() -> None:
    assert json.loads(json.dumps(request())) == request()


def test_every_setting_that_has_a_part_in_the_key_is_part_of_a_request() -> None:
    assert request()["settings"].keys() == set(Settings.__dataclass_fields__) - {"workers", "batch_size", "compile"}
    assert request(workers=3, batch_size=3, compile="off") == request()
    assert request(decode="full") != request()


def test_the_order_of_taps_is_no_part_of_a_request() -> None:
    turned = describe_request("resnet18", "none", [Tap(), Tap("layer3"), Tap()], Settings())
    assert turned == request()


def test_the_gpus_that_may_be_used_are_part_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    before = request()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert request() != before


def test_a_file_called_like_a_reserved_word_is_no_weights_file(elsewhere: Path) -> None:
    before = request()
    (elsewhere / "none").touch()
    (elsewhere / "IMAGENET1K_V1").touch()
    assert request() == before
    assert request(weights="IMAGENET1K_V1")["weights_file"]["bytes"] == 0


def test_what_was_remembered_is_recalled_for_an_equal_request_alone(cache: EmbeddingCache) -> None:
    remember(cache, request(), KEY)
    remember(cache, request(dtype="float16"), replace(KEY, id="other"))
    assert recall(cache.path, request()) == KEY
    assert recall(cache.path, request(dtype="float16")) == replace(KEY, id="other")
    assert recall(cache.path, request(device="cpu")) is None


def test_what_is_remembered_already_is_not_written_again(cache: EmbeddingCache) -> None:
    remember(cache, request(), KEY)
    before = (cache.path / "requests.json").stat()
    remember(cache, request(), KEY)
    assert (cache.path / "requests.json").stat() == before


def test_a_request_that_led_to_another_key_is_recalled_with_the_last(cache: EmbeddingCache) -> None:
    remember(cache, request(), KEY)
    remember(cache, request(), replace(KEY, id="later"))
    assert recall(cache.path, request()) == replace(KEY, id="later")
    assert len(json.loads((cache.path / "requests.json").read_text())) == 1


@pytest.mark.parametrize(
    ("weights", "canonical"),
    [("default", "timm/vit_tiny_patch16_224"), ("none", "mypackage.models:build")],
    ids=["timm's hub", "own code"],
)
def test_what_may_change_unseen_is_not_remembered(cache: EmbeddingCache, weights: str, canonical: str) -> None:
    remember(cache, request(weights=weights), replace(KEY, backbone=canonical))
    assert not (cache.path / "requests.json").exists()


def test_the_oldest_of_too_many_is_forgotten(cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headstart.extractors.extraction.known_requests, "_KEPT", 2)
    asked = [request(device=device) for device in ("cpu", "cuda:0", "cuda:1")]
    for one in asked:
        remember(cache, one, KEY)
    assert [recall(cache.path, one) for one in asked] == [None, KEY, KEY]


def test_a_cache_that_may_not_be_written_remembers_nothing_and_does_not_complain(
    cache: EmbeddingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    remember(cache, request(), KEY)
    assert not (cache.path / "requests.json").exists()


def test_a_change_of_a_module_deep_in_the_package_is_part_of_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "sub" / "deep.py"
    module.parent.mkdir()
    module.touch()
    monkeypatch.setattr(headstart.extractors, "__path__", [str(tmp_path)])
    before = request()
    os.utime(module, ns=(0, 2**62))
    assert request()["code"] == 2**62
    assert request() != before
