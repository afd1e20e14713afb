"""The registry of backbones: names, preprocessing, and what each source gives."""

import os
import socket
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from extractors import backbones, timm_models, torchvision_models
from extractors.backbones import list_backbones, load_backbone
from extractors.errors import BackboneError, WeightsError
from extractors.preprocessing import Preprocessing
from extractors.small_cnn import SmallCNN
from extractors.taps import Tap, TapReader
from extractors.torchvision_table import TABLE

needs_data = pytest.mark.skipif("HEADSTART_DATA" not in os.environ, reason="HEADSTART_DATA is not set")

OWN_MODULE = """
import torch
from extractors.preprocessing import Preprocessing

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Linear(12, 5)

    def forward(self, images):
        return self.encoder(images.flatten(1))

def build():
    return Net()

def build_small():
    net = Net()
    net.preprocessing = Preprocessing(resize=2, crop=(2, 2))
    return net

def build_wrong():
    net = Net()
    net.preprocessing = 224
    return net

def fail():
    raise RuntimeError("no licence")

text = "text"
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch) -> str:
    (tmp_path / "own_backbones_of_a_test.py").write_text(OWN_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_backbones_of_a_test"
    sys.modules.pop("own_backbones_of_a_test", None)


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
    with TapReader(backbone, [Tap()]) as read:
        assert read(torch.zeros(1, 3, image_size, image_size))["penultimate"].shape == (1, 8)


def test_a_model_that_the_table_lacks_is_read_before_its_last_classifier(tmp_path, monkeypatch):
    monkeypatch.delitem(TABLE, "resnet18")
    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "x.pth")
    assert load_backbone("resnet18", weights=str(tmp_path / "x.pth")).head == "fc"
    assert load_backbone("resnet18", weights="none").head == "fc"
    assert list_backbones("resnet18")[0].feature_size is None


# Headstart's own, and callables -------------------------------------------------------------------------------------


def test_a_small_cnn_trained_elsewhere_is_loaded_with_its_classes(tmp_path):
    net = SmallCNN(n_classes=5).eval()
    torch.save(net.state_dict(), tmp_path / "digits.pth")
    backbone = load_backbone("small_cnn", weights=str(tmp_path / "digits.pth"))
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(backbone.module(images), net(images))
    with TapReader(backbone, [Tap()]) as read:
        features = read(images)["penultimate"]
    torch.testing.assert_close(net.classifier(features), net(images))
    assert features.shape == (2, 128)


def test_a_small_cnn_has_no_published_weights():
    with pytest.raises(WeightsError, match="no published weights; give your own by --weights FILE"):
        load_backbone("small_cnn")


def test_pixels_have_no_weights(tmp_path):
    assert load_backbone("pixels").weights == load_backbone("pixels", weights="none").weights == "none"
    with pytest.raises(WeightsError, match="has no weights"):
        load_backbone("pixels", weights=str(tmp_path / "x.pth"))


def test_a_callable_gives_its_output_as_penultimate_and_its_own_preprocessing(own_module):
    backbone = load_backbone(f"{own_module}:build_small")
    images = torch.rand(2, 3, 2, 2)
    with TapReader(backbone, [Tap()]) as read:
        assert torch.equal(read(images)["penultimate"], backbone.module(images))
    assert backbone.preprocessing == Preprocessing(resize=2, crop=(2, 2))
    assert backbone.name == f"{own_module}:build_small"
    assert backbone.weights.startswith("state-sha256:")


def test_a_callables_random_weights_follow_the_seed_and_say_so(own_module):
    first, again, other = (load_backbone(f"{own_module}:build", weights="none", seed=seed) for seed in (0, 0, 1))
    assert first.weights.startswith("random:")
    assert first.weights == again.weights != other.weights
    assert first.preprocessing == Preprocessing()


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_callables_names_may_begin_like_a_wrapper(own_module, tmp_path, prefix):
    state = {"encoder.weight": torch.rand(5, 12), "encoder.bias": torch.rand(5)}
    torch.save({prefix + name: tensor for name, tensor in state.items()}, tmp_path / "x.pth")
    module = load_backbone(f"{own_module}:build", weights=str(tmp_path / "x.pth")).module
    assert torch.equal(module.encoder.weight, state["encoder.weight"])


@pytest.mark.parametrize(
    ("attribute", "reason"),
    [
        ("fail", "raised RuntimeError: no licence"),
        ("gone", "has no 'gone'"),
        ("text", "found a str, expected a callable"),
        ("Preprocessing", "returned a Preprocessing, expected a torch.nn.Module"),
        ("build_wrong", "its `preprocessing` is a int"),
    ],
)
def test_a_callable_that_gives_no_backbone_is_refused(own_module, attribute, reason):
    with pytest.raises(BackboneError, match=reason):
        load_backbone(f"{own_module}:{attribute}")


def test_a_module_that_cannot_be_imported_is_refused():
    with pytest.raises(
        BackboneError, match=r"importing 'no_such_package\.models' raised ModuleNotFoundError.*PYTHONPATH"
    ):
        load_backbone("no_such_package.models:build")


# The list -----------------------------------------------------------------------------------------------------------


def test_the_list_has_every_torchvision_model_and_headstarts_own():
    names = [info.name for info in list_backbones()]
    assert len(names) == len(set(names))
    assert set(names) == {f"torchvision/{name}" for name in TABLE} | {"headstart/small_cnn", "headstart/pixels"}


def test_a_row_of_the_list_shows_what_is_published(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (before,) = list_backbones("torchvision/resnet50")
    assert (before.source, before.parameters, before.gflops) == ("torchvision", 25_557_032, 4.089)
    assert (before.feature_size, before.input_size, before.top1) == (2048, (224, 224), 80.858)
    assert not before.weights_on_disk
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet50-11ad3fa6.pth").touch()
    assert list_backbones("torchvision/resnet50")[0].weights_on_disk


@pytest.mark.parametrize("name", ["small_cnn", "pixels"])
def test_the_list_knows_the_size_of_headstarts_own(name):
    (info,) = list_backbones(name)
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
        ("headstart/*", ["headstart/small_cnn", "headstart/pixels"]),
        ("nothing_like_it", []),
    ],
)
def test_a_pattern_chooses_rows(pattern, names):
    assert [info.name for info in list_backbones(pattern)] == names


# timm ---------------------------------------------------------------------------------------------------------------


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
        told = (backbone.prefix_tokens, backbone.class_token, backbone.channels_last)
        assert told == (prefix_tokens, class_token, channels_last)

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


# Real weights -------------------------------------------------------------------------------------------------------


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
