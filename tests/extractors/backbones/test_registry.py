"""The registry of backbones: names, preprocessing, and what each source gives."""

import os
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from headstart.extractors.backbones import torchvision_models
from headstart.extractors.backbones.registry import list_backbones, load_backbone
from headstart.extractors.backbones.torchvision_table import TABLE
from headstart.extractors.errors import BackboneError
from headstart.extractors.network.taps import Tap, TapReader
from headstart.extractors.spec.preprocessing import Preprocessing

needs_data = pytest.mark.skipif("HEADSTART_DATA" not in os.environ, reason="HEADSTART_DATA is not set")


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("squeezenet1_1", "torchvision/squeezenet1_1"),
        ("torchvision/squeezenet1_1", "torchvision/squeezenet1_1"),
        ("small_cnn", "headstart/small_cnn"),
        ("headstart/pixels", "headstart/pixels"),
    ],
)
def test_the_source_may_be_left_out(name, canonical):
    assert load_backbone(name, weights="none").name == canonical


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet5", "torchvision/resnet50"),
        ("torchvision/resnet500", "torchvision/resnet50"),
        ("smallcnn", "headstart/small_cnn"),
        ("headstart/pixel", "headstart/pixels"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, nearest):
    with pytest.raises(
        BackboneError, match=f"no backbone is called '{name}'.*Nearest: .*{nearest}.*headstart backbones"
    ):
        load_backbone(name, weights="none")


def test_a_backbone_is_frozen():
    backbone = load_backbone("squeezenet1_1", weights="none")
    assert not any(layer.training for layer in backbone.module.modules())
    assert not any(parameter.requires_grad for parameter in backbone.module.parameters())


@pytest.mark.parametrize(
    ("name", "preprocessing"),
    [
        ("squeezenet1_1", Preprocessing(resize=256, crop=(224, 224))),
        ("mobilenet_v2", Preprocessing(resize=232, crop=(224, 224))),
        ("swin_v2_t", Preprocessing(resize=260, crop=(256, 256), interpolation="bicubic")),
    ],
)
def test_random_weights_take_the_preprocessing_of_the_default_weights(name, preprocessing):
    assert load_backbone(name, weights="none").preprocessing == preprocessing


@pytest.mark.parametrize(
    ("file", "resize"),
    [
        ("mobilenet_v2-7ebf99e0.pth", 232),  # the name of IMAGENET1K_V2's file
        ("mobilenet_v2-b0353104.pth", 256),
        ("mine.pth", 256),  # the classic recipe of the first published weights
    ],
)
def test_a_file_takes_the_preprocessing_of_the_published_file_of_its_name(tmp_path, file, resize):
    torch.save(models.mobilenet_v2(weights=None).state_dict(), tmp_path / file)
    backbone = load_backbone("mobilenet_v2", weights=str(tmp_path / file))
    assert backbone.preprocessing == Preprocessing(resize=resize, crop=(224, 224))


@pytest.mark.parametrize(
    ("image_size", "preprocessing"),
    [
        (224, Preprocessing(resize=256, crop=(224, 224))),
        (384, Preprocessing(resize=384, crop=(384, 384), interpolation="bicubic")),  # published as SWAG_E2E
        (128, Preprocessing(resize=128, crop=(128, 128))),  # published nowhere
    ],
)
def test_a_vit_file_is_built_for_the_image_size_of_its_position_embedding(
    tmp_path, monkeypatch, image_size, preprocessing
):
    # A ViT of one narrow layer in the place of vit_b_16, so that the test needs no 350 MB.
    def tiny(_name, *, weights, num_classes, image_size):
        assert weights is None
        return models.VisionTransformer(image_size, 16, 1, 2, 8, 16, num_classes=num_classes)

    monkeypatch.setattr(torchvision_models.models, "get_model", tiny)
    state = tiny("", weights=None, num_classes=3, image_size=image_size).state_dict()
    torch.save(state, tmp_path / "vit.pth")
    backbone = load_backbone("vit_b_16", weights=str(tmp_path / "vit.pth"))
    assert backbone.preprocessing == preprocessing
    assert backbone.notes == ("vit.pth takes images of 128 pixels a side, and gets them so",)[: image_size == 128]
    with TapReader(backbone, [Tap()]) as read:
        assert read(torch.zeros(1, 3, image_size, image_size))["penultimate"].shape == (1, 8)


def test_a_model_that_the_table_lacks_is_read_before_its_last_classifier(tmp_path, monkeypatch):
    monkeypatch.delitem(TABLE, "resnet18")
    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "x.pth")
    assert load_backbone("resnet18", weights=str(tmp_path / "x.pth")).head == "fc"
    assert load_backbone("resnet18", weights="none").head == "fc"
    assert list_backbones("resnet18")[0].feature_size is None


def test_the_list_has_every_torchvision_model_and_headstarts_own():
    names = [info.name for info in list_backbones()]
    assert len(names) == len(set(names))
    assert set(names) == {f"torchvision/{name}" for name in TABLE} | {
        "headstart/small_cnn",
        "headstart/pixels",
        "headstart/raw_pixels",
    }


def test_a_row_of_the_list_shows_what_is_published(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (before,) = list_backbones("torchvision/resnet50")
    assert (before.source, before.parameters, before.gflops) == ("torchvision", 25_557_032, 4.089)
    assert (before.feature_size, before.input_size, before.top1) == (2048, (224, 224), 80.858)
    assert not before.weights_on_disk
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet50-11ad3fa6.pth").touch()
    assert list_backbones("torchvision/resnet50")[0].weights_on_disk


@pytest.mark.parametrize("name", ["small_cnn", "pixels", "raw_pixels"])
def test_the_list_knows_the_size_of_headstarts_own(name):
    (info,) = list_backbones(f"headstart/{name}")
    backbone = load_backbone(name, weights="none")
    with TapReader(backbone, [Tap()]) as read:
        features = read(torch.zeros(1, 3, *info.input_size))["penultimate"]
    assert info.feature_size == features.shape[1]
    assert info.parameters == sum(parameter.numel() for parameter in backbone.module.parameters())
    with FlopCounterMode(display=False) as counter:
        backbone.module(torch.zeros(1, 3, *info.input_size))
    assert info.gflops == round(counter.get_total_flops() / 2 / 1e9, 4)  # a multiply-add counts as two there


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("wide_resnet*", ["torchvision/wide_resnet101_2", "torchvision/wide_resnet50_2"]),
        ("wide_resnet", ["torchvision/wide_resnet101_2", "torchvision/wide_resnet50_2"]),
        ("torchvision/alex*", ["torchvision/alexnet"]),
        ("headstart/*", ["headstart/small_cnn", "headstart/pixels", "headstart/raw_pixels"]),
        ("nothing_like_it", []),
    ],
)
def test_a_pattern_chooses_rows(pattern, names):
    assert [info.name for info in list_backbones(pattern)] == names


@needs_data
@pytest.mark.parametrize(
    ("name", "tap", "shape"),
    [("mobilenet_v2", "penultimate", (1280,)), ("squeezenet1_0", "penultimate:flatten", (512, 13, 13))],
)
def test_real_weights_load_and_their_features_give_the_models_logits(name, tap, shape):
    path = Path(os.environ["HEADSTART_DATA"]) / "weights" / f"{name}-imagenet.pth"
    backbone = load_backbone(name, weights=str(path))
    images = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with TapReader(backbone, [Tap.parse(tap)]) as read:
        features = read(images)[tap].unflatten(1, shape)
        logits = backbone.module(images)
    # The classifier begins with dropout, which does nothing in evaluation.
    torch.testing.assert_close(backbone.module.classifier(features).flatten(1), logits)
    assert len(logits.unique()) > 500
