"""A backbone gets images of the size that is asked for: its positions are interpolated, and the key says so."""

from collections import OrderedDict
from dataclasses import replace

import pytest
import torch
from torchvision import models
from torchvision.models.vision_transformer import interpolate_embeddings

from headstart.extractors.backbones import torchvision_models
from headstart.extractors.backbones.registry import load_backbone
from headstart.extractors.errors import BackboneError
from headstart.extractors.network.taps import Tap, TapReader
from headstart.extractors.spec.key import EmbeddingKey
from headstart.extractors.spec.preprocessing import Preprocessing
from headstart.extractors.spec.settings import Settings


def tiny_vit(_name="", *, weights=None, num_classes=3, image_size=224):
    return models.VisionTransformer(image_size, 16, 1, 2, 8, 16, num_classes=num_classes)


@pytest.fixture
def vit(tmp_path, monkeypatch):
    """Put a ViT of one narrow layer in the place of vit_b_16; return its weights, and their file."""
    monkeypatch.setattr(torchvision_models.models, "get_model", tiny_vit)
    state = tiny_vit().state_dict()
    torch.nn.init.normal_(state["encoder.pos_embedding"])
    torch.save(state, tmp_path / "vit.pth")
    return state, str(tmp_path / "vit.pth")


def test_positions_of_torchvisions_vits_are_interpolated_as_torchvision_does(vit):
    state, file = vit
    plain, larger = (load_backbone("vit_b_16", weights=file, image_size=size) for size in (None, 96))
    expected = interpolate_embeddings(96, 16, OrderedDict(state))["encoder.pos_embedding"]
    assert torch.equal(larger.module.state_dict()["encoder.pos_embedding"], expected)
    assert larger.preprocessing == replace(plain.preprocessing, resize=round(256 * 96 / 224), crop=(96, 96))
    assert plain.weights.startswith("sha256:")
    assert larger.weights.startswith("state-sha256:")
    with TapReader(larger, [Tap()]) as read:
        assert read(torch.zeros(2, 3, 96, 96))["penultimate"].shape == (2, 8)


def test_the_size_of_the_weights_themselves_changes_nothing_but_the_key(vit):
    plain, same = (load_backbone("vit_b_16", weights=vit[1], image_size=size) for size in (None, 224))
    assert (same.weights, same.preprocessing) == (plain.weights, plain.preprocessing)


@pytest.mark.parametrize("name", ["timm/test_vit", "timm/test_vit4", "timm/test_resnet", "timm/test_convnext"])
@pytest.mark.parametrize("weights", ["none", "file"])
def test_timms_models_take_another_size(name, weights, tmp_path):
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model(name.removeprefix("timm/")).state_dict(), tmp_path / "x.pth")
    given = "none" if weights == "none" else str(tmp_path / "x.pth")
    backbone = load_backbone(name, weights=given, image_size=96)
    assert backbone.preprocessing.crop == (96, 96)
    with TapReader(backbone, [Tap()]) as read:
        assert len(read(torch.zeros(1, 3, 96, 96))["penultimate"]) == 1


def test_networks_without_positions_take_it_as_it_is():
    plain, larger = (load_backbone("squeezenet1_1", weights="none", image_size=size) for size in (None, 96))
    assert (larger.weights, larger.preprocessing.resize) == (plain.weights, 110)
    assert load_backbone("pixels", image_size=16).preprocessing.crop == (16, 16)


def test_a_size_that_no_patch_fills_or_no_network_takes_is_refused_with_one_that_it_does():
    with pytest.raises(BackboneError, match=r"patches of 16 pixels, and 100 is no multiple.*--image-size 96 or 112"):
        load_backbone("vit_b_16", weights="none", image_size=100)
    with pytest.raises(BackboneError, match=r"takes no images of 20 pixels a side .*--image-size, such as its own 224"):
        load_backbone("alexnet", weights="none", image_size=20)


def test_a_key_says_the_size_that_was_asked_for_and_is_as_before_without():
    key = EmbeddingKey(backbone="b", weights="w", taps=("t",), preprocessing=Preprocessing())
    assert "image_size" not in key.as_dict()
    sized = replace(key, image_size=384)
    assert EmbeddingKey.from_dict(sized.as_dict()) == sized
    assert sized.id != key.id
    assert Settings.for_key(sized).image_size == Settings(image_size=384).as_asked["image_size"] == 384
