"""Headstart's own backbones, and those that a callable gives."""

import sys

import pytest
import torch

from extractors.backbones import load_backbone
from extractors.errors import BackboneError, WeightsError
from extractors.preprocessing import Preprocessing
from extractors.small_cnn import SmallCNN
from extractors.taps import Tap, TapReader

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


def test_a_small_cnn_trained_elsewhere_is_loaded_with_its_classes(tmp_path):
    net = SmallCNN(n_classes=5).eval()
    torch.save(net.state_dict(), tmp_path / "digits.pth")
    backbone = load_backbone("small_cnn", weights=str(tmp_path / "digits.pth"))
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(backbone.module(images), net(images))
    with TapReader(backbone, [Tap()]) as read:
        features = read(images)["penultimate"]
    torch.testing.assert_close(net.classifier(features), net(images))
    assert features.shape == (2, 256)


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
