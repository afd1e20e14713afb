"""Backbones from timm: penultimate features, tokens, preprocessing, and weights without network."""

import socket
import time

import pytest
import torch

from headstart.extractors.backbones import registry as backbones
from headstart.extractors.backbones import timm_models
from headstart.extractors.backbones.registry import list_backbones, load_backbone
from headstart.extractors.errors import BackboneError, WeightsError
from headstart.extractors.network.taps import Tap, TapReader
from headstart.extractors.spec.preprocessing import Preprocessing


def test_without_timm_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(timm_models, "is_installed", lambda: False)
    for use in (lambda: load_backbone("timm/test_vit"), lambda: list_backbones("timm/*")):
        with pytest.raises(BackboneError, match=r"pip install 'headstart\[timm\]'"):
            use()


def test_timm_is_not_imported_for_torchvisions_models():
    assert not hasattr(backbones, "timm")
    assert not hasattr(timm_models, "timm")


class TestTimm:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("timm")

    @pytest.mark.parametrize(
        ("name", "n_features"),
        [
            ("test_vit", 64),
            ("test_resnet", 96),
            ("test_convnext", 64),
            ("test_mambaout", 256),
            ("test_vit3", 96),  # attention pooling, no class token
            ("resnetv2_50x1_bit", 2048),  # a convolution as classifier
            ("deit_tiny_distilled_patch16_224", 192),  # two classifiers
        ],
    )
    def test_the_penultimate_is_what_forward_head_gives_before_the_logits(self, name, n_features):
        backbone = load_backbone(f"timm/{name}", weights="none")
        # Convolutional nets take any size, and this one is published for large images.
        size = (64, 64) if name.startswith("resnet") else backbone.preprocessing.crop
        images = torch.rand(1, 3, *size)
        with torch.no_grad(), TapReader(backbone, [Tap()]) as read:
            features = read(images)["penultimate"]
            expected = backbone.module.forward_head(backbone.module.forward_features(images), pre_logits=True)
        assert features.shape == (1, n_features)
        torch.testing.assert_close(features, expected)

    def test_a_model_without_classifier_works(self):
        backbone = load_backbone("timm/eva02_tiny_patch14_224", weights="none")
        with TapReader(backbone, [Tap()]) as read:
            assert read(torch.rand(1, 3, 224, 224))["penultimate"].shape == (1, 192)

    @pytest.mark.parametrize(
        ("name", "prefix_tokens", "class_token", "channels_last"),
        [
            ("test_vit", 1, True, False),
            ("vit_medium_patch16_reg4_gap_256", 4, False, False),
            ("vit_small_patch14_reg4_dinov2", 5, True, False),
            ("swin_tiny_patch4_window7_224", 0, False, True),
        ],
    )
    def test_tokens_and_layout_are_told(self, name, prefix_tokens, class_token, channels_last):
        backbone = load_backbone(f"timm/{name}", weights="none")
        noted = (backbone.prefix_tokens, backbone.class_token, backbone.channels_last)
        assert noted == (prefix_tokens, class_token, channels_last)

    @pytest.mark.parametrize(
        ("config", "expected"),
        [
            ({"crop_mode": "center"}, Preprocessing(resize=168, crop=(160, 160), interpolation="bicubic")),
            ({"crop_mode": "squash"}, Preprocessing(resize=(168, 168), crop=(160, 160), interpolation="bicubic")),
        ],
    )
    def test_preprocessing_follows_timms_own(self, monkeypatch, config, expected):
        _with_data_config(monkeypatch, config)
        assert load_backbone("timm/test_vit", weights="none").preprocessing == expected

    @pytest.mark.parametrize(
        ("config", "reason"),
        [
            ({"crop_mode": "border"}, "crop mode 'border'"),
            ({"input_size": (1, 160, 160)}, "1 channels"),
            ({"interpolation": "hamming"}, "hamming"),
        ],
    )
    def test_preprocessing_that_cannot_be_expressed_is_refused(self, monkeypatch, config, reason):
        _with_data_config(monkeypatch, config)
        with pytest.raises(BackboneError, match=reason):
            load_backbone("timm/test_vit", weights="none")

    def test_an_own_checkpoint_builds_its_own_head(self, tmp_path):
        timm = pytest.importorskip("timm")
        fine_tuned = timm.create_model("test_resnet", num_classes=3).eval()
        torch.save({"state_dict": fine_tuned.state_dict()}, tmp_path / "x.pth")
        backbone = load_backbone("timm/test_resnet", weights=str(tmp_path / "x.pth"))
        images = torch.rand(1, 3, 160, 160)
        assert torch.equal(backbone.module(images), fine_tuned(images))
        assert backbone.weights.startswith("sha256:")

    def test_both_classifiers_of_a_distilled_model_are_left_out(self, tmp_path):
        timm = pytest.importorskip("timm")
        trained = timm.create_model("deit_tiny_distilled_patch16_224", num_classes=3).eval()
        torch.save({"model": trained.state_dict()}, tmp_path / "x.pth")
        backbone = load_backbone("timm/deit_tiny_distilled_patch16_224", weights=str(tmp_path / "x.pth"))
        assert torch.equal(backbone.module.pos_embed, trained.pos_embed)
        assert "head.weight, head.bias and 2 more" in backbone.notes[0]

    def test_weights_in_the_hubs_cache_need_no_network(self, tmp_path, monkeypatch):
        timm = pytest.importorskip("timm")
        torch.manual_seed(3)
        published = timm.create_model("test_resnet").eval()
        torch.save(published.state_dict(), tmp_path / "pytorch_model.bin")
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: str(tmp_path / "pytorch_model.bin"))
        _refuse_network(monkeypatch)
        backbone = load_backbone("timm/test_resnet")
        images = torch.rand(1, 3, 160, 160)
        assert torch.equal(backbone.module(images), published(images))
        assert backbone.weights.startswith("state-sha256:")

    def test_without_network_the_error_comes_without_retries_and_names_the_ways_out(self, monkeypatch):
        waits = []
        monkeypatch.setattr(time, "sleep", waits.append)
        _refuse_network(monkeypatch)
        monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
        with pytest.raises(WeightsError, match=r"timm/test_vit: its weights.*test_vit.r160_in1k.*--weights FILE"):
            load_backbone("timm/test_vit")
        assert waits == []

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("test_vitt", "Nearest: .*timm/test_vit"), ("test_vit.nothing", "no weights 'nothing'; known: .*r160_in1k")],
    )
    def test_an_unknown_model_or_tag_is_answered_with_the_known(self, name, reason):
        with pytest.raises(BackboneError, match=reason):
            load_backbone(f"timm/{name}")

    @pytest.mark.parametrize(
        ("pattern", "name"), [("timm/test_vit", "timm/test_vit2"), ("timm/test_vit.*", "timm/test_vit.r160_in1k")]
    )
    def test_timms_models_are_listed_by_a_pattern_that_asks_for_them(self, pattern, name):
        assert name in [info.name for info in list_backbones(pattern)]


def _with_data_config(monkeypatch, config: dict[str, object]) -> None:
    timm = pytest.importorskip("timm")
    base = {"input_size": (3, 160, 160), "crop_pct": 0.95, "crop_mode": "center", "interpolation": "bicubic"}
    values = base | {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)} | config
    monkeypatch.setattr(timm.data, "resolve_model_data_config", lambda _: values)


def _refuse_network(monkeypatch) -> None:
    def refuse(*_args, **_kwargs):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
